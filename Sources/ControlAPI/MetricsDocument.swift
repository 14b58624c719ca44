// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// What `GET /metrics` is written from: plain numbers that dispatch keeps anyway. Counters run since the
/// daemon
/// started, as Prometheus wants them.
public struct MetricsDocument: Sendable, Hashable {
    public var version = ""
    public var startedAt = WallTime(milliseconds: 0)
    public var state = DaemonState.idle
    public var isConfigStale = false
    /// Gauge: jobs of open lists, by state.
    public var jobs = StateCounts()
    /// Gauge.
    public var openLists = 0
    public var jobsDone = 0
    public var jobsFailed = 0
    public var jobsCancelled = 0
    /// Body bytes received.
    public var fetchedBytes: Int64 = 0
    /// Bytes of finished files.
    public var publishedBytes: Int64 = 0
    public var attempts = 0
    public var retries = 0
    public var connectionsOpened = 0
    /// Attempts that broke, by error code's name.
    public var errors: [String: Int] = [:]
    /// Gauge.
    public var activeTransfers = 0
    public var connections = 0
    public var heldHosts = 0
    public var openBreakers = 0
    /// Jobs that failed because their host was given up.
    public var hostUnavailable = 0
    /// Gauge: messages or jobs waiting, by queue (`dispatch`, `ledger`, `publish`, `sum`).
    public var queues: [String: Int] = [:]
    /// From the start of an attempt to its first byte, in seconds.
    public var firstByte = Histogram.latency()
    /// From admission to the end, in seconds.
    public var total = Histogram.duration()
    public var sumsRunning = 0
    public var sumsQueued = 0
    public var sumsDone = 0
    public var sumsFailed = 0
    public var sumRestarts = 0
    public var sumCPUSeconds: Double = 0
    /// Published files that audits have looked at, and queued again.
    public var verifiedFiles = AuditCounts()
    public var verifiedBytes: Int64 = 0
    public var verifyRepairs = 0
    /// Gauge.
    public var openAudits = 0
    /// Gauge.
    public var disks: [DiskStatus] = []
    public var residentBytes: Int64 = 0
    public init() {}
}

/// A histogram with fixed bounds: `observe` costs a short search and an addition, so a loop keeps it per job.
public struct Histogram: Sendable, Hashable {
    /// Upper bounds, ascending, without +Inf.
    public let bounds: [Double]
    /// One more than `bounds`: the last is above all of them. Not cumulative.
    public private(set) var counts: [Int]
    public private(set) var sum: Double = 0

    /// - Parameter bounds: ascending upper bounds.
    public init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds ascend")
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }
    /// 1 ms to 60 s.
    public static func latency() -> Histogram {
        Histogram(bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])
    }
    /// 10 ms to a day.
    public static func duration() -> Histogram {
        Histogram(bounds: [0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400, 43_200, 86_400])
    }

    /// Counts one value. What is no finite number is left out; negative counts as 0 (a clock that was set
    /// back).
    public mutating func observe(_ value: Double) {
        guard value.isFinite else { return }
        let held = max(0, value)
        counts[bounds.firstIndex { held <= $0 } ?? bounds.count] += 1
        sum += held
    }
    public var count: Int { counts.reduce(0, +) }
}
