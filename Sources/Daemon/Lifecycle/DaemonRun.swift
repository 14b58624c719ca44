// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import Curl
import Glibc
import JobModel
import LinuxKit
import Logging

/// `dld run` and `dld once`: from the config file to the exit status. Called once, on the main thread, before any
/// other thread exists.
public enum DaemonRun {
    /// The daemon: until a signal.
    public static func run(config path: String?, version: String) -> Int32 {
        start(config: path, version: version, once: false)
    }

    /// Takes in what lies in the spool, works until every job is terminal or paused.
    public static func once(config path: String?, version: String) -> Int32 {
        start(config: path, version: version, once: true)
    }

    private static func start(config path: String?, version: String, once: Bool) -> Int32 {
        do {
            let signals = try prepareProcess()
            let notify = try NotifySocket.fromEnvironment()
            let loaded = try ConfigLoading.load(path)
            for warning in loaded.warnings { complain("warning: \(warning)") }
            let plan = EnginePlan(
                configuration: loaded.configuration, version: version, sumdPath: Programs.sumd,
                servesControl: !once, endsWhenIdle: once, claimsOutput: true,
                jobsLog: JobsLogPlace.path(for: loaded.configuration), environmentProxy: nil,
                credentials: loaded.credentials)
            let engine = try Engine(plan, style: LogPlace.style(for: loaded.configuration))
            engine.board.change { $0.config.path = loaded.path }
            engine.logger.notice(
                "starting", metadata: ["version": "\(version)", "config": "\(loaded.path ?? "defaults")"])
            try engine.start()
            let supervisor = Supervisor(engine: engine, configPath: path, notify: notify)
            try supervisor.run(signals)
            engine.stop()
            return once ? onceStatus(engine, supervisor) : ExitStatus.fine
        } catch let error as StartError {
            complain("\(error)")
            return error.status
        } catch {
            complain("\(error)")
            return ExitStatus.io
        }
    }

    private static func onceStatus(_ engine: Engine, _ supervisor: Supervisor) -> Int32 {
        if supervisor.wasInterrupted { return ExitStatus.interrupted }
        let tally = engine.verdicts.result
        // A list with a paused job stays open, so its jobs are not in the tally.
        let open = engine.board.read().status.jobs
        let paused = open.paused > 0 ? ", paused \(open.paused)" : ""
        complain(
            "done \(tally.done + open.done), failed \(tally.failed + open.failed), "
                + "cancelled \(tally.cancelled + open.cancelled)\(paused)")
        let isGood = tally.isGood && open.open == 0 && open.failed == 0 && open.cancelled == 0
        return isGood ? ExitStatus.fine : ExitStatus.failed
    }

    /// What must happen before the first thread: signals blocked so that every thread inherits that, libcurl's
    /// global state made, the descriptor limit raised.
    static func prepareProcess() throws -> SignalDescriptor {
        umask(0o027)
        SignalDescriptor.ignoreBrokenPipes()
        try SignalDescriptor.block(Supervisor.signals)
        let signals = try SignalDescriptor(Supervisor.signals)
        try CurlGlobal.initialize()
        // More descriptors are a comfort, not a need.
        do { _ = try ProcessFacts.raiseDescriptorLimit(to: 65_536) } catch { complain("warning: \(error)") }
        return signals
    }

    /// A line on standard error, for what happens where there is no log.
    static func complain(_ text: String) {
        let bytes = Array("dld: \(text)\n".utf8)
        // Nothing is left to tell if standard error is gone.
        _ = unsafe bytes.span.bytes.withUnsafeBytes { buffer in
            unsafe write(2, buffer.baseAddress, buffer.count)
        }
    }
}
