// SPDX-License-Identifier: Apache-2.0

import JobModel

/// A piece of a CPU job: what one worker computes at one go.
struct Piece: Sendable, Hashable {
    enum Work: Sendable, Hashable {
        case terms(SumRange)
        /// A file or a span of it; `size` is its bytes, for the dealing and the deadline only. `rate`: bytes a second at
        /// most.
        case file(DigestAlgorithm, span: DigestSpan = .whole, size: Int64, rate: Int64? = nil)
        /// Small files, of `size` bytes together.
        case bundle(DigestAlgorithm, files: Int, size: Int64)

        /// Bytes to be read.
        var bytes: Int64 {
            switch self {
            case .terms: 0
            case .file(_, _, let size, _): max(0, size)
            case .bundle(_, _, let size): min(max(0, size), BundleLimit.bytes)
            }
        }
        var rate: Int64? {
            if case .file(_, _, _, let rate) = self { rate } else { nil }
        }
        var isLong: Bool { bytes > WorkerHand.longFile }
        /// One term is one, one byte four. At most 2^62, so that sixteen short ones and one of these cannot overflow.
        var weight: UInt64 {
            switch self {
            case .terms(let range): UInt64(min(range.terms, 1 << 62))
            case .file, .bundle: UInt64(min(bytes, 1 << 60)) * 4
            }
        }
    }
    /// Of this piece alone; never used again.
    let id: UInt64
    /// The job it belongs to.
    let ticket: UInt64
    let work: Work
}

/// What lies with one worker, in the order it was dealt. Pure.
///
/// The worker goes by that order with one exception: once it has begun a long file it does what comes after in between,
/// so that short jobs flow though every worker has a long one. At most sixteen pieces, and more than one besides the
/// long file only while they are short: what lies here cannot be given to another.
struct WorkerHand {
    static let depth = 16
    /// What may lie here beyond the first piece.
    static let shortWeight: UInt64 = 1 << 24
    static let longFile: Int64 = 64 << 20

    private(set) var pieces: [Piece] = []
    /// Of all but the long file.
    private(set) var weight: UInt64 = 0
    private(set) var holdsLongFile = false
    /// It works on what may have killed another: nothing else is put at stake.
    var holdsSuspect = false
    /// Ends with its last piece.
    var isRetiring = false

    var isEmpty: Bool { pieces.isEmpty }
    /// Cheap, and true of every hand that `hasRoom` for something.
    var mayTakeMore: Bool {
        !isRetiring && !holdsSuspect && pieces.count < Self.depth
            && !(isHeavy && holdsLongFile)
    }
    /// A long file may still come, but nothing else.
    var isHeavy: Bool { weight >= Self.shortWeight }

    func hasRoom(for work: Piece.Work) -> Bool {
        guard mayTakeMore else { return false }
        if work.isLong { return !holdsLongFile }
        let others = pieces.count - (holdsLongFile ? 1 : 0)
        return others == 0 || weight + work.weight <= Self.shortWeight
    }

    /// What the next piece goes by: fewest first. A worker without a long file has its whole time for it.
    func burden(at slot: Int) -> (Int, UInt64, Int, Int) {
        (holdsLongFile ? 1 : 0, weight, pieces.count, slot)
    }

    /// What may have been under way when the worker died: the oldest, and if that is long the oldest behind it.
    var suspects: [Piece] {
        guard let oldest = pieces.first else { return [] }
        guard oldest.work.isLong else { return [oldest] }
        return [oldest] + pieces.dropFirst().prefix(1)
    }

    mutating func take(_ piece: Piece) {
        pieces.append(piece)
        weigh()
    }

    mutating func give(_ id: UInt64) -> Piece? {
        guard let place = pieces.firstIndex(where: { $0.id == id }) else { return nil }
        defer { weigh() }
        return pieces.remove(at: place)
    }

    private mutating func weigh() {
        weight = pieces.reduce(0) { $1.work.isLong ? $0 : $0 + $1.work.weight }
        holdsLongFile = pieces.contains { $0.work.isLong }
        if pieces.isEmpty { holdsSuspect = false }
    }
}
