// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import JobModel
import LinuxKit
import Publish
import SumPool

@testable import Daemon
@testable import Transfer

/// The dispatcher without its threads: what it would send is looked at, what it would be told is called.
final class DispatchRig {
    var loop: DispatchLoop
    /// Transfers handed out and not yet ended, in order.
    var orders: [TransferOrder] = []
    var cancels: [UInt64] = []
    /// Orders that workers have and may not begin yet, oldest first, and those that they were told to begin.
    var staged: [TransferOrder] = []
    var begun: [UInt64] = []
    /// Those that workers were asked to give back, unless they had begun.
    var unstaged: [UInt64] = []
    /// Connections that transfers were given beside their first, and those asked back.
    var opened: [UInt64] = []
    var closed: [UInt64] = []
    /// Of those given, the ones that lead to mirrors.
    var helpers: [HelperOrder] = []
    var changes: [JobChange] = []
    var ledger: [LedgerRequest] = []
    var discarded: [String] = []
    private(set) var renamed: [JobSeq] = []
    /// Parts that the publisher was asked to sync for a checkpoint, by token.
    var checkpoints: [(token: UInt64, part: String)] = []
    var kept: [String] = []
    var quarantined: [String] = []
    var sums: [SumCommand] = []
    /// Lists of digests that the spool was asked to read.
    let readings = Mailbox<DigestReading> {}
    /// Homes that the watch thread was asked for.
    let wanted = Mailbox<PartHome> {}
    private var commits: [(JobSeq, JobMachine.Event)] = []

    static let list = ListID(1)
    static let host = HostKey("h.example")
    static let lane = LaneKey(list: list, host: HostID(rawValue: 1))

    init(
        workers: Int = 2, publishes: [InterruptedPublish] = [], missing: String? = nil,
        mounts: MountTable = MountTable(),
        missingHomes: [PartHome] = [], mostCrashes: Int = 0, heldHosts: [HeldHost] = [],
        hostPatience: Duration? = nil,
        _ configure: (inout Configuration) -> Void = { _ in }
    ) {
        var configuration = Configuration(cores: workers)
        configuration.network.privateAddresses = .allow
        configure(&configuration)
        let plan = DispatchPlan(
            configuration: configuration, workers: workers, outputRoot: "/out", partsDirectory: "/out/.dld/x",
            endsWhenIdle: false, environmentProxy: nil, hostPatience: hostPatience, version: "1")
        let bell = Doorbell()
        let wanted = wanted
        let readings = readings
        let ports = DispatchLoop.Ports(
            workers: [], publishers: [Mailbox {}, Mailbox {}], sums: Mailbox {}, ledger: Mailbox {},
            board: StatusBoard(config: .init()), jobsLog: { _ in }, remark: { _ in },
            prepareHome: { wanted.send($0) }, closed: { _ in },
            ended: {}, readDigests: { readings.send($0) })
        loop = DispatchLoop(
            inbox: Mailbox {}, bell: bell, heartbeat: Heartbeat(name: "test"), ports: ports, plan: plan,
            start: .init(
                lists: [], publishes: publishes,
                missingOutput: missing, mounts: mounts, missingHomes: missingHomes, descriptors: 65_536,
                mostCrashes: mostCrashes, heldHosts: heldHosts))
        loop.workerLoads = Array(repeating: WorkerLoad(), count: workers)
    }

    static func job(
        _ seq: Int64, url: String = "http://h.example/a", host: HostKey = DispatchRig.host,
        list: ListID = list,
        attempts: Int = 0, resume: ResumePoint? = nil, options: JobOptions = JobOptions(), path: String? = nil
    ) -> QueuedJob {
        QueuedJob(
            seq: JobSeq(seq), id: JobID(rawValue: UInt64(bitPattern: seq)),
            lane: LaneKey(list: list, host: HostID(rawValue: 1)),
            line: Int(seq), rank: 0,
            work: .download(
                urls: [DownloadURL(text: url, scheme: String(url.prefix { $0 != ":" }), host: host)],
                path: OutputPath(trusted: path ?? "f\(seq)")),
            options: SharedOptions(options), attempts: attempts, fetchedBytes: 0, admittedAt: WallTime(milliseconds: 0),
            startedAt: nil, waited: 0, resume: resume)
    }

    /// Jobs come in as the ledger would send them, and what may start is started.
    func arrive(_ jobs: [(QueuedJob, PathClaim)], host: HostKey = DispatchRig.host) {
        guard let key = jobs.first?.0.lane else { return }
        loop.board.wake(key.list)
        answerLanes(key, host: host, jobs)
        turn()
    }

    /// Answers lanes, then jobs; both once.
    func answerLanes(_ key: LaneKey, host: HostKey = DispatchRig.host, _ jobs: [(QueuedJob, PathClaim)]) {
        for _ in 0..<2 {
            for request in loop.board.takeRequests() {
                switch request {
                case .lanes(let list, _, _, _):
                    let row = LaneRow(
                        key: key, host: host, queued: jobs.count, heldUntil: nil, holdReason: nil)
                    loop.ledgerReplied(.lanes(list, list == key.list ? [row] : [], isLast: true))
                case .jobs(let lane, let generation, _, _):
                    let entries = lane == key ? jobs.map { LaneBoard.Entry(job: $0.0, claim: $0.1) } : []
                    loop.ledgerReplied(.jobs(lane, generation: generation, entries, isLast: true))
                }
            }
        }
    }

    /// What the watch thread would tell: free bytes of each home's disk, each a device of its own.
    func read(free: Int64, homes: [(home: PartHome, free: Int64)] = [], missing: [PartHome] = []) {
        var report = DiskReport()
        let all = [(home: PartHome.output, free: free)] + homes
        report.mounts = MountTable(homes: homes.map(\.home) + missing)
        report.places = all.enumerated().map { index, place in
            DiskReport.Place(
                role: .output, home: place.home, path: place.home.root(output: "/out"),
                device: UInt64(index) + 1, reading: DiskReading(freeBytes: place.free, totalBytes: 1 << 50))
        }
        report.places += missing.map {
            DiskReport.Place(
                role: .output, home: $0, path: $0.root(output: "/out"),
                missing: "\($0.root(output: "/out")) is not mounted")
        }
        loop.disksReported(report)
    }

    func arrive(_ job: QueuedJob) { arrive([(job, .granted(known: nil))]) }

    /// What one turn of the loop does, but for the sending.
    func turn() {
        loop.now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        loop.fireTimers()
        loop.startJobs()
        take()
    }

    private func take() {
        let box = loop.outbox
        loop.outbox = DispatchLoop.Outbox()
        for command in box.workers.sorted(by: { $0.key < $1.key }).flatMap(\.value) {
            switch command {
            case .start(let order): orders.append(order)
            case .stage(let order): staged.append(order)
            case .begin(let token):
                begun.append(token)
                if let order = takeStaged(token) { orders.append(order) }
            case .cancel(let token, _): cancels.append(token)
            case .unstage(let token): unstaged.append(token)
            case .openSegment(let token, let helper, _):
                opened.append(token)
                if let helper { helpers.append(helper) }
            case .closeSegments(let token, let count, _):
                closed += Array(repeating: token, count: count)
            default: break
            }
        }
        for command in box.publish.values.flatMap({ $0 }) {
            switch command {
            case .discard(let names, _): discarded += names
            case .checkpoint(_, let token, let part, _): checkpoints.append((token, part))
            case .keep(_, let part, _): kept.append(part)
            case .quarantine(_, let name, _): quarantined.append(name)
            case .sync, .rename, .emptyQuarantine, .watch, .stop: break
            }
        }
        renamed += box.rename.values.flatMap { $0 }.map(\.seq)
        sums += box.sums
        changes += box.changes
        commits += box.commits
        ledger += box.ledger
    }

    /// The ledger has committed everything that was sent.
    func commit() {
        take()
        let taken = commits
        commits = []
        let ticket = loop.nextTicket
        loop.nextTicket += 1
        loop.commits[ticket] = taken
        loop.ledgerReplied(.committed(ticket: ticket))
        take()
    }

    func end(_ order: TransferOrder, _ result: TransferResult, status: Int? = nil) {
        orders.removeAll { $0.token == order.token }
        var report = TransferReport(token: order.token, seq: order.seq, worker: 0, result: result)
        report.response.httpStatus = status
        loop.transferReported(.finished(report))
        take()
    }

    /// A short transfer brings its file.
    /// - Parameter isSucceeded: the oldest staged order takes its place, if there is one.
    func bring(_ order: TransferOrder, isSucceeded: Bool = true) {
        orders.removeAll { $0.token == order.token }
        var report = TransferReport(
            token: order.token, seq: order.seq, worker: 0, result: .complete(Self.part))
        report.response.httpStatus = 200
        report.timings.firstByte = 200_000
        report.timings.transfer = 10_000
        if isSucceeded, let next = staged.first(where: { $0.gate === order.gate }), order.gate?.isOpen == true
        {
            report.successor = Successor(token: next.token, begun: loop.now)
            if let next = takeStaged(next.token) { orders.append(next) }
        }
        loop.transferReported(.finished(report))
        take()
    }

    func takeStaged(_ token: UInt64) -> TransferOrder? {
        staged.firstIndex { $0.token == token }.map { staged.remove(at: $0) }
    }

    /// Workers give back what they were asked for and had not begun.
    func giveBackStaged() {
        for token in unstaged + cancels {
            if let order = takeStaged(token) { end(order, .cancelled(resume: nil)) }
        }
    }

    func publish(_ event: PublishEvent) {
        loop.publishReported(event)
        take()
    }

    func command(_ verb: ControlCommand.Verb, _ target: ControlCommand.Target) {
        loop.commanded(ControlCommand(verb: verb, target: target) { _ in })
        take()
    }

    static func failure(
        _ code: ErrorCode, resume: ResumePoint? = nil, isConnect: Bool = false
    ) -> TransferResult {
        var failure = TransferFailure(JobError(code, "x"))
        failure.resume = resume
        failure.isConnectFailure = isConnect
        return .failed(failure)
    }

    static let resume = ResumePoint(
        url: "http://h.example/a", bytes: 10, total: 20, etag: "\"e\"", lastModified: nil, device: 1,
        inode: 2,
        part: "0000000000000001.part")
    static let part = PartFile(
        name: "0000000000000001.part", device: 1, inode: 2, size: 20, isLengthVerified: true)

    static func outcome(_ state: JobState = .done) -> Outcome {
        Outcome(state: state, endedAt: WallTime(milliseconds: 1))
    }
    static func row(_ list: ListID = list, isPaused: Bool) -> ListRow {
        ListRow(
            id: list, name: "l", acceptedName: "l", finalName: nil, format: .text, isGzip: false,
            state: .running,
            device: 1, inode: 1, position: ListPosition(), defaults: JobOptions(), isPaused: isPaused,
            counts: StateCounts(), bytes: 0, admittedAt: WallTime(milliseconds: 0), endedAt: nil)
    }
}
