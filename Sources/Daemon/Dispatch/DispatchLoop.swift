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
        /// A list is closed, with its final counts.
        let closed: @Sendable (ListRow) -> Void
        /// Called once when drained, stopped or (`endsWhenIdle`) out of work.
        let ended: @Sendable () -> Void
        /// Shared by all workers; its rate follows the clock.
        var totalLimiter = RateLimiter(rate: nil, now: MonotonicTime(nanoseconds: 0))
    }
    /// Where an earlier run left off.
    struct Start: Sendable {
        let lists: [ListRow]
        /// Publishes that a crash cut off, whose file is still to be found.
        let publishes: [InterruptedPublish]
        let output: OutputCondition
        /// The last run died by itself.
        var isAfterCrash = false
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
    var hostsWithHops: Set<HostKey> = []
    var starvedHosts: Set<HostKey> = []
    var workerLoads: [WorkerLoad]
    var activeSums = 0
    var haltedLists: Set<ListID> = []
    /// When a host with a hold or a pace is looked at next.
    var hostLook = MonotonicTime.distantFuture
    var nextDue: WallTime?
    var nextRelist: MonotonicTime?
    /// Requests that the ledger applies once a job's resting state is in: it was on its way there when they came.
    var lateRequests: [JobSeq: [ControlCommand]] = [:]

    /// Publishes that a crash cut off, for when the output is there again.
    var cutOff: [InterruptedPublish] = []
    var output: OutputCondition?
    var localTrouble: String?
    var localTroubleEnds: MonotonicTime?
    /// Renames to be asked for again when local trouble is over.
    var stalledRenames: [JobSeq] = []
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
        workerLoads = Array(repeating: WorkerLoad(), count: ports.workers.count)
        now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        view = DispatchView(now: now)
        uplink = UplinkWatch(machine: UplinkMachine(settings: plan.uplink))
        suspects = Suspects(carefulUntil: start.isAfterCrash ? now + Suspects.carefulFor : nil)
        output = start.output.trouble == nil ? nil : start.output
        for list in start.lists {
            view.lists[list.id] = ListView(row: list)
            if list.isPaused { haltedLists.insert(list.id) } else { board.wake(list.id) }
        }
        applyRates()
        outbox.ledger.append(.releaseDue)
        // Nothing is said of a file on a disk that is not there: it may have its name already.
        if output == nil {
            for publish in start.publishes { goOn(with: publish) }
        } else {
            cutOff = start.publishes
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
        case .output(let condition): outputChanged(condition)
        case .spoolIdle(let isIdle): isSpoolIdle = isIdle
        case .nameAsked(let answer, let asked): nameAnswered(answer, at: asked)
        case .drain(let until):
            if case .running = mode { mode = .draining(until: until) }
        case .stop(let limit): stopTransfers(within: limit)
        }
    }

    private mutating func replan(_ plan: DispatchPlan) {
        self.plan = plan
        uplink.machine.settings = plan.uplink
        for host in Array(hosts.keys) {
            hosts[host]?.machine.caps = plan.caps(for: host)
        }
        applyRates()
        for worker in ports.workers {
            worker.send(
                .connectionLimits(
                    cacheSize: max(64, plan.slotsPerWorker),
                    perHost: plan.configuration.hosts.mostConnections,
                    streams: plan.configuration.hosts.defaults.streams))
        }
        for host in board.parkedHosts { freed(host) }
    }

    mutating func outputChanged(_ condition: OutputCondition) {
        let hadTrouble = output?.trouble != nil
        output = condition
        if condition.trouble == nil {
            for publish in cutOff { goOn(with: publish) }
            cutOff = []
        }
        if condition.trouble == nil, hadTrouble {
            remark(.notice, "the output directory can be written to again")
        }
        if let trouble = condition.trouble, !hadTrouble { remark(.error, OutputTroubleText.of(trouble)) }
    }

    /// Why nothing may start, if so; the words stand in the verdict.
    var pauseReason: (WaitReason, String)? {
        switch output?.trouble {
        case .missing(let why): return (.outputMissing, why)
        case .full(let why): return (.disk, why)
        case nil: break
        }
        if let localTrouble { return (.disk, localTrouble) }
        if let ledgerTrouble { return (.ledger, ledgerTrouble) }
        if let networkTrouble { return (.network, networkTrouble) }
        return nil
    }

    /// Everything collected in this turn goes out, in batches. State changes go before what depends on them.
    private mutating func flush() {
        for request in board.takeRequests() {
            switch request {
            case .lanes(let list, let after, let limit, let includesHeld):
                outbox.ledger.append(.lanes(list, after: after, limit: limit, includesHeld: includesHeld))
            case .jobs(let lane, let generation, let after, let limit):
                outbox.ledger.append(.jobs(lane, generation: generation, after: after, limit: limit))
            }
        }
        var ledger: [LedgerRequest] = []
        if !outbox.changes.isEmpty {
            let ticket = nextTicket
            nextTicket += 1
            commits[ticket] = outbox.commits
            if !outbox.held.isEmpty { held[ticket] = outbox.held }
            ledger.append(.apply(outbox.changes, ticket: ticket))
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
