// SPDX-License-Identifier: Apache-2.0

public import JobModel
public import LinuxKit

/// What the dispatcher asks of the CPU side. Sent through the loop's mailbox; never blocks.
public enum SumCommand: Sendable, Hashable {
    case sum(JobSeq, SumRange)
    /// Digests the part file `name` in `directory`. The loop opens it itself, when its turn comes.
    /// With a span, that part of it; with one in pieces it is answered by `pieced`. With a rate, at most so many bytes a
    /// second.
    case digest(
        JobSeq, directory: String, name: String, DigestAlgorithm, span: DigestSpan = .whole,
        rate: Int64? = nil)
    /// The same for a whole file that may be there: its size is told first, by `found`.
    case look(JobSeq, directory: String, name: String, DigestAlgorithm)
    /// Digests small files that are open already, as one piece; answered by `bundled`. Of `bytes` together, about.
    case bundle(JobSeq, [HeldFile], DigestAlgorithm, bytes: Int64)
    /// The answer is no longer wanted; one that is already on its way may still be reported.
    case cancel(JobSeq)
    /// So many worker processes from now on; held between 1 and 1024. No job is lost or begun anew by it.
    case resize(Int)
    /// Ends the loop and `sumd`; jobs under way are forgotten without an event.
    case stop
}

/// What the CPU side reports. Called on the loop's own thread; the closure must not block.
public enum SumEvent: Sendable, Hashable {
    /// `value` is the exact total in decimal.
    case summed(JobSeq, value: String, SumTimings)
    case digested(JobSeq, Checksum, SumTimings)
    /// The digests of a span's pieces, one after the other.
    case pieced(JobSeq, [UInt8], SumTimings)
    /// What came of each file of a bundle, in order.
    case bundled(JobSeq, [BundledDigest])
    /// The file of a `look` is there and is being digested.
    case found(JobSeq, size: Int64)
    case failed(JobSeq, JobError)
    /// Something about the pool changed; at most ten a second, the last one always.
    case state(SumPoolState)
}

/// The CPU side as status shows it.
public struct SumPoolState: Sendable, Hashable {
    /// Process id of `sumd`; nil while none runs.
    public var pid: Int32?
    /// Process ids of its workers.
    public var workers: [Int32] = []
    /// Jobs that wait in dld for a free credit.
    public var queued = 0
    /// Jobs handed to `sumd`.
    public var running = 0
    /// How often `sumd` was started again since the loop began.
    public var restarts = 0
    /// How often `sumd` replaced a worker, since it was itself started last.
    public var workerRestarts = 0
    /// Whether `sumd` runs with at least one worker.
    public var isUp = false
    /// What happened last, in words: a death, a start that failed. Empty when nothing did.
    public var remark = ""
    /// Whether the workers have given up all but computing.
    public var confinement = SumConfinement.unknown
    public init() {}
}

/// How the pool is run.
public struct SumPoolSettings: Sendable, Hashable {
    /// Path of the `sumd` program.
    public var executable: String
    /// Worker processes; held between 1 and 1024.
    public var processes: Int
    /// Distances between restarts of `sumd`.
    public var restart: RestartPolicy
    /// `sumd` that leaves a ping unanswered for so long is killed and started again.
    public var answerLimit: Duration
    /// A worker that gives no sign of life for so long over one piece is killed; see also `PieceDeadline`. Whole
    /// seconds, at least one.
    public var pieceLimit: Duration
    /// After so many starts in a row that failed, waiting jobs fail instead of waiting for ever.
    public var failedStartLimit: Int
    /// Whether `sumd` is started with the loop, or by the first job.
    public var startsAtOnce: Bool
    public init(
        executable: String, processes: Int, restart: RestartPolicy = RestartPolicy(),
        answerLimit: Duration = .seconds(60), pieceLimit: Duration = .seconds(600), failedStartLimit: Int = 5,
        startsAtOnce: Bool = true
    ) {
        self.executable = executable
        self.processes = Self.held(processes)
        self.restart = restart
        self.answerLimit = answerLimit
        self.pieceLimit = pieceLimit
        self.startsAtOnce = startsAtOnce
        self.failedStartLimit = max(1, failedStartLimit)
    }

    static func held(_ processes: Int) -> Int { min(max(processes, 1), 1024) }
}
