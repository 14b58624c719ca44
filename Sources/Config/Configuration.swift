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
    public var spoolDir = "/var/spool/dld"
    public var outputDir = "/srv/dld"
    public var stateDir = "/var/lib/dld"
    /// `control.socket`: at most 107 bytes, what a Unix socket's name holds.
    public var controlSocket = "/run/dld/control.sock"
    public var spool = Spool()
    public var log = Log()
    /// Transfer threads.
    public var workers: Int
    public var transfersPerWorker = 64
    public var hosts = HostRules()
    public var retry = RetryPolicy(maxAttempts: 5, baseDelay: .seconds(1), maxDelay: .seconds(600))
    public var timeouts = Timeouts()
    public var limits = Limits()
    public var segments = Segments()
    public var retention = Retention()
    /// `digest.always`: a digest for every file, also where the list gave none.
    public var alwaysDigest: DigestAlgorithm?
    public var output = Output()
    public var network = Network()
    public var sum: Sum
    public var durability = Durability.full

    /// The defaults on a machine with so many cores.
    public init(cores: Int) {
        let count = max(1, min(256, cores))
        workers = count
        sum = Sum(processes: count)
    }

    public struct Spool: Sendable, Hashable {
        /// How long size and mtime of a file found by a scan must stand still.
        public var quiet: Duration = .seconds(5)
        /// How often the folder is read through beside inotify.
        public var rescan: Duration = .seconds(60)
    }

    public struct Log: Sendable, Hashable {
        public var level = LogLevel.info
        public var format = LogFormat.auto
        public var jobsFile = JobsFile.automatic
    }
    /// swift-log's levels, by their names.
    public enum LogLevel: String, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }
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

    public struct Timeouts: Sendable, Hashable {
        public var connect: Duration = .seconds(10)
        public var stall: Duration = .seconds(60)
        /// From the first attempt, waiting included; nil is none.
        public var job: Duration?
        public var drain: Duration = .seconds(10)
    }

    /// Bytes; nil is no limit.
    public struct Limits: Sendable, Hashable {
        public var maxFileSize: Int64?
        public var maxListSize: Int64?
        public var maxRedirects = 10
        /// Free bytes below which no transfer starts.
        public var minFree: Int64 = 256 << 20
        /// Bytes a second, all transfers together.
        public var totalRate: Int64?
    }

    public struct Segments: Sendable, Hashable {
        /// Connections for one file.
        public var perFile = 1
        /// Files smaller than this are never split.
        public var minSize: Int64 = 64 << 20
    }

    public struct Retention: Sendable, Hashable {
        /// How long closed lists are kept; nil is for ever.
        public var lists: Duration?
        /// How long part files of jobs that nobody goes on with are kept.
        public var parts: Duration = .seconds(7 * 86_400)
    }

    public struct Output: Sendable, Hashable {
        public var exists = ExistsPolicy.rename
        public var layout = OutputLayout.flat
        public var fileMode: UInt32 = 0o644
        public var dirMode: UInt32 = 0o755
        /// Files get the server's Last-Modified as their mtime.
        public var remoteTime = false
        public var contentDisposition = false
    }

    public struct Network: Sendable, Hashable {
        public var privateAddresses = PrivateAddressRule.redirectDeny
        public var protocols: Set<String> = ["http", "https"]
        public var httpsDowngrade = false
        public var checkCertificate = true
        /// PEM bundle; nil is the system's.
        public var caFile: String?
        /// nil is none. May hold credentials: never show it unmasked.
        public var proxy: String?
        /// nil is `dld/VERSION`.
        public var userAgent: String?
    }

    public struct Sum: Sendable, Hashable {
        public var processes: Int
        /// Terms of one sum job.
        public var maxTerms: UInt64 = 10_000_000_000_000
    }

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
