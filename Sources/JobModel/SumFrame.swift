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
    /// Digest small files whose descriptors come with the same packet, as one piece. `bytes`: of all together, about.
    case bundle(ticket: UInt64, algorithm: DigestAlgorithm, files: Int, bytes: Int64, submitted: Int64)
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
    /// To a bundle: what came of each file, in order.
    case bundled(ticket: UInt64, digests: [BundledDigest], timings: SumTimings)
    case failed(ticket: UInt64, fault: SumFault, message: String)
    /// The pool changed: its live workers, how many were replaced since the start, what happened last, in words, and
    /// whether every worker that told is confined.
    case pool(workers: [Int32], restarts: UInt64, remark: String, confinement: SumConfinement = .unknown)

    /// How many descriptors ride with this frame. A packet has at most one frame with any.
    public var descriptors: Int {
        switch self {
        case .digest: 1
        case .bundle(_, _, let files, _, _): files
        default: 0
        }
    }

    /// The job it is about; nil for what concerns the peer as a whole.
    public var ticket: UInt64? {
        switch self {
        case .sum(let ticket, _, _, _), .digest(let ticket, _, _, _, _), .cancel(let ticket),
            .progress(let ticket),
            .summed(let ticket, _, _), .digested(let ticket, _, _), .pieces(let ticket, _, _),
            .bundle(let ticket, _, _, _, _), .bundled(let ticket, _, _), .failed(let ticket, _, _):
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
        case .bundle(let ticket, let algorithm, let files, let bytes, let submitted):
            packet.append(14)
            packet.append(little: ticket)
            packet.append(little: UInt64(bitPattern: submitted))
            packet.append(little: UInt64(max(0, files)))
            packet.append(little: UInt64(max(0, bytes)))
            packet.append(algorithm.frameCode)
        case .bundled(let ticket, let digests, let timings):
            packet.append(15)
            packet.append(little: ticket)
            packet.append(timings)
            packet.append(little: UInt64(digests.count))
            for digest in digests { packet.append(digest) }
        }
    }
}

extension DigestAlgorithm {
    /// Numbers of the wire; both ends are of one build, so they may change between releases.
    var frameCode: UInt8 {
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
    init?(frameCode: UInt8) {
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
    fileprivate mutating func append(_ digest: BundledDigest) {
        switch digest {
        case .digest(let checksum):
            append(checksum.algorithm.frameCode)
            append(contentsOf: checksum.bytes)
        case .unreadable(let code):
            append(0)
            append(little: UInt64(UInt32(bitPattern: code)))
        }
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
