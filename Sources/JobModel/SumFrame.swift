// SPDX-License-Identifier: Apache-2.0

/// One message between dld, `sumd` and its worker processes; the same kinds on both hops.
///
/// Sockets are SOCK_SEQPACKET: the kernel keeps packet borders, so a packet is whole frames or the peer is broken,
/// a descriptor of SCM_RIGHTS cannot slip to a neighbour's frame, and many small frames still share one system call.
/// Inside a packet each frame carries its own length, little endian: `u32 length, u8 kind, body`.
///
/// Pure: no I/O, no clock. Nothing here traps on what a peer sends.
public enum SumFrame: Sendable, Hashable {
    /// Add every integer from `from` to `to`, both included. `submitted` is CLOCK_MONOTONIC in nanoseconds.
    case sum(ticket: UInt64, from: UInt64, to: UInt64, submitted: Int64)
    /// Digest the file, or a span of it, whose descriptor comes with the same packet; reading at most `rate` bytes a
    /// second, nil: as fast as it goes.
    case digest(
        ticket: UInt64, algorithm: DigestAlgorithm, span: DigestSpan = .whole, rate: Int64? = nil,
        submitted: Int64)
    /// The answer is no longer wanted. One that is already on its way may still come.
    case cancel(ticket: UInt64)
    /// Asks a peer for a sign of life; it answers `pong` with the same number.
    case ping(UInt64)
    case pong(UInt64)
    /// From now on so many worker processes.
    case resize(processes: UInt64)
    /// A worker process is up, and whether it has given up all but computing.
    case ready(SumConfinement)
    /// A long job is alive; at most one a second.
    case progress(ticket: UInt64)
    case summed(ticket: UInt64, total: UInt128, timings: SumTimings)
    case digested(ticket: UInt64, checksum: Checksum, timings: SumTimings)
    /// To a span in pieces: their digests, one after the other.
    case pieces(ticket: UInt64, digests: [UInt8], timings: SumTimings)
    case failed(ticket: UInt64, fault: SumFault, message: String)
    /// The pool changed: its live workers, how many were replaced since the start, what happened last, in words, and
    /// whether every worker that told is confined.
    case pool(workers: [Int32], restarts: UInt64, remark: String, confinement: SumConfinement = .unknown)

    /// Whether a descriptor rides with this frame. A packet has at most one such frame.
    public var carriesDescriptor: Bool {
        if case .digest = self { true } else { false }
    }

    /// The job it is about; nil for what concerns the peer as a whole.
    public var ticket: UInt64? {
        switch self {
        case .sum(let ticket, _, _, _), .digest(let ticket, _, _, _, _), .cancel(let ticket),
            .progress(let ticket),
            .summed(let ticket, _, _), .digested(let ticket, _, _), .pieces(let ticket, _, _),
            .failed(let ticket, _, _):
            ticket
        case .ping, .pong, .pool, .resize, .ready: nil
        }
    }
}

/// A packet that no sound peer sends. The reader drops the peer; there is no way to find the next frame.
public enum SumFrameError: Error, Sendable, Hashable {
    case torn
    case tooLong
    case unknownKind(UInt8)
    case badField
}

extension SumFrame {
    /// Bytes of the longest packet a reader must have room for.
    public static let packetLimit = 32_768
    /// Bytes of the longest frame behind its length field.
    public static let frameLimit = 16_384
    static let messageLimit = 1024
    static let workerLimit = 1024
    /// The longest digests, of as many pieces as a span may have.
    static let digestsLimit = DigestSpan.pieceLimit * 64

    /// Appends the frame. Texts and worker lists beyond their limits are cut, so that a frame is never too long.
    public func append(to packet: inout [UInt8]) {
        let start = packet.count
        packet.append(contentsOf: [0, 0, 0, 0])
        appendBody(to: &packet)
        let length = UInt32(packet.count - start - 4)
        for byte in 0..<4 { packet[start + byte] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(byte))) }
    }

    /// The frame as a packet of its own.
    public var packet: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    private func appendBody(to packet: inout [UInt8]) {
        switch self {
        case .sum(let ticket, let from, let to, let submitted):
            packet.append(1)
            for value in [ticket, from, to, UInt64(bitPattern: submitted)] { packet.append(little: value) }
        case .digest(let ticket, let algorithm, let span, let rate, let submitted):
            packet.append(2)
            packet.append(little: ticket)
            packet.append(little: UInt64(bitPattern: submitted))
            packet.append(little: UInt64(bitPattern: span.offset))
            packet.append(little: span.length.map { UInt64(bitPattern: $0) } ?? .max)
            packet.append(little: UInt64(bitPattern: span.pieceLength ?? 0))
            packet.append(little: UInt64(bitPattern: max(0, rate ?? 0)))
            packet.append(algorithm.frameCode)
        case .cancel(let ticket):
            packet.append(3)
            packet.append(little: ticket)
        case .ping(let number):
            packet.append(4)
            packet.append(little: number)
        case .pong(let number):
            packet.append(5)
            packet.append(little: number)
        case .progress(let ticket):
            packet.append(6)
            packet.append(little: ticket)
        case .summed(let ticket, let total, let timings):
            packet.append(7)
            packet.append(little: ticket)
            packet.append(little: UInt64(truncatingIfNeeded: total))
            packet.append(little: UInt64(truncatingIfNeeded: total >> 64))
            packet.append(timings)
        case .digested(let ticket, let checksum, let timings):
            packet.append(8)
            packet.append(little: ticket)
            packet.append(timings)
            packet.append(checksum.algorithm.frameCode)
            packet.append(contentsOf: checksum.bytes)
        case .failed(let ticket, let fault, let message):
            packet.append(9)
            packet.append(little: ticket)
            packet.append(fault.rawValue)
            packet.append(text: message)
        case .pool(let workers, let restarts, let remark, let confinement):
            packet.append(10)
            packet.append(little: restarts)
            let shown = workers.prefix(Self.workerLimit)
            packet.append(little: UInt64(shown.count))
            for worker in shown { packet.append(little: UInt64(UInt32(bitPattern: worker))) }
            packet.append(text: remark)
            packet.append(confinement)
        case .resize(let processes):
            packet.append(11)
            packet.append(little: processes)
        case .ready(let confinement):
            packet.append(12)
            packet.append(confinement)
        case .pieces(let ticket, let digests, let timings):
            packet.append(13)
            packet.append(little: ticket)
            packet.append(timings)
            let shown = digests.prefix(Self.digestsLimit)
            packet.append(little: UInt64(shown.count))
            packet.append(contentsOf: shown)
        }
    }
}

extension SumFrame {
    /// All frames of one packet, in order.
    public static func frames(in packet: [UInt8]) throws(SumFrameError) -> [SumFrame] {
        guard packet.count <= packetLimit else { throw .tooLong }
        var frames: [SumFrame] = []
        var rest = packet[...]
        while !rest.isEmpty {
            guard rest.count >= 4 else { throw .torn }
            var length: UInt32 = 0
            for byte in rest.prefix(4).reversed() { length = length << 8 | UInt32(byte) }
            rest = rest.dropFirst(4)
            guard length <= frameLimit else { throw .tooLong }
            guard length >= 1, rest.count >= Int(length) else { throw .torn }
            var body = FrameBody(bytes: rest.prefix(Int(length)))
            frames.append(try body.frame())
            guard body.bytes.isEmpty else { throw .badField }
            rest = rest.dropFirst(Int(length))
        }
        return frames
    }
}

/// The unread rest of one frame.
private struct FrameBody {
    var bytes: ArraySlice<UInt8>

    mutating func frame() throws(SumFrameError) -> SumFrame {
        let kind = try byte()
        switch kind {
        case 1:
            let ticket = try word()
            let from = try word()
            let to = try word()
            guard from <= to else { throw .badField }
            return .sum(ticket: ticket, from: from, to: to, submitted: try time())
        case 2:
            let ticket = try word()
            let submitted = try time()
            let span = try span()
            let rate = try time()
            guard rate >= 0 else { throw .badField }
            return .digest(
                ticket: ticket, algorithm: try algorithm(), span: span, rate: rate == 0 ? nil : rate,
                submitted: submitted)
        case 3: return .cancel(ticket: try word())
        case 4: return .ping(try word())
        case 5: return .pong(try word())
        case 6: return .progress(ticket: try word())
        case 7:
            let ticket = try word()
            let low = try word()
            let high = try word()
            return .summed(ticket: ticket, total: UInt128(high) << 64 | UInt128(low), timings: try timings())
        case 8:
            let ticket = try word()
            let timings = try timings()
            let algorithm = try algorithm()
            let digest = try take(algorithm.byteCount)
            return .digested(
                ticket: ticket, checksum: Checksum(algorithm: algorithm, bytes: Array(digest)),
                timings: timings)
        case 9:
            let ticket = try word()
            guard let fault = SumFault(rawValue: try byte()) else { throw .badField }
            return .failed(ticket: ticket, fault: fault, message: try text())
        case 10:
            let restarts = try word()
            let count = try word()
            guard count <= UInt64(SumFrame.workerLimit) else { throw .badField }
            var workers: [Int32] = []
            for _ in 0..<count { workers.append(Int32(truncatingIfNeeded: try word())) }
            let remark = try text()
            return .pool(
                workers: workers, restarts: restarts, remark: remark, confinement: try confinement())
        case 11: return .resize(processes: try word())
        case 12: return .ready(try confinement())
        case 13:
            let ticket = try word()
            let timings = try timings()
            let count = try word()
            guard count <= UInt64(SumFrame.digestsLimit) else { throw .badField }
            return .pieces(ticket: ticket, digests: Array(try take(Int(count))), timings: timings)
        default: throw .unknownKind(kind)
        }
    }

    mutating func take(_ count: Int) throws(SumFrameError) -> ArraySlice<UInt8> {
        guard bytes.count >= count else { throw .torn }
        let taken = bytes.prefix(count)
        bytes = bytes.dropFirst(count)
        return taken
    }
    mutating func byte() throws(SumFrameError) -> UInt8 {
        guard let first = try take(1).first else { throw .torn }
        return first
    }
    mutating func word() throws(SumFrameError) -> UInt64 {
        var value: UInt64 = 0
        for byte in try take(8).reversed() { value = value << 8 | UInt64(byte) }
        return value
    }
    mutating func time() throws(SumFrameError) -> Int64 { Int64(bitPattern: try word()) }
    mutating func span() throws(SumFrameError) -> DigestSpan {
        let offset = try time()
        let length = try word()
        let pieceLength = try time()
        guard
            let span = DigestSpan(
                offset: offset, length: length == .max ? nil : Int64(clamping: length),
                pieceLength: pieceLength == 0 ? nil : pieceLength)
        else {
            throw .badField
        }
        return span
    }
    mutating func confinement() throws(SumFrameError) -> SumConfinement {
        switch try byte() {
        case 0: return .unknown
        case 1: return .confined
        case 2: return .open(try text())
        default: throw .badField
        }
    }
    mutating func algorithm() throws(SumFrameError) -> DigestAlgorithm {
        guard let algorithm = DigestAlgorithm(frameCode: try byte()) else { throw .badField }
        return algorithm
    }
    mutating func timings() throws(SumFrameError) -> SumTimings {
        let queued = try time()
        let run = try time()
        let cpu = try time()
        let worker = Int32(truncatingIfNeeded: try word())
        return SumTimings(queued: max(0, queued), run: max(0, run), cpu: max(0, cpu), worker: worker)
    }
    mutating func text() throws(SumFrameError) -> String {
        let count = try word()
        guard count <= UInt64(SumFrame.messageLimit) else { throw .badField }
        return String(decoding: try take(Int(count)), as: UTF8.self)
    }
}

extension DigestAlgorithm {
    /// Numbers of the wire; both ends are of one build, so they may change between releases.
    fileprivate var frameCode: UInt8 {
        switch self {
        case .sha256: 1
        case .sha512: 2
        case .sha1: 3
        case .md5: 4
        case .crc32c: 5
        case .sha384: 6
        case .sha224: 7
        case .blake2b: 8
        }
    }
    fileprivate init?(frameCode: UInt8) {
        guard let match = Self.allCases.first(where: { $0.frameCode == frameCode }) else { return nil }
        self = match
    }
}

extension [UInt8] {
    fileprivate mutating func append(little value: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
    fileprivate mutating func append(_ timings: SumTimings) {
        append(little: UInt64(bitPattern: timings.queued))
        append(little: UInt64(bitPattern: timings.run))
        append(little: UInt64(bitPattern: timings.cpu))
        append(little: UInt64(UInt32(bitPattern: timings.worker)))
    }
    fileprivate mutating func append(_ confinement: SumConfinement) {
        switch confinement {
        case .unknown: append(0)
        case .confined: append(1)
        case .open(let why):
            append(2)
            append(text: why)
        }
    }
    fileprivate mutating func append(text: String) {
        let bytes = text.utf8.prefix(SumFrame.messageLimit)
        append(little: UInt64(bytes.count))
        append(contentsOf: bytes)
    }
}
