// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Transfer

/// One job in the dispatcher's window: the machine, and what its steps have brought so far.
///
/// A class so that the loop changes it in place; never leaves the dispatcher's thread.
final class JobTask {
    let job: QueuedJob
    let claim: PathClaim
    var machine = JobMachine()

    // The attempt.
    var attempts: Int
    var startedAt: WallTime?
    var attemptStarted = MonotonicTime(nanoseconds: 0)
    var firstStarted: MonotonicTime?
    var waited: Int64
    var fetched: Int64
    var resumed: Int64 = 0
    var resume: ResumePoint?
    /// What the ledger was told last, and is on the disk.
    var storedPoint: ResumePoint?
    /// What the running transfer has on the disk by now.
    var checkpoints = Checkpoints()
    /// What `resume` speaks of went to the disk after the transfer's end.
    var isPartSynced = false
    /// Where it has several URLs: which one is tried, and what they have shown.
    var mirrors: MirrorMachine?
    /// The part has bytes of several mirrors.
    var isShared = false
    /// Those that had a share in it in this run beside the attempt's own, by their places.
    var helpers: Set<Int> = []
    /// A sync of the part has failed: it is not published, whatever a later one says.
    var isPartSuspect = false
    /// The part of an earlier run was whole, and nothing was requested.
    var foundWhole = false
    var error: JobError?
    var retryDelay: Duration = .zero
    /// The resting state it went to.
    var rested: JobMachine.Rest?

    // The transfer that is out, and where it stands in the chain of redirects.
    var url: DownloadURL?
    var token: UInt64 = 0
    var worker: Int?
    /// The host whose slot this job holds.
    var slot: HostKey?
    /// What the transfer that is out is to that host.
    var role = HostMachine.Role.ordinary
    var segments = SegmentSlots()
    var hops = 0
    var isFromPublic = false
    /// A redirect led to another origin: from there on nothing that was meant for the first is sent, also not on
    /// the way back.
    var hasLeftOrigin = false
    /// The transfer that is out goes by a proxy, whose address says nothing of the target's.
    var isProxied = false
    var condition: Condition?
    var preflightDone = false
    /// It is looked at without a slot of its host, and holds a credit for that.
    var isCheckedAhead = false
    /// Length of the file that lies under the final name, bytes.
    var foundSize: Int64?
    /// `active` is not on its way to the ledger before this turn's end.
    var isActiveUncommitted = false
    var bytes: Int64 = 0
    var total: Int64?
    var rate = RateMeter()

    // The result.
    var path: OutputPath?
    /// The path with the name that the server gave, where that counts.
    var servedPath: OutputPath?
    var exists: ExistsPolicy
    /// The mount that part and final path lie on.
    var home = PartHome.output
    var part: PartFile?
    var response: ResponseFacts?
    var finalURL: String?
    var timings = JobTimings()
    var publishStarted: MonotonicTime?
    var renameFailures = 0
    var digest: Checksum?
    /// While its pieces are with the pool.
    var pieceCheck: PieceCheck?
    /// Of the whole file, which is not what the list gave: its pieces tell where.
    var wrongDigest: Checksum?
    var flags: [JobFlag] = []
    var sumValue: String?
    var workerName: String?
    var outcome: Outcome?
    /// What the ledger had of it when a crash cut its publish off.
    var outcomeBeforeCrash: Outcome?

    init(job: QueuedJob, claim: PathClaim, exists: ExistsPolicy) {
        self.job = job
        self.claim = claim
        self.exists = job.options.exists ?? exists
        attempts = job.attempts
        startedAt = job.startedAt
        waited = job.waited
        fetched = job.fetchedBytes
        resume = job.resume
        storedPoint = job.resume
        if case .download(let urls, let path) = job.work {
            self.path = path
            if urls.count > 1, let lane = job.laneHost {
                mirrors = MirrorMachine(hosts: urls.map(\.host), record: job.mirrors, lane: lane)
            }
        }
        machine = JobMachine(readsDigests: job.errand != nil)
    }

    var seq: JobSeq { job.seq }
    /// Of those that the list gave, the URL of this attempt.
    var givenURL: DownloadURL? {
        guard case .download(let urls, _) = job.work, !urls.isEmpty else { return nil }
        return urls[mirrors?.next ?? 0]
    }
    /// Place of that URL among those of the job.
    var ownPlace: Int { mirrors?.next ?? 0 }
    /// Its list wants several connections, whoever else waits.
    var asksForSegments: Bool { job.options.split.map { $0 > 1 } ?? false }

    /// The ledger lost this job, and what lies under its name can be checked: it may be done already.
    var mayBeRecovered: Bool {
        job.options.isReadmitted == true && (job.options.checksum != nil || recoverableSize != nil)
    }
    /// What a file of this job must measure: by the list, or by what the ledger once published of this URL.
    var recoverableSize: Int64? {
        if let size = job.options.size { return size }
        guard case .granted(let known?) = claim, case .download(let urls, _) = job.work,
            known.url == urls.first?.text
        else { return nil }
        return known.size
    }
    /// Of the part that lies there; the name of one to be begun is `freshPartName(from:)`.
    var partName: String { part?.name ?? resume?.part ?? "" }
    func freshPartName(from first: UInt32) -> String {
        PartName(of: job.id, after: (resume ?? job.resume)?.part, from: first).description
    }
}

/// Bytes a second over the last few seconds, from samples of a growing total.
struct RateMeter {
    private var last: (time: MonotonicTime, bytes: Int64)?
    private(set) var bytesPerSecond: Double = 0

    /// Exponentially weighted with a time constant of three seconds.
    mutating func sample(_ bytes: Int64, now: MonotonicTime) {
        guard let last else {
            self.last = (now, bytes)
            return
        }
        let seconds = (now - last.time).secondsDouble
        guard seconds >= 0.2 else { return }
        let current = Double(max(0, bytes - last.bytes)) / seconds
        let weight = min(1, seconds / 3)
        bytesPerSecond = bytesPerSecond == 0 ? current : bytesPerSecond * (1 - weight) + current * weight
        self.last = (now, bytes)
    }
}
