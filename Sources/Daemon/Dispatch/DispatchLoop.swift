// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Publish
import SumPool
import Transfer

/// Runs on: `dld-dispatch`.
/// Owns: the window of jobs under way, the hosts' machines, the read-ahead of lanes, the timers.
/// Receives: `DispatchMessage` from every other thread.
/// Sends: orders to workers, publishers and the sum pool; changes to the ledger; the snapshot to `StatusBoard`.
///
/// The hub: no other two threads talk to each other about jobs. A job is in the window from its start until its next
/// resting state is committed; the size of the window is the credit that bounds every queue behind it.
///
/// Diagnostics: job fails (by outcome) - daemon pauses (output missing, disk full, ledger blocked; said in the
/// verdict) - our bug (an illegal transition stops the process; systemd restarts it, nothing is lost).
struct DispatchLoop: ~Copyable {
    struct Ports: Sendable {
        let workers: [TransferWorker]
        /// Small files, and files above `largeFile` apart, so that a big fsync does not hold up the small.
        let publishers: [Mailbox<PublishCommand>]
        let sums: Mailbox<SumCommand>
        let ledger: Mailbox<LedgerRequest>
        let board: StatusBoard
        let jobsLog: @Sendable (ResultRecord) -> Void
        let remark: @Sendable (Remark) -> Void
        /// Has the watch thread look at once, and prepare the home where that is a mount below the output.
        let prepareHome: @Sendable (PartHome) -> Void
        /// A list is closed, with its final counts.
        let closed: @Sendable (ListRow) -> Void
        /// Called once when drained, stopped or (`endsWhenIdle`) out of work.
        let ended: @Sendable () -> Void
        /// A list of digests is whole: the spool reads it into the ledger.
        var readDigests: @Sendable (DigestReading) -> Void = { _ in }
        /// Shared by all workers; its rate follows the clock.
        var totalLimiter = RateLimiter(rate: nil, now: MonotonicTime(nanoseconds: 0))
    }
    /// Where an earlier run left off.
    struct Start: Sendable {
        let lists: [ListRow]
        /// Publishes that a crash cut off, whose file is still to be found.
        let publishes: [InterruptedPublish]
        /// Why the output may not be written to, if so.
        let missingOutput: String?
        let mounts: MountTable
        /// Mounts that hold files of ours and are not there.
        let missingHomes: [PartHome]
        /// RLIMIT_NOFILE.
        let descriptors: Int
        /// The last run died by itself.
        var isAfterCrash = false
        /// The most crashes that a job has to its name.
        var mostCrashes = 0
        /// Hosts that no range is asked of.
        var rangeLiars: [HostKey] = []
        var heldHosts: [HeldHost] = []
    }
    /// What is collected during a turn and sent at its end, in batches.
    struct Outbox {
        var workers: [Int: [TransferCommand]] = [:]
        var sync: [Int: [PublishItem]] = [:]
        var rename: [Int: [PublishItem]] = [:]
        var publish: [Int: [PublishCommand]] = [:]
        var sums: [SumCommand] = []
        var changes: [JobChange] = []
        var commits: [(JobSeq, JobMachine.Event)] = []
        var ledger: [LedgerRequest] = []
        /// Orders that wait for this turn's commit.
        var held: [(worker: Int, order: TransferOrder)] = []
    }
    enum Mode { case running, draining(until: MonotonicTime), stopping(until: MonotonicTime), ended }
    /// A stop waits so long for what is being published; the next start finds the rest.
    static let stopLimit = Duration.seconds(5)

    static let largeFile: Int64 = 16 << 20
    static let maxFollowers = 4096
    static let maxSums = 64
    /// A job that cannot follow its twin any more because too many already do comes back after this.
    static let followerDelay = Duration.seconds(30)

    let inbox: Mailbox<DispatchMessage>
    let bell: Doorbell
    let heartbeat: Heartbeat
    let ports: Ports
    var plan: DispatchPlan
    var outbox = Outbox()
    var starts = DeferredStarts()
    var mode = Mode.running

    var board = LaneBoard()
    var tasks: [JobSeq: JobTask] = [:]
    var tokens: [UInt64: JobSeq] = [:]
    var nextToken: UInt64 = 1
    var nextTicket: UInt64 = 1
    var commits: [UInt64: [(JobSeq, JobMachine.Event)]] = [:]
    /// Twins by the job they follow, and the other way round.
    var followers: [JobSeq: [QueuedJob]] = [:]
    var followed: [JobSeq: JobSeq] = [:]
    var nextFollowerLook: MonotonicTime?
    var suspects: Suspects
    /// Orders that wait for a commit, by its ticket.
    var held: [UInt64: [(worker: Int, order: TransferOrder)]] = [:]
    var hosts: [HostKey: HostEntry] = [:]
    var ranges: RangeMemory
    var hostsWithHops: Set<HostKey> = []
    /// Jobs whose files come, or could come, over several connections.
    var dividedJobs: Set<JobSeq> = []
    var starvedHosts: Set<HostKey> = []
    /// Hosts that are asked for nothing just now and have jobs with mirrors, by the host of such a mirror.
    var mirrorHosts: [HostKey: Set<HostKey>] = [:]
    var workerLoads: [WorkerLoad]
    var staging = StageDesk()
    var activeSums = 0
    /// Local lists of digests that are being read.
    var activeReadings = 0
    /// Kept, for a plan is large.
    var orders: OrderBuilder
    var checks = CheckAhead()
    var pieces = PieceDesk()
    var haltedLists: Set<ListID> = []
    /// When a host with a hold or a pace is looked at next.
    var hostLook = MonotonicTime.distantFuture
    var nextDue: WallTime?
    /// Hosts that have given nothing usable since their last trouble, and when they are looked at next.
    var barrenHosts: Set<HostKey> = []
    var barrenLook = MonotonicTime.distantFuture
    var wasPaused = false
    var nextRelist: MonotonicTime?
    /// When parts that failed jobs left are looked through for old ones.
    var nextPartLook: MonotonicTime
    /// Jobs that the ledger had ended when it was told that they are to be published.
    var disowned: Set<JobSeq> = []
    /// Requests that the ledger applies once a job's resting state is in: it was on its way there when they came.
    var lateRequests: [JobSeq: [ControlCommand]] = [:]

    /// Publishes that a crash cut off, for when the output is there again.
    var cutOff: [InterruptedPublish] = []
    var disks: DiskGovernor
    var mounts: MountTable
    /// Spool and state, to be shown.
    var otherDisks: [DiskReport.Place] = []
    /// Lists with jobs that were passed over for want of room there.
    var passedOver: [PartHome: Set<ListID>] = [:]
    var sizes: [JobSeq: Int64] = [:]
    var roomLook: MonotonicTime?
    /// What has been said of each home.
    var shownPauses: [PartHome: String] = [:]
    /// Steps of publishes to be asked for again when the trouble is over.
    var stalled: [JobSeq] = []
    var stalledLook: MonotonicTime?
    var budget: TransferBudget
    static let maxRenames = 5
    var ledgerTrouble: String?
    var uplink: UplinkWatch
    var rates = RateClock()
    var isSpoolIdle = false
    var view: DispatchView
    var now: MonotonicTime
    var random = SystemRandomNumberGenerator()

    init(
        inbox: Mailbox<DispatchMessage>, bell: Doorbell, heartbeat: Heartbeat, ports: Ports,
        plan: DispatchPlan,
        start: Start
    ) {
        self.inbox = inbox
        self.bell = bell
        self.heartbeat = heartbeat
        self.ports = ports
        self.plan = plan
        orders = OrderBuilder(plan: plan)
        workerLoads = Array(repeating: WorkerLoad(), count: ports.workers.count)
        ranges = RangeMemory(liars: start.rangeLiars)
        now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        nextPartLook = now
        view = DispatchView(now: now)
        uplink = UplinkWatch(machine: UplinkMachine(settings: plan.uplink))
        suspects = Suspects(
            mostCrashes: start.mostCrashes, carefulUntil: start.isAfterCrash ? now + Suspects.carefulFor : nil
        )
        disks = DiskGovernor(reserve: plan.configuration.limits.minFree)
        mounts = start.mounts
        budget = TransferBudget(descriptors: start.descriptors)
        for list in start.lists {
            view.lists[list.id] = ListView(row: list)
            if list.isPaused { haltedLists.insert(list.id) } else { board.wake(list.id) }
        }
        applyRates()
        for held in start.heldHosts {
            restoreHold(held.host, until: held.until, reason: held.reason)
            restoreBarren(held.host, held.barren)
        }
        outbox.ledger.append(.releaseDue)
        if let why = start.missingOutput {
            disks.missing(.output, path: plan.outputRoot, why: why)
        } else {
            disks.assume(.output, path: plan.outputRoot)
        }
        for home in start.missingHomes {
            let root = home.root(output: plan.outputRoot)
            disks.missing(home, path: root, why: "\(root) is not mounted")
        }
        // Nothing is said of a file on a disk that is not there: it may have its name already.
        for publish in start.publishes {
            let isThere = start.missingOutput == nil && !disks.isMissing(mounts.home(of: publish.path))
            if isThere { goOn(with: publish) } else { cutOff.append(publish) }
        }
    }

    mutating func run() {
        while true {
            heartbeat.mark()
            now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
            let messages = inbox.drain()
            if !messages.isEmpty { view.isDirty = true }
            for message in messages { receive(message) }
            fireTimers()
            startJobs()
            flush()
            publishSnapshot()
            if checkEnd() { return }
            if inbox.isEmpty {
                _ = bell.wait(atMost: min(untilNextTimer(), LoopPulse.interval))
            } else {
                bell.silence()
            }
        }
    }

    private mutating func receive(_ message: DispatchMessage) {
        switch message {
        case .ledger(let reply): ledgerReplied(reply)
        case .transfer(let events): for event in events { transferReported(event) }
        case .publish(let events): for event in events { publishReported(event) }
        case .sum(let event): sumReported(event)
        case .command(let command): commanded(command)
        case .plan(let plan): replan(plan)
        case .disks(let report): disksReported(report)
        case .spoolIdle(let isIdle): isSpoolIdle = isIdle
        case .digestsRead(let id, let result): digestsRead(id, result)
        case .nameAsked(let answer, let asked): nameAnswered(answer, at: asked)
        case .drain(let until):
            if case .running = mode { mode = .draining(until: until) }
            withdrawStaged()
        case .stop(let limit): stopTransfers(within: limit)
        }
    }

    private mutating func replan(_ plan: DispatchPlan) {
        self.plan = plan
        orders.plan = plan
        uplink.machine.settings = plan.uplink
        disks.reserve = plan.configuration.limits.minFree
        for host in Array(hosts.keys) {
            hosts[host]?.machine.caps = plan.caps(for: host)
        }
        applyRates()
        // Their orders are of the old plan.
        withdrawStaged()
        for worker in ports.workers {
            worker.send(
                .connectionLimits(
                    cacheSize: max(64, plan.slotsPerWorker),
                    perHost: plan.configuration.hosts.mostConnections,
                    streams: plan.configuration.hosts.mostStreams))
        }
        for host in board.parkedHosts { freed(host) }
    }

    /// Why nothing may start, if so; the words stand in the verdict. With other mounts below the output their jobs
    /// go on while its own disk is short.
    var pauseReason: (WaitReason, String)? {
        if let why = disks.pauseReason(.output) {
            if disks.isMissing(.output) { return (.outputMissing, why) }
            if mounts.homes.isEmpty { return (.disk, why) }
        }
        if let ledgerTrouble { return (.ledger, ledgerTrouble) }
        if let networkTrouble { return (.network, networkTrouble) }
        return nil
    }

    /// Everything collected in this turn goes out, in batches. State changes go before what depends on them.
    private mutating func flush() {
        // Whatever else is asked of the ledger, reads apart, must find the jobs started that were.
        let changes = starts.sift(outbox.changes, now: now, mayWait: outbox.ledger.isEmpty && mayDeferStarts)
        for request in board.takeRequests() {
            switch request {
            case .lanes(let list, let after, let limit, let includesHeld):
                outbox.ledger.append(.lanes(list, after: after, limit: limit, includesHeld: includesHeld))
            case .jobs(let lane, let generation, let after, let limit):
                outbox.ledger.append(.jobs(lane, generation: generation, after: after, limit: limit))
            }
        }
        var ledger: [LedgerRequest] = []
        if !changes.isEmpty {
            let ticket = nextTicket
            nextTicket += 1
            commits[ticket] = outbox.commits
            if !outbox.held.isEmpty { held[ticket] = outbox.held }
            ledger.append(.apply(changes, ticket: ticket))
        }
        ledger += outbox.ledger
        ports.ledger.send(contentsOf: ledger)
        for (worker, orders) in outbox.workers { ports.workers[worker].send(contentsOf: orders) }
        for (index, items) in outbox.sync { ports.publishers[index].send(.sync(items)) }
        for (index, items) in outbox.rename { ports.publishers[index].send(.rename(items)) }
        for (index, commands) in outbox.publish { ports.publishers[index].send(contentsOf: commands) }
        ports.sums.send(contentsOf: outbox.sums)
        outbox = Outbox()
    }

    /// Not while each start has to be known before its first byte, nor when the end is near.
    private var mayDeferStarts: Bool {
        if case .running = mode { !suspects.isCareful(now) } else { false }
    }

    /// Whether the loop is over: drained, stopped, or out of work where that is the end.
    private mutating func checkEnd() -> Bool {
        switch mode {
        case .running:
            guard plan.endsWhenIdle, isSpoolIdle, tasks.isEmpty, view.openJobs == 0, board.isEmpty else {
                return false
            }
        case .draining(let until):
            if !tasks.isEmpty {
                if now >= until { stopTransfers(within: Self.stopLimit) }
                return false
            }
        case .stopping(let until):
            guard tasks.isEmpty || now >= until else { return false }
        case .ended: return true
        }
        mode = .ended
        publishSnapshot(force: true)
        ports.ended()
        return true
    }

    func remark(_ level: Remark.Level, _ message: String, _ facts: [(String, String)] = []) {
        ports.remark(Remark(level: level, message: message, facts: facts))
    }
}
