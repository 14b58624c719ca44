// SPDX-License-Identifier: Apache-2.0

/// A remark on how a job ended that is no error.
public enum JobFlag: String, Sendable, Codable, CaseIterable {
    /// It ended as a live job of the same URL and path did.
    case duplicate
    /// The name was taken and `exists = skip`.
    case skipped
    /// The file at hand is current and `exists = update`.
    case unchanged
    /// The server gave no length and no digest was asked for.
    case lengthUnverified = "length_unverified"
    /// An option of the list loosened what the config holds and was ignored.
    case optionIgnored = "option_ignored"
    /// Found whole after a crash.
    case recovered
}

/// Phases of the attempt that counted, in nanoseconds; -1 is "unknown" (null in results).
public struct JobTimings: Sendable, Hashable, Codable {
    /// From admission to the first start.
    public var queued: Int64 = -1
    /// All back-off and holds after the first start.
    public var waiting: Int64 = 0
    public var dns: Int64 = -1
    public var connect: Int64 = -1
    public var tls: Int64 = -1
    public var firstByte: Int64 = -1
    public var transfer: Int64 = -1
    public var publish: Int64 = -1
    /// From admission to the end.
    public var total: Int64 = -1
    /// Sum jobs: time on a worker process, and its CPU time.
    public var run: Int64 = -1
    public var cpu: Int64 = -1
    public init() {}
}

/// How a job ended: what the ledger's outcome row holds beyond the job's own row.
public struct Outcome: Sendable, Hashable {
    /// Terminal.
    public var state: JobState
    public var error: JobError?
    /// The final path, where a file was (or already is) in place.
    public var path: OutputPath?
    public var finalURL: String?
    /// Length of the file, bytes.
    public var bytes: Int64?
    /// Body bytes received over the network in all attempts.
    public var fetchedBytes: Int64 = 0
    /// Bytes of an earlier attempt that were kept.
    public var resumedBytes: Int64 = 0
    public var digest: Checksum?
    public var contentType: String?
    public var etag: String?
    public var lastModified: String?
    public var httpStatus: Int?
    /// `1.1` or `2`.
    public var httpVersion: String?
    public var remoteIP: String?
    public var attempts: Int = 0
    public var flags: [JobFlag] = []
    public var startedAt: WallTime?
    public var endedAt: WallTime
    public var timings = JobTimings()
    /// A sum's total, decimal.
    public var value: String?
    /// Who did the work, for jobs.log: `xfer-0`, or the pid of a sum process.
    public var worker: String?
    public init(state: JobState, endedAt: WallTime) {
        precondition(state.isTerminal, "an outcome is terminal")
        self.state = state
        self.endedAt = endedAt
    }
}

/// Everything one line of `NAME.results.jsonl` shows, from the job's row and its outcome row.
public struct ResultRecord: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Mirrors as given (normalised, unmasked), host of the first.
        case download(urls: [String], host: HostKey)
        case sum(SumRange)
        /// A line that was no good: results show it as a download without a job id.
        case badLine
    }
    public var list: ListID
    /// Number of the entry's first line in the file, from 1.
    public var line: Int
    public var seq: JobSeq
    /// nil for a bad line.
    public var job: JobID?
    public var userID: String?
    public var kind: Kind
    public var sharedOptions: SharedOptions
    public var state: JobState
    /// nil while the job has not ended (`/v1/jobs` shows those too).
    public var outcome: Outcome?
    /// Digests of the file's pieces, of a job that is to be tried again.
    public var pieces: PieceHashes?
    public init(
        list: ListID, line: Int, seq: JobSeq, job: JobID?, userID: String?, kind: Kind, options: SharedOptions,
        state: JobState, outcome: Outcome?
    ) {
        self.list = list
        self.line = line
        self.seq = seq
        self.job = job
        self.userID = userID
        self.kind = kind
        sharedOptions = options
        self.state = state
        self.outcome = outcome
    }

    /// Own options over the list's defaults.
    public var options: JobOptions {
        get { sharedOptions.value }
        set { sharedOptions = SharedOptions(newValue) }
    }
}
