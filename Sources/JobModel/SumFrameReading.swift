// SPDX-License-Identifier: Apache-2.0

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
        case 14:
            let ticket = try word()
            let submitted = try time()
            let files = try bundleCount()
            let bytes = try time()
            guard bytes >= 0 else { throw .badField }
            return .bundle(
                ticket: ticket, algorithm: try algorithm(), files: files, bytes: bytes, submitted: submitted)
        case 15:
            let ticket = try word()
            let timings = try timings()
            let count = try bundleCount()
            var digests: [BundledDigest] = []
            digests.reserveCapacity(count)
            for _ in 0..<count { digests.append(try bundledDigest()) }
            return .bundled(ticket: ticket, digests: digests, timings: timings)
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
    mutating func bundleCount() throws(SumFrameError) -> Int {
        let count = try word()
        guard 1...UInt64(BundleLimit.files) ~= count else { throw .badField }
        return Int(count)
    }
    /// An algorithm's code with the digest, or 0 with an error number.
    mutating func bundledDigest() throws(SumFrameError) -> BundledDigest {
        let code = try byte()
        guard code != 0 else { return .unreadable(errno: Int32(truncatingIfNeeded: try word())) }
        guard let algorithm = DigestAlgorithm(frameCode: code) else { throw .badField }
        return .digest(
            Checksum(algorithm: algorithm, bytes: Array(try take(algorithm.byteCount))))
    }
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
