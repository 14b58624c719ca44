// SPDX-License-Identifier: Apache-2.0

/// What a file system said of itself.
public struct DiskReading: Sendable, Hashable {
    /// Bytes that may still be written, and all there are.
    public var freeBytes: Int64
    public var totalBytes: Int64
    /// Files that may still be made, and all there may be; nil where there is no fixed number.
    public var freeFiles: Int64?
    public var totalFiles: Int64?
    public var isReadOnly: Bool
    public init(
        freeBytes: Int64, totalBytes: Int64, freeFiles: Int64? = nil, totalFiles: Int64? = nil,
        isReadOnly: Bool = false
    ) {
        self.freeBytes = freeBytes
        self.totalBytes = totalBytes
        self.freeFiles = freeFiles
        self.totalFiles = totalFiles
        self.isReadOnly = isReadOnly
    }
}

/// What a file system answered to a write, an fsync or a rename.
public enum DiskFault: Sendable, Hashable {
    /// ENOSPC: bytes or inodes.
    case noSpace
    /// EDQUOT: free bytes say nothing about it.
    case quota
    case readOnly
    /// EIO: the file is suspect, its disk only when it happens again.
    case io
    case other
}

/// One file system: from what it says of itself and from how it answered, whether anything may start on it. Pure.
///
/// Two ways into a pause, two ways out. A reading below the reserve ends with a reading a little above it. A refusal
/// ends when room has come free since, or when its time is over, for a quota and a sick disk show in no reading: 5 s,
/// doubled with each refusal that follows soon, at most a minute.
struct DiskGauge: Sendable {
    enum Pause: Sendable, Hashable {
        /// `isHard`: so little is left that running transfers stop too.
        case short(free: Int64, isHard: Bool)
        case files(Int64)
        case readOnly
        case refused(DiskFault, String)

        var stopsTransfers: Bool {
            switch self {
            case .short(_, let isHard): isHard
            case .files: false
            case .readOnly, .refused: true
            }
        }
    }
    private struct Refusal: Sendable {
        var fault: DiskFault
        var message: String
        var freeThen: Int64
        var until: MonotonicTime
        var delay: Duration
        var isOver = false
    }

    static let firstDelay = Duration.seconds(5)
    static let longestDelay = Duration.seconds(60)
    /// So many EIO within `ioWindow` make a sick disk.
    static let ioLimit = 3
    static let ioWindow = Duration.seconds(60)

    private(set) var reading: DiskReading?
    private(set) var pause: Pause?
    private var refusal: Refusal?
    private var ioErrors: [MonotonicTime] = []
    private var isShort = false

    /// When a pause may end without a new reading.
    var nextLook: MonotonicTime? { refusal.flatMap { $0.isOver ? nil : $0.until } }

    mutating func read(_ fresh: DiskReading, reserve: Int64, now: MonotonicTime) {
        reading = fresh
        look(reserve: reserve, now: now)
    }

    mutating func broke(_ fault: DiskFault, _ message: String, reserve: Int64, now: MonotonicTime) {
        if fault == .io {
            ioErrors.removeAll { $0 + Self.ioWindow < now }
            ioErrors.append(now)
            // One bad file is fetched again; a sick disk is left alone.
            guard ioErrors.count >= Self.ioLimit else { return }
        }
        if let last = refusal, !last.isOver {
            // The same trouble, met by another transfer.
            refusal?.message = message
        } else {
            let delay =
                refusal.map {
                    $0.until + $0.delay > now ? min($0.delay * 2, Self.longestDelay) : Self.firstDelay
                }
                ?? Self.firstDelay
            refusal = Refusal(
                fault: fault, message: message, freeThen: reading?.freeBytes ?? 0, until: now + delay,
                delay: delay)
        }
        look(reserve: reserve, now: now)
    }

    mutating func look(reserve: Int64, now: MonotonicTime) {
        if let refusal, !refusal.isOver, now >= refusal.until || hasRisen(since: refusal, reserve: reserve) {
            self.refusal?.isOver = true
            self.refusal?.until = now
        }
        pause = nextPause(reserve: reserve)
    }

    private mutating func nextPause(reserve: Int64) -> Pause? {
        if let reading {
            if reading.isReadOnly { return .readOnly }
            let wanted = isShort ? reserve + Self.margin(reserve) : reserve
            isShort = reading.freeBytes < wanted
            if isShort { return .short(free: reading.freeBytes, isHard: reading.freeBytes < reserve / 2) }
            if let free = reading.freeFiles {
                let least = Self.fileReserve(reading.totalFiles ?? .max)
                let isPaused = if case .files = pause { true } else { false }
                if free < (isPaused ? least * 2 : least) { return .files(free) }
            }
        }
        if let refusal, !refusal.isOver { return .refused(refusal.fault, refusal.message) }
        return nil
    }

    private func hasRisen(since refusal: Refusal, reserve: Int64) -> Bool {
        guard refusal.fault == .noSpace, let reading else { return false }
        let step = max(65_536, min(Self.margin(reserve), reading.totalBytes / 64))
        return reading.freeBytes > reserve && reading.freeBytes - refusal.freeThen >= step
    }

    /// How far above the reserve it must be for a pause to end: a disk on the edge does not start and stop all day.
    static func margin(_ reserve: Int64) -> Int64 { min(reserve / 16, 64 << 20) }
    static func fileReserve(_ total: Int64) -> Int64 { max(1, min(16, total / 64)) }
}
