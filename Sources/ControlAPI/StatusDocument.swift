// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// What `GET /v1/status` answers: the snapshot that dispatch publishes, at most four times a second.
///
/// Rows are bounded by whoever fills it in; the `..._total` counts say how many there are. Rates are bytes a
/// second over the last few seconds, sizes are bytes, URLs are masked.
public struct StatusDocument: Codable, Sendable, Hashable {
    /// One line in words; also systemd's `STATUS=`.
    public var verdict = ""
    public var version = ""
    public var pid: Int32 = 0
    /// When this snapshot was taken.
    public var now = Timestamp(WallTime(milliseconds: 0))
    public var startedAt = Timestamp(WallTime(milliseconds: 0))
    public var uptimeSeconds: Double = 0
    public var state = DaemonState.idle
    /// Why it is paused, in words.
    @Nullable public var pauseReason: String?
    public var config = ConfigStatus()
    /// Jobs of all lists that are not closed, by state.
    public var jobs = StateCounts()
    /// Open lists, oldest first.
    public var lists: [ListDocument] = []
    public var listsTotal = 0
    /// Oldest first.
    public var transfers: [TransferStatus] = []
    public var transfersTotal = 0
    /// Held ones first, then by connections.
    public var hosts: [HostDocument] = []
    public var hostsTotal = 0
    public var waiting: [WaitingStatus] = []
    public var workers: [WorkerStatus] = []
    public var sums = SumsStatus()
    /// The audit at work; nil: none is.
    @Nullable public var audit: AuditDocument?
    /// Audits that have not ended, the one at work with them.
    public var auditsTotal = 0
    public var disks: [DiskStatus] = []
    public var totals = TotalsStatus()
    public var memory = MemoryStatus()
    /// Newest first.
    public var errors: [ErrorStatus] = []
    public init() {}

    enum CodingKeys: String, CodingKey {
        case verdict, version, pid, now, state, config, jobs, lists, transfers, hosts, waiting, workers, sums,
            disks
        case totals, memory, errors, audit
        case auditsTotal = "audits_total"
        case startedAt = "started_at"
        case uptimeSeconds = "uptime_seconds"
        case pauseReason = "pause_reason"
        case listsTotal = "lists_total"
        case transfersTotal = "transfers_total"
        case hostsTotal = "hosts_total"
    }
}

/// What the daemon as a whole is doing.
public enum DaemonState: String, Codable, Sendable, Hashable, CaseIterable {
    /// Taking up ledger and spool; nothing starts yet.
    case starting
    case idle
    case running
    /// Jobs are there, none may start now.
    case waiting
    /// The disk is full, or the output directory is not the ledger's own.
    case paused
    case draining
}

/// Whether the configuration at work is the one on disk.
public struct ConfigStatus: Codable, Sendable, Hashable {
    public enum State: String, Codable, Sendable, Hashable {
        case ok
        /// The last reload was refused; the old configuration stays.
        case stale
    }
    public var state = State.ok
    /// Why it is stale.
    @Nullable public var reason: String?
    /// nil: no file, defaults only.
    @Nullable public var path: String?
    public init() {}
}

/// One transfer under way.
public struct TransferStatus: Codable, Sendable, Hashable {
    public var job = ""
    public var list: Int64 = 0
    /// Masked.
    public var url = ""
    public var host = ""
    /// The final path below the output directory.
    public var path = ""
    public var bytes: Int64 = 0
    /// nil: the server did not say.
    @Nullable public var total: Int64?
    public var rate: Double = 0
    public var worker = ""
    public var attempt = 1
    /// Since this attempt began.
    public var seconds: Double = 0
    public init() {}
}

/// Jobs that wait for the same thing.
public struct WaitingStatus: Codable, Sendable, Hashable {
    public var reason = WaitReason.backoff
    /// Where the reason is one host's.
    @Nullable public var host: String?
    public var count = 0
    @Nullable public var until: Timestamp?
    /// The cause in short: `429`, `connection refused`.
    @Nullable public var detail: String?
    public init() {}
}

/// One thread of the daemon. For workers with a multi handle the counts are filled in.
public struct WorkerStatus: Codable, Sendable, Hashable {
    /// The thread's name: `dld-xfer-0`.
    public var name = ""
    public var active = 0
    public var connections = 0
    public var rate: Double = 0
    public var heartbeatAgeSeconds: Double = 0
    /// The blocking call it is in, if it is in one.
    @Nullable public var blockedCall: String?
    public init() {}
    enum CodingKeys: String, CodingKey {
        case name, active, connections, rate
        case heartbeatAgeSeconds = "heartbeat_age_seconds"
        case blockedCall = "blocked_call"
    }
}

/// The processes of `sumd`.
public struct SumsStatus: Codable, Sendable, Hashable {
    public var isUp = false
    @Nullable public var pid: Int32?
    public var workerPids: [Int32] = []
    public var running = 0
    public var queued = 0
    public var restarts = 0
    public init() {}
    enum CodingKeys: String, CodingKey {
        case pid, running, queued, restarts
        case isUp = "up"
        case workerPids = "worker_pids"
    }
}

/// One file system that dld writes to.
public struct DiskStatus: Codable, Sendable, Hashable {
    /// `output`, `spool`, `state`.
    public var role = ""
    public var path = ""
    public var free: Int64 = 0
    public var total: Int64 = 0
    /// `limits.min_free`: below this nothing starts.
    public var reserve: Int64 = 0
    /// Bytes that transfers under way have asked for and not written yet.
    public var promised: Int64 = 0
    /// Files that may still be made; nil where there is no fixed number.
    @Nullable public var freeFiles: Int64?
    /// Why nothing starts there.
    @Nullable public var paused: String?
    public init() {}
    /// Nothing starts until there is more room.
    public var isShort: Bool { free < reserve }

    enum CodingKeys: String, CodingKey {
        case role, path, free, total, reserve, promised, paused
        case freeFiles = "free_files"
    }
}

/// Since the daemon started.
public struct TotalsStatus: Codable, Sendable, Hashable {
    public var bytes: Int64 = 0
    public var rate: Double = 0
    /// `limits.total_rate` as it is in force now, bytes a second; nil: none.
    @Nullable public var rateLimit: Int64?
    public var done = 0
    public var failed = 0
    public var cancelled = 0
    public var connections = 0
    /// At the present rate, for everything that is open.
    @Nullable public var secondsLeft: Double?
    public init() {}
    enum CodingKeys: String, CodingKey {
        case bytes, rate, done, failed, cancelled, connections
        case secondsLeft = "seconds_left"
        case rateLimit = "rate_limit"
    }
}

public struct MemoryStatus: Codable, Sendable, Hashable {
    public var rssBytes: Int64 = 0
    public init() {}
    enum CodingKeys: String, CodingKey { case rssBytes = "rss_bytes" }
}

/// A job's recent failure. Message and URL are masked.
public struct ErrorStatus: Codable, Sendable, Hashable {
    public var when = Timestamp(WallTime(milliseconds: 0))
    /// nil for a bad line.
    @Nullable public var job: String?
    public var list: Int64 = 0
    public var line = 0
    public var code = ""
    public var message = ""
    @Nullable public var host: String?
    public init() {}
}
