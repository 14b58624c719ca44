// SPDX-License-Identifier: Apache-2.0

import Config
public import JobModel
import LinuxKit
import SystemPackage

/// What `dld get` was asked for.
public struct GetRequest: Sendable {
    public var directory: String
    public var urls: [String]
    public var name: String?
    /// A list file, or `-`.
    public var input: String?
    public var jobs = 16
    public var headers: [HeaderField] = []
    public var checksum: Checksum?
    public init(directory: String, urls: [String]) {
        self.directory = directory
        self.urls = urls
    }
}

/// `dld get`: the same engine with a state of its own, for this call and the same call again.
///
/// The state directory's name is made from the directory and the arguments: two different calls never meet, and a
/// call that was interrupted finds its ledger and its parts. When all is done the state goes.
public enum GetRun {
    public static func run(_ request: GetRequest, version: String) -> Int32 {
        do {
            let signals = try DaemonRun.prepareProcess()
            let place = try GetPlace(request)
            return try run(request, in: place, signals, version: version)
        } catch let error as StartError {
            DaemonRun.complain("\(error)")
            return error.status
        } catch {
            DaemonRun.complain("\(error)")
            return ExitStatus.io
        }
    }

    private static func run(
        _ request: GetRequest, in place: GetPlace, _ signals: borrowing SignalDescriptor, version: String
    ) throws -> Int32 {
        do {
            let engine = try engine(request, place, version: version)
            try engine.start()
            let supervisor = Supervisor(
                engine: engine, configPath: nil, notify: try NotifySocket(address: nil))
            let progress = GetProgress(board: engine.board)
            supervisor.onTick = { progress.tick() }
            try supervisor.run(signals)
            engine.stop()
            return conclude(engine, supervisor, progress, place)
        } catch let error as StartError where error.status == ExitStatus.dataError {
            // fsck is for a daemon's ledger; this one holds nothing but how far this call came.
            throw error.remedied(by: place.mending)
        }
    }

    /// Somebody waits for the end: one URL of a dead host ends by its attempts, thirty of them by this. For the
    /// network of this machine it waits as long as a daemon.
    static let hostPatience = Duration.seconds(300)

    private static func engine(_ request: GetRequest, _ place: GetPlace, version: String) throws -> Engine {
        var configuration = Configuration(cores: min(2, ProcessFacts.usableProcessors()))
        configuration.spoolDir = place.spool
        configuration.stateDir = place.state
        configuration.outputDir = place.output
        configuration.transfersPerWorker = max(1, request.jobs / configuration.workers)
        configuration.hosts.defaults.connections = request.jobs
        configuration.spool.quiet = .zero
        configuration.log.level = .warning
        configuration.limits.minFree = 0
        // ^C means now; what has arrived is kept.
        configuration.timeouts.drain = .zero
        configuration.log.jobsFile = .off
        let plan = EnginePlan(
            configuration: configuration, version: version, sumdPath: Programs.sumd, servesControl: false,
            endsWhenIdle: true, claimsOutput: false, jobsLog: nil,
            environmentProxy: EnvironmentProxy(environment: Environment.all()), hostPatience: hostPatience)
        return try Engine(plan, style: .plain)
    }

    private static func conclude(
        _ engine: Engine, _ supervisor: Supervisor, _ progress: GetProgress, _ place: GetPlace
    ) -> Int32 {
        // Lines that are no good are in no count of transfers.
        let failures = place.failures()
        progress.finish(failed: failures.count)
        if supervisor.wasStopped {
            DaemonRun.complain("stopped; the same call again goes on from here")
            return supervisor.wasInterrupted ? ExitStatus.interrupted : ExitStatus.failed
        }
        let tally = engine.verdicts.result
        for failure in failures { DaemonRun.complain(failure) }
        if tally.rejected > 0 { for reason in place.rejections() { DaemonRun.complain(reason) } }
        if place.canGoOn {
            DaemonRun.complain("the same call again tries what failed, and only that")
        } else {
            place.remove(engine.store.place)
        }
        return tally.isGood ? ExitStatus.fine : ExitStatus.failed
    }
}
