// SPDX-License-Identifier: Apache-2.0

/// The pieces of one whole file on their way through the process pool: what is asked for next, and what was wrong.
/// Pure.
///
/// Pieces go in *runs*, which any process may take: as many as make 16 MiB, so that neither a round trip for each piece
/// nor one long run at the end leaves processes idle.
public struct PieceCheck: Sendable, Hashable {
    public struct Run: Sendable, Hashable {
        public let first: Int
        public let count: Int
        public let span: DigestSpan
    }
    public struct Fault: Sendable, Hashable {
        public let piece: Int
        public let found: Checksum
    }
    static let runBytes: Int64 = 16 << 20
    /// Runs of one file that may be under way: others' digests wait behind no more.
    static let runLimit = 32

    public let hashes: PieceHashes
    public let size: Int64
    private var next = 0
    private var out: [Int: Run] = [:]
    /// In the order of their answers.
    public private(set) var faults: [Fault] = []

    /// nil where a file of this size has another number of pieces.
    public init?(_ hashes: PieceHashes, size: Int64) {
        guard hashes.layout.fits(size: size) else { return nil }
        self.hashes = hashes
        self.size = size
    }

    /// Every piece has its answer.
    public var isOver: Bool { next == hashes.layout.count && out.isEmpty }

    /// What may be handed out now; nil: nothing more, or enough for the time being.
    public mutating func nextRun() -> Run? {
        let layout = hashes.layout
        guard next < layout.count, out.count < Self.runLimit else { return nil }
        let most = min(Int64(DigestSpan.pieceLimit), max(1, Self.runBytes / layout.length))
        let count = min(Int(most), layout.count - next)
        let start = layout.range(of: next, size: size).start
        let end = layout.range(of: next + count - 1, size: size).end
        guard let span = DigestSpan(offset: start, length: end - start, pieceLength: layout.length) else {
            preconditionFailure("a run of pieces that cannot be: \(layout), \(size)")
        }
        let run = Run(first: next, count: count, span: span)
        out[next] = run
        next += count
        return run
    }

    /// The digests of a run's pieces, one after the other.
    /// - Returns: false where they are not as many as were asked for: the pool is not to be believed.
    public mutating func answered(_ first: Int, _ digests: [UInt8]) -> Bool {
        let algorithm = hashes.layout.algorithm
        let width = algorithm.byteCount
        guard let run = out.removeValue(forKey: first), digests.count == run.count * width else {
            return false
        }
        let begin = first * width
        // Nearly always all are right.
        if digests[...] == hashes.bytes[begin..<(begin + digests.count)] { return true }
        for place in 0..<run.count {
            let bytes = Array(digests[(place * width)..<((place + 1) * width)])
            let found = Checksum(algorithm: algorithm, bytes: bytes)
            if found != hashes[first + place] { faults.append(Fault(piece: first + place, found: found)) }
        }
        return true
    }

    /// Ranges of the file whose pieces are right, in order and joined.
    public var sound: [ByteRange] {
        let layout = hashes.layout
        var ranges: [ByteRange] = []
        var place: Int64 = 0
        for piece in faults.map(\.piece).sorted() {
            let bad = layout.range(of: piece, size: size)
            if bad.start > place { ranges.append(ByteRange(place, bad.start)) }
            place = bad.end
        }
        if place < size { ranges.append(ByteRange(place, size)) }
        return ranges
    }
}

/// What becomes of a file some of whose pieces are wrong, and when pieces are looked at. Pure.
///
/// Wrong pieces alone are fetched again, by the next mirror where there is one. Each round is one mismatch of the job,
/// counted over restarts. With pieces that are wrong time and again a file ends as one with a wrong digest does.
public enum PiecePolicy {
    public enum Verdict: Sendable, Hashable {
        /// These ranges stay, all else is fetched again.
        case mend([ByteRange])
        /// Nothing of it is right.
        case fetchAgain
        case fail
    }
    static let mostRounds = 8

    /// - Parameters:
    ///   - earlier: rounds, and wrong digests, of this job before.
    ///   - mirrors: URLs that it has. Each has its turn, and one alone a second one.
    public static func verdict(_ check: PieceCheck, earlier: Int, mirrors: Int) -> Verdict {
        let sound = check.sound
        guard !sound.isEmpty else {
            return MismatchPolicy.verdict(earlier: earlier) == .fetchAgain ? .fetchAgain : .fail
        }
        return earlier < min(max(mirrors, 2), mostRounds) ? .mend(sound) : .fail
    }

    /// Whether the pieces are looked at once the digest of the whole is known: to find what is wrong, and where they
    /// say more than it does. A whole digest alone is one process's work, so it does not wait for them.
    /// - Parameter wanted: what the list says of the whole.
    public static func looksAtPieces(_ layout: PieceLayout, wanted: Checksum?, found: Checksum) -> Bool {
        guard let wanted, wanted == found else { return true }
        return layout.algorithm.strength > wanted.algorithm.strength
    }

    /// The first wrong piece with both values, and how many others there are.
    public static func error(_ check: PieceCheck, keptAs name: String?) -> JobError {
        let layout = check.hashes.layout
        guard let first = check.faults.min(by: { $0.piece < $1.piece }) else {
            preconditionFailure("an error without a fault")
        }
        let range = layout.range(of: first.piece, size: check.size)
        let others = check.faults.count > 1 ? "; \(check.faults.count - 1) more are wrong" : ""
        let kept = name.map { "; kept as \(QuarantineName.directory)/\($0)" } ?? ""
        return JobError(
            .digestMismatch,
            "piece \(first.piece + 1) of \(layout.count) (bytes \(range.start) to \(range.end - 1)): "
                + "expected \(check.hashes[first.piece]), received \(first.found)\(others)\(kept)")
    }
}
