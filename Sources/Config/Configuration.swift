// SPDX-License-Identifier: Apache-2.0

// Module Config: the text of a config file in, validated values out. Pure: reads no file, no environment,
// no clock.
//
// Threads: everything here is a value; any thread may use it.
// Diagnostics: a bad config is a list of `ConfigMistake`s, and the daemon cannot start (or keeps the old
// config at a reload). Nothing here fails a job.

public import JobModel

/// The whole configuration: every key of the config file, typed and checked.
public struct Configuration: Sendable, Hashable {
    /// `spool_dir`: lists are dropped here.
    public var spoolDir = "/var/spool/dld"
    /// `output_dir`: finished files.
    public var outputDir = "/srv/dld"
    /// `state_dir`: the ledger.
    public var stateDir = "/var/lib/dld"
    /// `control.socket`: at most 107 bytes, what a Unix socket's name holds.
    public var controlSocket = "/run/dld/control.sock"
    /// `spool`.
    public var spool = Spool()
    /// `log`.
    public var log = Log()
    /// Transfer threads.
    public var workers: Int
    /// `transfers_per_worker`: at a time on each thread.
    public var transfersPerWorker = 64
    /// `hosts`.
    public var hosts = HostRules()
    /// `retry`.
    public var retry = RetryPolicy(maxAttempts: 5, baseDelay: .seconds(1), maxDelay: .seconds(600))
    /// `timeouts`.
    public var timeouts = Timeouts()
    /// `limits`.
    public var limits = Limits()
    /// `segments`: kept for files fetched in pieces.
    public var segments = Segments()
    /// `retention`.
    public var retention = Retention()
    /// `digest`.
    public var digest = Digest()
    /// `output`.
    public var output = Output()
    /// Audits of finished files.
    public var verify = Verify()
    /// `network`.
    public var network = Network()
    /// `sum`.
    public var sum: Sum
    /// `durability`.
    public var durability = Durability.full

    /// The defaults on a machine with so many cores.
    public init(cores: Int) {
        let count = max(1, min(256, cores))
        workers = count
        sum = Sum(processes: count)
    }

    /// How dropped lists are found.
    public struct Spool: Sendable, Hashable {
        /// How long size and mtime of a file found by a scan must stand still.
        public var quiet: Duration = .seconds(5)
        /// How often the folder is read through beside inotify.
        public var rescan: Duration = .seconds(60)
    }

    /// Where the log goes and how it looks.
    public struct Log: Sendable, Hashable {
        /// The least that is logged.
        public var level = LogLevel.info
        /// How a log line looks.
        public var format = LogFormat.auto
        /// Where the line for each ended job goes.
        public var jobsFile = JobsFile.automatic
    }
    /// swift-log's levels, by their names.
    public enum LogLevel: String, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }
    /// How a log line looks.
    public enum LogFormat: String, Sendable, CaseIterable {
        /// `journal` under systemd, else `text`.
        case auto
        case text
        /// `<N>` priorities before each line, as systemd reads them.
        case journal
        case json
    }
    /// Where the line for each ended job goes.
    public enum JobsFile: Sendable, Hashable {
        /// `jobs.log` in the log directory, or in `state_dir` where there is none.
        case automatic
        case off
        case path(String)
    }

    /// How long dld waits for what.
    public struct Timeouts: Sendable, Hashable {
        /// Name, connection and TLS together.
        public var connect: Duration = .seconds(10)
        /// No byte for so long ends an attempt.
        public var stall: Duration = .seconds(60)
        /// From its start to its file, redirects included, ends an attempt; nil is none.
        public var attempt: Duration?
        /// From the first attempt, waiting included; nil is none.
        public var job: Duration?
        /// For running transfers after SIGTERM.
        public var drain: Duration = .seconds(10)
    }

    /// Bytes; nil is no limit.
    public struct Limits: Sendable, Hashable {
        /// Of one downloaded file.
        public var maxFileSize: Int64?
        /// Of one dropped list, unpacked.
        public var maxListSize: Int64?
        /// Of a list of digests.
        public var maxChecksumsSize: Int64? = 64 << 20
        /// For one download; 0 follows none.
        public var maxRedirects = 10
        /// Free bytes below which no transfer starts.
        public var minFree: Int64 = 256 << 20
        /// Bytes a second, all transfers together.
        public var totalRate = RateTimetable.unlimited
    }

    /// Files fetched in pieces.
    public struct Segments: Sendable, Hashable {
        /// Connections for one file at most; nil: as many as bring something, and what lists ask for.
        public var perFile: Int?
        /// No range smaller than this is split off.
        public var minSize: Int64 = 1 << 20
        /// A running transfer's bytes are made sure of after so many more of them.
        public var checkpointBytes: Int64 = 16 << 20
        /// The same by time, where any have come.
        public var checkpointInterval: Duration = .seconds(5)
    }

    /// What is deleted by age.
    public struct Retention: Sendable, Hashable {
        /// How long closed lists are kept; nil is for ever.
        public var lists: Duration?
        /// How long part files of jobs that nobody goes on with are kept.
        public var parts: Duration = .seconds(7 * 86_400)
    }

    /// What is done with digests.
    public struct Digest: Sendable, Hashable {
        /// A digest for every file, also where the list gave none.
        public var always: DigestAlgorithm?
        /// Where a file's digest is written, beside ledger and results.
        public var write = DigestMark.none
        /// Whether a file whose digest is wrong is kept for a look, until `retention.parts` is over.
        public var keepsBad = false
    }

    /// Audits of finished files.
    public struct Verify: Sendable, Hashable {
        /// Bytes a second that are read for them.
        public var rate = RateTimetable(100 << 20)
    }

    /// Names and modes of finished files.
    public struct Output: Sendable, Hashable {
        /// When the final path is taken.
        public var exists = ExistsPolicy.rename
        /// Where below the output a file goes.
        public var layout = OutputLayout.flat
        /// Permissions of files, whatever the umask.
        public var fileMode: UInt32 = 0o644
        /// Permissions of directories, whatever the umask.
        public var dirMode: UInt32 = 0o755
        /// Files get the server's Last-Modified as their mtime.
        public var remoteTime = false
        /// Whether the server may name the file.
        public var contentDisposition = false
    }

    /// What may be fetched, and how.
    public struct Network: Sendable, Hashable {
        /// What may be fetched from private networks.
        public var privateAddresses = PrivateAddressRule.redirectDeny
        /// Lower-case schemes that may be fetched.
        public var protocols: Set<String> = ["http", "https"]
        /// Silence from everywhere for so long is taken for a dead uplink of our own.
        public var downAfter: Duration = .seconds(30)
        /// Whether https may redirect to http.
        public var httpsDowngrade = false
        /// Whether TLS certificates are verified.
        public var checkCertificate = true
        /// PEM bundle; nil is the system's.
        public var caFile: String?
        /// nil is none. May hold credentials: never show it unmasked.
        public var proxy: String?
        /// nil is `dld/VERSION`.
        public var userAgent: String?
    }

    /// Sum jobs and their processes.
    public struct Sum: Sendable, Hashable {
        /// CPU processes of `sumd`.
        public var processes: Int
        /// Terms of one sum job.
        public var maxTerms: UInt64 = 10_000_000_000_000
    }

    /// What is fsynced before it counts as done.
    public enum Durability: String, Sendable, CaseIterable {
        case full
        /// No fsync anywhere: a power cut may cost what was done.
        case none
    }
}

extension OutputLayout {
    /// The default: the last segment of the URL's path.
    public static let flat: OutputLayout = {
        do throws(LayoutError) {
            return try OutputLayout(template: "flat")
        } catch {
            preconditionFailure("the layout \"flat\" is always there: \(error.message)")
        }
    }()
}
