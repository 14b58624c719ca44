// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

extension WorkerLoop {
    struct Failure: Error {
        let fault: SumFault
        let message: String
        /// Where the system would not read.
        var code: Errno?
    }
    /// Between two looks at the socket: a few milliseconds of work.
    private static let bytesBetweenLooks = 4 << 20
    /// As long as others may have it at one go, at least.
    private static let shortTurn: Int64 = 10_000_000

    /// nil: cancelled meanwhile.
    mutating func digest(
        _ file: HeldFile, _ algorithm: DigestAlgorithm, _ span: DigestSpan, _ rate: Int64?, _ ticket: UInt64
    ) throws -> Result<Checksum, Failure>? {
        guard var running = RunningDigest.make(algorithm) else { return .failure(Self.refused(algorithm)) }
        current.append(ticket)
        defer { current.removeLast() }
        var reader = SpanReader(file.descriptor.rawValue, span)
        var pacing = rate.map { Pacing(rate: $0, started: Monotonic.nanoseconds()) }
        let betweenLooks = Int(clamping: min(rate ?? .max, Int64(Self.bytesBetweenLooks)))
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
                    Failure(
                        fault: .unreadable, message: "read for its \(algorithm.rawValue) digest: \(code)",
                        code: code))
            case .short(let end):
                return .failure(
                    Failure(
                        fault: .unreadable, message: "the file ends at byte \(end), before its piece does"))
            }
            unlooked += taken
            pacing?.take(taken)
            guard unlooked >= betweenLooks else { continue }
            unlooked = 0
            repeat {
                try look()
                if cancelled.remove(ticket) != nil { return nil }
                try giveSign(ticket)
                try serveOthers(&othersMayAt)
            } while pause(pacing)
        }
    }

    /// One digest for each of the span's pieces, one after the other. nil: cancelled meanwhile.
    mutating func digests(
        _ file: HeldFile, _ algorithm: DigestAlgorithm, _ span: DigestSpan, _ ticket: UInt64
    ) throws -> Result<[UInt8], Failure>? {
        var digests: [UInt8] = []
        for piece in span.pieces {
            switch try digest(file, algorithm, piece, nil, ticket) {
            case .success(let checksum): digests += checksum.bytes
            case .failure(let failure): return .failure(failure)
            case nil: return nil
            }
        }
        return .success(digests)
    }

    /// What comes of each of some small files. nil: cancelled meanwhile.
    mutating func bundle(
        _ files: [HeldFile], _ algorithm: DigestAlgorithm, _ ticket: UInt64
    ) throws -> Result<[BundledDigest], Failure>? {
        var digests: [BundledDigest] = []
        digests.reserveCapacity(files.count)
        for file in files {
            switch try digest(file, algorithm, .whole, nil, ticket) {
            case .success(let checksum): digests.append(.digest(checksum))
            case .failure(let failure):
                guard let code = failure.code else { return .failure(failure) }
                digests.append(.unreadable(errno: code.rawValue))
            case nil: return nil
            }
            // On a slow disk each may take its time.
            try giveSign(ticket)
        }
        return .success(digests)
    }

    /// How far a file that is read at a rate is ahead of it.
    private struct Pacing {
        let rate: Int64
        let started: Int64
        var bytes: Int64 = 0
        mutating func take(_ count: Int) { bytes += Int64(count) }
        /// CLOCK_MONOTONIC ns: what has been read may have been read then, no sooner.
        var due: Int64 {
            let (seconds, rest) = bytes.quotientAndRemainder(dividingBy: rate)
            return started + seconds * 1_000_000_000 + Int64(Double(rest) / Double(rate) * 1e9)
        }
    }

    /// Whether it slept for the rate's sake, and should look again.
    private func pause(_ pacing: Pacing?) -> Bool {
        guard let pacing else { return false }
        let ahead = pacing.due - Monotonic.nanoseconds()
        guard ahead > 0 else { return false }
        // Short enough for a sign of life each second.
        wait(atMost: .nanoseconds(min(ahead, 500_000_000)))
        return true
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
