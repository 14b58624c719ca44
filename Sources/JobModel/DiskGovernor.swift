// SPDX-License-Identifier: Apache-2.0

/// Who may write how much where: the file systems of the output, what is promised of each, and who waits. Pure.
///
/// A transfer of known size asks for what is missing of it before its first byte; what would go below the reserve
/// waits, and smaller files go on. Small files and those of unknown size do not ask: the reserve is for them. Promises
/// are per file system (device), so that two mounts of one disk do not promise the same bytes twice.
public struct DiskGovernor: Sendable {
    public enum Verdict: Sendable, Hashable {
        case start
        /// Its directory of parts has not been looked at yet.
        case unknown
        /// Nothing starts there; why.
        case paused(String)
        /// It does not fit; why. Smaller ones may.
        case tooLarge(String)
    }
    /// What the people who look at a disk see.
    public struct View: Sendable, Hashable {
        public var home: PartHome
        public var path: String
        public var reading: DiskReading?
        public var promised: Int64
        /// Why nothing starts there.
        public var pause: String?
        /// Jobs seen waiting for room there, and why the last one does.
        public var waiting: Int
        public var waitsFor: String?
    }
    private struct Place: Sendable {
        var path: String
        var device: UInt64?
        var missing: String?
        /// Jobs passed over since the last look.
        var denied = 0
        var smallest = Int64.max
        var why: String?
    }
    private struct Promise: Sendable {
        var device: UInt64
        var bytes: Int64
    }

    /// From this size on a file asks.
    public static let leastAsked: Int64 = 1 << 20

    /// `limits.min_free`, bytes. Held to what leaves room for sums with it.
    public var reserve: Int64 { didSet { reserve = Self.clamped(reserve) } }
    private var places: [PartHome: Place] = [:]
    private var gauges: [UInt64: DiskGauge] = [:]
    private var promises: [UInt64: Promise] = [:]
    private var promised: [UInt64: Int64] = [:]

    public init(reserve: Int64) { self.reserve = Self.clamped(reserve) }

    private static func clamped(_ reserve: Int64) -> Int64 { max(0, min(reserve, 1 << 60)) }

    public mutating func read(
        _ home: PartHome, path: String, device: UInt64, _ reading: DiskReading, now: MonotonicTime
    ) {
        places[home, default: Place(path: path)].path = path
        places[home]?.device = device
        places[home]?.missing = nil
        gauges[device, default: DiskGauge()].read(reading, reserve: reserve, now: now)
    }

    /// There, and not read yet: jobs may start.
    public mutating func assume(_ home: PartHome, path: String) { places[home] = Place(path: path) }

    /// Not mounted, removed, or another ledger's.
    public mutating func missing(_ home: PartHome, path: String, why: String) {
        places[home, default: Place(path: path)].missing = why
    }

    /// A mount that is gone for good: nothing is known of it any more.
    public mutating func forget(_ home: PartHome) { places[home] = nil }

    public mutating func broke(_ home: PartHome, _ fault: DiskFault, _ message: String, now: MonotonicTime) {
        // Without a reading yet: a place of its own, until it has one.
        let device = places[home]?.device ?? 0
        if places[home]?.device == nil { places[home]?.device = device }
        gauges[device, default: DiskGauge()].broke(fault, message, reserve: reserve, now: now)
    }

    /// Pauses whose time is over end.
    public mutating func look(now: MonotonicTime) {
        for device in gauges.keys { gauges[device]?.look(reserve: reserve, now: now) }
    }
    public var nextLook: MonotonicTime? { gauges.values.compactMap(\.nextLook).min() }

    /// - Parameter needs: bytes still to be written; nil: not known.
    public func verdict(_ home: PartHome, needs: Int64?) -> Verdict {
        guard let place = places[home] else { return .unknown }
        if let why = pause(of: place) { return .paused(why) }
        guard let needs, needs >= Self.leastAsked, let room = room(of: place), needs > room else {
            return .start
        }
        return .tooLarge(
            "\(ByteSize.format(needs)) do not fit: \(place.path) has \(ByteSize.format(max(0, room))) to give "
                + "(\(ByteSize.format(reserve)) stay free)")
    }

    /// A job was passed over: it is looked for again by `takeFitting`.
    public mutating func deny(_ home: PartHome, needs: Int64?, why: String) {
        guard var place = places[home] else { return }
        place.denied += 1
        place.why = why
        place.smallest = min(place.smallest, max(0, needs ?? 0))
        places[home] = place
    }

    /// The homes where jobs were passed over of which one could start by now. Once.
    public mutating func takeFitting() -> [PartHome] {
        places.filter { home, place in
            guard place.denied > 0, case .start = verdict(home, needs: place.smallest) else { return false }
            return true
        }.map { home, _ in
            places[home]?.denied = 0
            places[home]?.smallest = .max
            places[home]?.why = nil
            return home
        }
    }

    /// Bytes that this transfer will still write; replaces what it had.
    public mutating func promise(_ token: UInt64, _ home: PartHome, bytes: Int64) {
        release(token)
        guard bytes >= Self.leastAsked, let device = places[home]?.device else { return }
        promises[token] = Promise(device: device, bytes: bytes)
        promised[device, default: 0] &+= bytes
    }

    /// So much is left to write. Told just before a reading, so that no byte counts as free and as kept at once.
    public mutating func left(_ token: UInt64, bytes: Int64) {
        guard let promise = promises[token] else { return }
        let left = max(0, min(promise.bytes, bytes))
        promises[token]?.bytes = left
        promised[promise.device, default: 0] -= promise.bytes - left
    }

    public mutating func release(_ token: UInt64) {
        guard let promise = promises.removeValue(forKey: token) else { return }
        promised[promise.device, default: 0] -= promise.bytes
    }

    /// Why nothing starts in a home.
    public func pauseReason(_ home: PartHome) -> String? { places[home].flatMap { pause(of: $0) } }
    public func isMissing(_ home: PartHome) -> Bool { places[home]?.missing != nil }
    public func isKnown(_ home: PartHome) -> Bool { places[home] != nil }

    /// Whether what runs there is to be stopped, its parts kept.
    public func stopsTransfers(_ home: PartHome) -> Bool {
        guard let place = places[home] else { return false }
        if place.missing != nil { return true }
        return place.device.flatMap { gauges[$0]?.pause?.stopsTransfers } ?? false
    }

    public var views: [View] {
        places.map { home, place in
            View(
                home: home, path: place.path, reading: place.device.flatMap { gauges[$0]?.reading },
                promised: place.device.flatMap { promised[$0] } ?? 0, pause: pause(of: place),
                waiting: place.denied, waitsFor: place.why)
        }.sorted { $0.home.path.lexicographicallyPrecedes($1.home.path) }
    }

    private func pause(of place: Place) -> String? {
        if let why = place.missing { return why }
        switch place.device.flatMap({ gauges[$0]?.pause }) {
        case .short(let free, _): return "\(place.path) has \(ByteSize.share(free, of: reserve)) free"
        case .files(let free): return "\(place.path) has room for \(free) more files (inodes)"
        case .readOnly: return "\(place.path) is mounted read-only"
        case .refused(_, let message): return message
        case nil: return nil
        }
    }

    private func room(of place: Place) -> Int64? {
        guard let device = place.device, let reading = gauges[device]?.reading else { return nil }
        return reading.freeBytes - reserve - (promised[device] ?? 0)
    }
}
