// SPDX-License-Identifier: Apache-2.0

/// A part of a file, in bytes: what one digest goes over, or one digest for each of its pieces.
public struct DigestSpan: Sendable, Hashable {
    public static let whole = DigestSpan()
    /// At least 0.
    public let offset: Int64
    /// nil: up to the end of the file. A file that ends before it fails the job.
    public let length: Int64?
    /// Bytes of a piece, the last one may be shorter: each has a digest of its own. nil: one digest over all.
    public let pieceLength: Int64?
    /// Pieces that one span may have: their digests are one frame.
    public static let pieceLimit = 128

    private init() {
        offset = 0
        length = nil
        pieceLength = nil
    }
    /// nil where a number is negative, the end lies beyond 2^63 - 1, or there are no pieces or too many.
    public init?(offset: Int64, length: Int64?, pieceLength: Int64? = nil) {
        guard offset >= 0, (length ?? 0) >= 0, !offset.addingReportingOverflow(length ?? 0).overflow else {
            return nil
        }
        if let pieceLength {
            guard pieceLength > 0, let length, length > 0, (length - 1) / pieceLength < Self.pieceLimit else {
                return nil
            }
        }
        self.offset = offset
        self.length = length
        self.pieceLength = pieceLength
    }

    /// What each digest goes over, in order.
    public var pieces: [DigestSpan] {
        guard let pieceLength, let length else { return [self] }
        return stride(from: 0, to: length, by: Int64.Stride(pieceLength)).compactMap { start in
            DigestSpan(offset: offset + start, length: min(pieceLength, length - start))
        }
    }
}

/// Whether worker processes have given up all but computing.
public enum SumConfinement: Sendable, Hashable {
    /// None has told yet.
    case unknown
    /// The kernel refuses whatever else they ask for.
    case confined
    /// They could do what their user can, and why.
    case open(String)
}

/// What a CPU job took. All in nanoseconds, never below 0.
public struct SumTimings: Sendable, Hashable, Codable {
    /// From the job's arrival in the pool to the start of its first piece.
    public var queued: Int64
    /// From the start of its first piece to the end of its last.
    public var run: Int64
    /// CPU time over all its pieces (CLOCK_PROCESS_CPUTIME_ID of the workers).
    public var cpu: Int64
    /// The process that did it; of a job in several pieces, the one that did the last.
    public var worker: Int32
    public init(queued: Int64, run: Int64, cpu: Int64, worker: Int32) {
        self.queued = queued
        self.run = run
        self.cpu = cpu
        self.worker = worker
    }
}

/// Why a CPU job has no answer.
public enum SumFault: UInt8, Sendable, Hashable, CaseIterable {
    /// Two processes died over it.
    case workerDied = 1
    /// The same, and the kernel was killing for want of memory.
    case oom = 2
    /// The file could not be read.
    case unreadable = 3
    /// The digest library refuses the algorithm.
    case unavailable = 4

    /// The code that results and logs show.
    public var code: ErrorCode {
        switch self {
        case .workerDied: .workerDied
        case .oom: .oom
        case .unreadable: .disk
        case .unavailable: .badOption
        }
    }
}
