// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit

extension WorkerLoop {
    struct Failure: Error {
        let fault: SumFault
        let message: String
    }
    /// Between two looks at the socket: a few milliseconds of work.
    private static let bytesBetweenLooks = 4 << 20
    /// As long as others may have it at one go, at least.
    private static let shortTurn: Int64 = 10_000_000

    /// nil: cancelled meanwhile.
    mutating func digest(
        _ file: HeldFile, _ algorithm: DigestAlgorithm, _ span: DigestSpan, _ ticket: UInt64
    ) throws -> Result<Checksum, Failure>? {
        guard var running = RunningDigest.make(algorithm) else { return .failure(Self.refused(algorithm)) }
        current.append(ticket)
        defer { current.removeLast() }
        var reader = SpanReader(file.descriptor.rawValue, span)
        var unlooked = 0
        var othersMayAt: Int64 = 0
        while true {
            var taken = 0
            let step = unsafe reader.step(&block) { bytes in
                taken = bytes.count
                return unsafe running.update(bytes)
            }
            switch step {
            case .bytes: break
            case .end: return running.finish().map { .success($0) } ?? .failure(Self.refused(algorithm))
            case .refused: return .failure(Self.refused(algorithm))
            case .failed(let code):
                return .failure(
                    Failure(fault: .unreadable, message: "read for its \(algorithm.rawValue) digest: \(code)")
                )
            case .short(let end):
                return .failure(
                    Failure(
                        fault: .unreadable, message: "the file ends at byte \(end), before its piece does"))
            }
            unlooked += taken
            guard unlooked >= Self.bytesBetweenLooks else { continue }
            unlooked = 0
            try look()
            if cancelled.remove(ticket) != nil { return nil }
            try giveSign(ticket)
            try serveOthers(&othersMayAt)
        }
    }

    /// One digest for each of the span's pieces, one after the other. nil: cancelled meanwhile.
    mutating func digests(
        _ file: HeldFile, _ algorithm: DigestAlgorithm, _ span: DigestSpan, _ ticket: UInt64
    ) throws -> Result<[UInt8], Failure>? {
        var digests: [UInt8] = []
        for piece in span.pieces {
            switch try digest(file, algorithm, piece, ticket) {
            case .success(let checksum): digests += checksum.bytes
            case .failure(let failure): return .failure(failure)
            case nil: return nil
            }
        }
        return .success(digests)
    }

    /// What came meanwhile, which the dealer holds short. It may take half of the time, so that the long file comes to
    /// its end too.
    private mutating func serveOthers(_ mayAt: inout Int64) throws {
        let started = Monotonic.nanoseconds()
        guard current.count == 1, !inbox.isEmpty, started >= mayAt else { return }
        var now = started
        while !inbox.isEmpty, now - started < Self.shortTurn {
            try performNext()
            now = Monotonic.nanoseconds()
        }
        try sendAnswers()
        mayAt = now + (now - started)
        lastSign = now
    }

    private static func refused(_ algorithm: DigestAlgorithm) -> Failure {
        Failure(fault: .unavailable, message: "the system's libcrypto does not offer \(algorithm.rawValue)")
    }

    private mutating func giveSign(_ ticket: UInt64) throws {
        let now = Monotonic.nanoseconds()
        guard now - lastSign > 1_000_000_000 else { return }
        lastSign = now
        put(.progress(ticket: ticket))
        try sendAnswers()
    }
}
