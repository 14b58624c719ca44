// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import LinuxKit
import SumPool
import Transfer

/// A list as the dispatcher shows it.
struct ListView {
    var row: ListRow
    var rate = RateMeter()
    var jobRate = RateMeter()
    /// Bytes received for jobs of this list since the daemon started.
    var received: Int64 = 0
    init(row: ListRow) { self.row = row }
}

/// The dispatcher's running figures: what snapshots are made of. Bounded, whatever the ledger holds.
struct DispatchView {
    static let publicationInterval = Duration.milliseconds(250)
    static let maxErrors = 20
    /// Hosts with open jobs that are remembered; a list may name millions.
    static let maxHosts = 8192

    let started: MonotonicTime
    var lists: [ListID: ListView] = [:]
    var hostCounts: [HostKey: StateCounts] = [:]
    var sums = SumPoolState()
    var errors: [ErrorStatus] = []
    var metrics = MetricsDocument()
    /// Bytes of transfers that have not ended.
    var arriving: Int64 = 0
    var rate = RateMeter()
    var jobRate = RateMeter()
    private(set) var lastPublication: MonotonicTime
    /// Something has happened since the last snapshot.
    var isDirty = true

    init(now: MonotonicTime) {
        started = now
        lastPublication = now + .seconds(-1)
    }

    /// Jobs that have not ended, paused ones apart: `dld once` ends when there are none.
    var openJobs: Int {
        lists.values.reduce(0) { sum, list in
            if list.row.isPaused { return sum }
            let open = list.row.counts.open - list.row.counts.paused
            // A list without open jobs is open until its results are written.
            let pending = list.row.counts.open == 0 || list.row.state == .admitting ? 1 : 0
            return sum + open + pending
        }
    }

    /// Never while nothing happens: an idle daemon sleeps.
    func nextPublication() -> MonotonicTime {
        isDirty ? lastPublication + Self.publicationInterval : .distantFuture
    }
    mutating func published(now: MonotonicTime) {
        lastPublication = now
        isDirty = false
    }

    mutating func received(_ report: TransferReport) {
        metrics.fetchedBytes &+= report.fetchedBytes
        metrics.connectionsOpened += report.newConnections
        metrics.attempts += 1
        if report.timings.firstByte >= 0 { metrics.firstByte.observe(Double(report.timings.firstByte) / 1e9) }
        if case .failed(let failure) = report.result {
            metrics.errors[failure.error.code.name, default: 0] += 1
        }
    }

    /// An attempt broke and will be tried again.
    mutating func note(error: JobError, of job: QueuedJob) {
        metrics.retries += 1
        append(error, of: job)
    }

    /// Jobs that failed in the ledger without a start: their host was given up.
    mutating func gaveUp(_ jobs: Int) {
        metrics.jobsFailed += jobs
        metrics.hostUnavailable += jobs
    }

    /// A job left the window.
    mutating func left(_ task: JobTask) {
        guard let outcome = task.outcome, case .ended = task.machine.state else { return }
        switch outcome.state {
        case .done:
            metrics.jobsDone += 1
            let isOwn = outcome.flags.allSatisfy { $0 != .duplicate && $0 != .skipped && $0 != .unchanged }
            if isOwn { metrics.publishedBytes &+= outcome.bytes ?? 0 }
        case .failed: metrics.jobsFailed += 1
        case .cancelled: metrics.jobsCancelled += 1
        case .queued, .active, .waiting, .publishing, .paused: break
        }
        if outcome.timings.total >= 0 { metrics.total.observe(Double(outcome.timings.total) / 1e9) }
        if case .sum = task.job.work {
            if outcome.state == .done { metrics.sumsDone += 1 } else { metrics.sumsFailed += 1 }
            if outcome.timings.cpu > 0 { metrics.sumCPUSeconds += Double(outcome.timings.cpu) / 1e9 }
        }
        lists[task.job.lane.list]?.received &+= Self.published(outcome)
        if let error = outcome.error, outcome.state == .failed { append(error, of: task.job) }
    }

    /// Bounded: past `maxHosts` a host with more open jobs takes the place of some other. Constant time.
    mutating func note(_ counts: StateCounts, of key: HostKey) {
        guard counts.open > 0 else {
            hostCounts[key] = nil
            return
        }
        if hostCounts[key] == nil, hostCounts.count >= Self.maxHosts {
            guard let other = hostCounts.first, other.value.open < counts.open else { return }
            hostCounts[other.key] = nil
        }
        hostCounts[key] = counts
    }

    /// Bytes of a file that this job brought, not of one that was there already.
    private static func published(_ outcome: Outcome) -> Int64 {
        let wasThere = !outcome.flags.allSatisfy { $0 != .skipped && $0 != .unchanged && $0 != .duplicate }
        return wasThere ? 0 : outcome.bytes ?? 0
    }

    /// Whether it was still shown as open.
    mutating func closed(_ row: ListRow) -> Bool { lists.removeValue(forKey: row.id) != nil }

    private mutating func append(_ error: JobError, of job: QueuedJob) {
        var status = ErrorStatus()
        status.when = Timestamp(WallTime(milliseconds: WallClock.milliseconds()))
        status.job = job.id.description
        status.list = job.lane.list.rawValue
        status.line = job.line
        status.code = error.code.name
        status.message = error.message
        if case .download = job.work { status.host = job.laneHost?.rawValue }
        errors.insert(status, at: 0)
        if errors.count > Self.maxErrors { errors.removeLast() }
    }
}
