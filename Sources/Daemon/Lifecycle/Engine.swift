// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import ControlServer
import JobModel
import Ledger
import LinuxKit
import Locking
import Logging
import Publish
import Spool
import SumPool
import Synchronization
import Transfer

/// What one engine is to do: the daemon, `dld once` and `dld get` differ in nothing else.
struct EnginePlan: Sendable {
    var configuration: Configuration
    var version: String
    var sumdPath: String
    var servesControl: Bool
    var endsWhenIdle: Bool
    var claimsOutput: Bool
    var jobsLog: String?
    var environmentProxy: EnvironmentProxy?
    /// No host is waited for longer, whatever its rule says.
    var hostPatience: Duration?
    /// What `credentials_file` holds, by file.
    var credentials: [String: OriginCredential] = [:]
}

/// All threads of one dld and the wires between them. Made, used and taken down by the main thread.
///
/// Start-up order: directories and locks, ledger (recovery first), log, ledger thread, sums, publishers, workers,
/// dispatcher, spool, watch, control. Shutdown is the reverse of the flow of data: see `stop`.
final class Engine {
    let plan: EnginePlan
    let board: StatusBoard
    let identity: DaemonIdentity
    let logger: Logger
    let logPort: LogPort
    let wires: Wires
    let store: OpenedLedger
    private let places: Places
    private let partsLock: PartsLock
    private var threads = Threads()
    private(set) var heartbeats: [Heartbeat] = []
    private(set) var control: ControlServer?
    private(set) var bridge: ControlBridge?
    let verdicts: RunVerdict
    /// Reloads asked for over the control socket; the main thread serves them.
    let reloads: ReloadRequests
    /// `limits.total_rate`, shared by all workers; a reload changes it.
    let totalLimiter: RateLimiter

    private struct Threads {
        var log: WorkerThread?
        var ledger: WorkerThread?
        var sum: WorkerThread?
        var publish: [WorkerThread] = []
        var workers: [TransferWorker] = []
        var dispatch: WorkerThread?
        var spool: WorkerThread?
        var watch: WorkerThread?
        var read: WorkerThread?
        var audits: WorkerThread?
    }

    /// Makes directories, takes locks, opens and recovers the ledger. No thread runs yet, nothing is fetched.
    init(_ plan: EnginePlan, style: LogStyle) throws(StartError) {
        self.plan = plan
        let configuration = plan.configuration
        places = try Places(
            spool: configuration.spoolDir, output: configuration.outputDir, state: configuration.stateDir,
            version: plan.version)
        store = try OpenedLedger(plan)
        Uploads.removeLeftovers(in: configuration.spoolDir, known: Set(store.lists.map(\.inode)))
        partsLock = try PartsLock(store.place, missing: store.missingOutput)
        wires = Wires()
        board = StatusBoard(config: .init())
        let logBell = Doorbell()
        let port = LogPort { logBell.ring() }
        logPort = port
        port.setLevel(Logger.Level(rawValue: configuration.log.level.rawValue) ?? .info)
        logger = Logger(label: "dld") { label in DaemonLogHandler(label: label, port: port, style: style) }
        identity = DaemonIdentity(
            version: plan.version, pid: ProcessFacts.pid,
            startedAt: WallTime(milliseconds: WallClock.milliseconds()),
            started: MonotonicTime(nanoseconds: Monotonic.nanoseconds()))
        verdicts = RunVerdict()
        reloads = ReloadRequests(bell: wires.mainBell)
        // The dispatcher sets its rate, by the clock.
        totalLimiter = RateLimiter(rate: nil, now: MonotonicTime(nanoseconds: Monotonic.nanoseconds()))
        let jobsPath = plan.jobsLog
        threads.log = WorkerThread(name: "dld-log") {
            var loop = LogLoop(port: port, bell: logBell, jobsPath: jobsPath)
            loop.run()
        }
    }

    private func heartbeat(_ name: String) -> Heartbeat {
        let beat = Heartbeat(name: name)
        heartbeats.append(beat)
        return beat
    }

    /// Starts every thread. Jobs may run from here on.
    func start() throws(StartError) {
        store.tellOfCrash(logger)
        startLedger()
        startSums()
        startPublishers()
        startWorkers()
        startDispatcher()
        startSpool()
        startWatch()
        guard plan.servesControl else { return }
        threads.audits = startAudits(heartbeat("dld-verify"))
        try startControl()
    }

    /// Takes everything down, in the order in which data flows, so that each loop's last words find a listener:
    /// spool (admits no more), dispatcher (ended before, or told to), workers, publishers, sums, ledger, log.
    func stop() {
        control?.stop(within: .seconds(2))
        wires.isStopping.store(true, ordering: .releasing)
        wires.watchBell.ring()
        wires.spool.send(.stop)
        threads.spool?.join()
        threads.dispatch?.join()
        for worker in threads.workers { worker.send(.stop(keepsParts: true)) }
        for worker in threads.workers { worker.join() }
        for publisher in wires.publishers { publisher.send(.stop) }
        for thread in threads.publish { thread.join() }
        wires.audits.send(.stop)
        threads.audits?.join()
        wires.sums.send(.stop)
        threads.sum?.join()
        // The reader first: the last connection to go writes the WAL home.
        wires.reads.send(.stop)
        threads.read?.join()
        wires.ledger.send(.stop)
        threads.ledger?.join()
        logPort.stop()
        threads.log?.join()
        // It may sit in a call to a dead file system for ever; the process ends without it.
        threads.watch?.abandon()
    }
}

extension Engine {
    private func startLedger() {
        let wires = wires
        let beat = heartbeat("dld-ledger")
        let path = store.path
        let durability = store.durability
        let version = plan.version
        threads.ledger = WorkerThread(name: "dld-ledger") {
            let ports = LedgerLoop.Ports(dispatch: wires.dispatch, spool: wires.spool, audits: wires.audits) {
                error in
                // Nothing can be recorded any more: no point in going on, and a restart finds what was committed.
                wires.fail(OpenedLedger.startError(error))
            } isStopping: {
                wires.isStopping.load(ordering: .acquiring)
            }
            // Opened again by the thread that owns it: the store is bound to one thread for life.
            let store: LedgerStore
            do throws(LedgerError) {
                store = try LedgerStore.open(path: path, durability: durability, programVersion: version)
            } catch {
                return wires.fail(OpenedLedger.startError(error))
            }
            var loop = LedgerLoop(
                store: store, requests: wires.ledger, spoolRequests: wires.spoolRequests,
                bell: wires.ledgerBell,
                heartbeat: beat, ports: ports)
            loop.run()
        }
        let cipher = store.cipher
        let readBeat = heartbeat("dld-ledger-read")
        threads.read = WorkerThread(name: "dld-ledger-read") {
            var loop = ReadLoop(
                path: path, cipher: cipher, inbox: wires.reads, bell: wires.readBell, heartbeat: readBeat)
            loop.run()
        }
    }

    private func startSums() {
        let wires = wires
        let beat = heartbeat("dld-sum")
        let settings = SumPoolSettings(
            executable: plan.sumdPath, processes: plan.configuration.sum.processes)
        threads.sum = WorkerThread(name: "dld-sum") {
            var loop = SumPoolLoop(
                settings: settings, inbox: wires.sums, bell: wires.sumBell,
                events: { event in
                    if AuditTicket.isAudit(event) { return wires.audits.send(.sum(event)) }
                    wires.dispatch.send(.sum(event))
                    if case .state = event { wires.audits.send(.sum(event)) }
                }, heartbeat: beat)
            loop.run()
        }
    }

    private func startPublishers() {
        let wires = wires
        let settings = publishSettings
        for (index, name) in ["dld-publish", "dld-publish-big"].enumerated() {
            let beat = heartbeat(name)
            threads.publish.append(
                WorkerThread(name: name) {
                    var loop = PublishLoop(
                        settings: settings, inbox: wires.publishers[index], bell: wires.publishBells[index],
                        events: { wires.dispatch.send(.publish($0)) }, heartbeat: beat)
                    loop.run()
                })
        }
    }

    /// RLIMIT_NOFILE; where it cannot be asked, what it mostly is.
    private static var descriptors: Int {
        do throws(SystemError) { return Int(clamping: try ProcessFacts.descriptorLimit().soft) } catch {
            return 1024
        }
    }

    var publishSettings: PublishSettings {
        PublishSettings(
            outputDirectory: store.place.root, partsDirectory: store.place.parts,
            durability: plan.configuration.durability == .full ? .full : .none,
            dirMode: plan.configuration.output.dirMode)
    }

    private func startWorkers() {
        let configuration = plan.configuration
        var settings = TransferSettings(
            partsDirectory: store.place.parts, outputRoot: store.place.root,
            connectionCacheSize: max(64, configuration.transfersPerWorker),
            connectionsPerHost: configuration.hosts.mostConnections,
            streamsPerConnection: configuration.hosts.mostStreams,
            totalLimiter: totalLimiter,
            purse: DescriptorPurse(limit: Self.descriptors < 256 ? 0 : Self.descriptors / 8),
            isDurable: configuration.durability == .full,
            checkpointBytes: configuration.segments.checkpointBytes,
            checkpointInterval: configuration.segments.checkpointInterval)
        settings.asksForRoom = true
        let wires = wires
        threads.workers = (0..<configuration.workers).map { index in
            TransferWorker.start(index: index, settings: settings) { wires.dispatch.send(.transfer($0)) }
        }
        heartbeats += threads.workers.map(\.heartbeat)
    }

    private func startDispatcher() {
        let wires = wires
        let logPort = logPort
        let logger = logger
        let verdicts = verdicts
        let ports = DispatchLoop.Ports(
            workers: threads.workers, publishers: wires.publishers, sums: wires.sums, ledger: wires.ledger,
            board: board, jobsLog: { logPort.job($0) }, remark: { $0.log(to: logger) },
            prepareHome: { wires.homes.send($0) },
            closed: { verdicts.closed($0) },
            ended: {
                wires.hasEnded.store(true, ordering: .releasing)
                wires.mainBell.ring()
            }, readDigests: { wires.spool.send(.readDigests($0)) }, totalLimiter: totalLimiter)
        let start = DispatchLoop.Start(
            lists: store.lists, publishes: store.publishes,
            missingOutput: store.missingOutput, mounts: store.mounts, missingHomes: store.missingHomes,
            descriptors: Self.descriptors, isAfterCrash: store.isAfterCrash,
            mostCrashes: store.mostCrashes, rangeLiars: store.rangeLiars,
            heldHosts: store.heldHosts)
        let plan = dispatchPlan(plan.configuration, plan.credentials)
        let beat = heartbeat("dld-dispatch")
        threads.dispatch = WorkerThread(name: "dld-dispatch") {
            var loop = DispatchLoop(
                inbox: wires.dispatch, bell: wires.dispatchBell, heartbeat: beat, ports: ports, plan: plan,
                start: start)
            loop.run()
        }
    }

    func dispatchPlan(
        _ configuration: Configuration, _ credentials: [String: OriginCredential]
    ) -> DispatchPlan {
        DispatchPlan(
            configuration: configuration, workers: configuration.workers, outputRoot: store.place.root,
            partsDirectory: store.place.parts, endsWhenIdle: plan.endsWhenIdle,
            environmentProxy: plan.environmentProxy, hostPatience: plan.hostPatience, version: plan.version,
            credentials: credentials)
    }

    func spoolSettings(_ configuration: Configuration) -> SpoolSettings {
        SpoolSettings(
            spool: configuration.spoolDir, quiet: configuration.spool.quiet,
            rescanInterval: configuration.spool.rescan, layout: configuration.output.layout,
            outputRoot: store.place.root, maxListSize: configuration.limits.maxListSize,
            maxSumTerms: UInt128(configuration.sum.maxTerms), protocols: configuration.network.protocols,
            maxFileSize: configuration.limits.maxFileSize, listRetention: configuration.retention.lists)
    }

    private func startSpool() {
        let wires = wires
        let settings = spoolSettings(plan.configuration)
        let beat = heartbeat("dld-spool")
        let cipher = store.cipher
        let nextSeq = store.nextSeq
        let logger = logger
        let verdicts = verdicts
        wires.spool.send(.recover(store.lists))
        let bridge = makeBridge()
        self.bridge = bridge
        let events: @Sendable (SpoolEvent) -> Void = { event in
            SpoolNews.log(event, to: logger)
            switch event {
            case .idle(let isIdle): wires.dispatch.send(.spoolIdle(isIdle))
            case .added(let ticket, let result): bridge.added(ticket: ticket, result)
            case .digestsRead(let id, let result): wires.dispatch.send(.digestsRead(id, result))
            case .rejected: verdicts.rejected()
            case .accepted, .closed, .removed, .remark: break
            }
        }
        threads.spool = WorkerThread(name: "dld-spool") {
            do throws(SystemError) {
                var loop = try SpoolLoop(
                    settings: settings, nextSeq: nextSeq, cipher: cipher, inbox: wires.spool,
                    bell: wires.spoolBell, requests: { wires.spoolRequests.send($0) }, events: events,
                    heartbeat: beat)
                loop.run()
            } catch {
                wires.fail(Places.unusable(settings.spool, error))
            }
        }
    }

    private func makeBridge() -> ControlBridge {
        let wires = wires
        let requests = reloads
        return ControlBridge(
            board: board,
            ports: .init(
                dispatch: wires.dispatch, ledger: wires.ledger, reads: wires.reads, spool: wires.spool,
                reload: { requests.add($0) }, logger: logger),
            cipher: store.cipher, spoolPath: plan.configuration.spoolDir,
            outputPath: store.place.root, statePath: plan.configuration.stateDir, identity: identity)
    }

    private func startWatch() {
        let wires = wires
        let places = WatchLoop.Places(
            output: store.place, spool: plan.configuration.spoolDir, state: plan.configuration.stateDir,
            dirMode: plan.configuration.output.dirMode)
        let missing = store.missingOutput
        threads.watch = WorkerThread(name: "dld-watch") {
            var loop = WatchLoop(
                places: places, missing: missing, bell: wires.watchBell, inbox: wires.homes,
                isStopping: { wires.isStopping.load(ordering: .acquiring) },
                report: { wires.dispatch.send(.disks($0)) })
            loop.run()
        }
    }

    private func startControl() throws(StartError) {
        guard let bridge else { return }
        var settings = ControlSettings(socketPath: plan.configuration.controlSocket)
        settings.maximumList = plan.configuration.limits.maxListSize
        do {
            control = try ControlServer.start(settings: settings, backend: bridge, logger: logger)
        } catch {
            let status = error.code == .inUse ? ExitStatus.held : ExitStatus.config
            throw StartError(status, "control socket: \(error)")
        }
    }
}
