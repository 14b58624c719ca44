// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import ControlServer
import Glibc
import JobModel
import LinuxKit
import Logging
import Spool
import SumPool
import Synchronization
import Transfer

/// Runs on: main.
/// Owns: signals, the watchdog, reloads, the words to systemd; decides when the engine ends.
///
/// First SIGTERM or SIGINT: start nothing more, let what runs finish for `timeouts.drain`, then stop with parts kept.
/// A second one stops at once. SIGHUP reloads, SIGUSR1 reopens logs.
final class Supervisor {
    static let signals = [SIGTERM, SIGINT, SIGHUP, SIGUSR1]
    /// A thread that has not moved for so long is stuck; a third of the unit's WatchdogSec is left for the restart.
    static let freshness = Duration.seconds(20)
    static let tick = Duration.seconds(1)

    private let engine: Engine
    private let configPath: String?
    private var configuration: Configuration
    private let notify: NotifySocket
    private let watchdog: Duration?
    private var lastStatus = ""
    private var lastBeat = MonotonicTime(nanoseconds: 0)
    private var drainSince: MonotonicTime?
    /// The watchdog was left without its word, and told the next start why.
    private var isStuck = false
    private(set) var wasInterrupted = false
    /// A signal ended it, not the work.
    private(set) var wasStopped = false
    /// Called about once a second, and when something rang.
    var onTick: (() -> Void)?

    init(engine: Engine, configPath: String?, notify: NotifySocket) {
        self.engine = engine
        self.configPath = configPath
        self.notify = notify
        configuration = engine.plan.configuration
        watchdog = WatchdogRequest.fromEnvironment()
    }

    /// Until the dispatcher has ended or the daemon cannot go on.
    func run(_ signals: borrowing SignalDescriptor) throws(StartError) {
        _ = notify.send(.ready, .status(engine.board.read().status.verdict))
        while true {
            _ = Poll.readable([signals.descriptor, engine.wires.mainBell.descriptor], atMost: Self.tick)
            engine.wires.mainBell.silence()
            while let number = signals.next() { received(number) }
            if let failure = engine.wires.failed { throw failure }
            if engine.wires.hasEnded.load(ordering: .acquiring) { return }
            for reply in engine.reloads.take() {
                reload(reply)
                engine.logPort.reopen()
            }
            beat()
            onTick?()
        }
    }

    private func received(_ number: Int32) {
        switch number {
        case SIGHUP:
            _ = notify.send(.reloading)
            reload(nil)
            engine.logPort.reopen()
            _ = notify.send(.ready)
        case SIGUSR1: engine.logPort.reopen()
        default: stop(number)
        }
    }

    private func stop(_ number: Int32) {
        wasStopped = true
        wasInterrupted = wasInterrupted || number == SIGINT
        let now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        guard drainSince == nil else {
            engine.logger.notice("stopping at once, parts kept")
            engine.wires.dispatch.send(.stop(within: .seconds(1)))
            HardEnd.after(seconds: 3)
            return
        }
        drainSince = now
        let patience = configuration.timeouts.drain + DispatchLoop.stopLimit + .seconds(5)
        HardEnd.after(seconds: UInt32(min(3600, patience.secondsDouble.rounded(.up))))
        let drain = configuration.timeouts.drain
        engine.logger.notice("draining", metadata: ["for": "\(DurationText.format(drain))"])
        _ = notify.send(.stopping, .extendTimeout(drain + .seconds(30)))
        engine.wires.dispatch.send(.drain(until: now + drain))
        engine.wires.audits.send(.drain)
    }

    /// A bad config is refused whole: the old one stays, the log and status say why.
    private func reload(_ reply: ControlReply<ReloadDocument>?) {
        do {
            let loaded = try ConfigLoading.load(configPath)
            let restart = Configuration.keysNeedingRestart(from: configuration, to: loaded.configuration)
            for key in restart {
                engine.logger.warning("needs a restart to change", metadata: ["key": "\(key)"])
            }
            for warning in loaded.warnings {
                engine.logger.warning("config", metadata: ["warning": "\(warning)"])
            }
            apply(loaded)
            engine.board.change {
                $0.config.state = .ok
                $0.config.reason = nil
            }
            engine.logger.notice("config reloaded")
            reply?.succeed(
                ReloadDocument(warnings: loaded.warnings.map(\.description), needsRestart: restart))
        } catch {
            engine.board.change {
                $0.config.state = .stale
                $0.config.reason = "\(error)"
            }
            for line in "\(error)".split(separator: "\n") {
                engine.logger.error("config refused, the old one stays", metadata: ["why": "\(line)"])
            }
            reply?.fail(.conflict("\(error)"))
        }
    }

    /// What can change while running changes; the places and sizes fixed at the start stay as they were.
    private func apply(_ loaded: ConfigLoading.Loaded) {
        var next = loaded.configuration
        next.spoolDir = configuration.spoolDir
        next.outputDir = configuration.outputDir
        next.stateDir = configuration.stateDir
        next.controlSocket = configuration.controlSocket
        next.workers = configuration.workers
        next.durability = configuration.durability
        if next.sum.processes != configuration.sum.processes {
            engine.wires.sums.send(.resize(next.sum.processes))
        }
        configuration = next
        engine.logPort.setLevel(Logger.Level(rawValue: next.log.level.rawValue) ?? .info)
        engine.wires.dispatch.send(.plan(engine.dispatchPlan(next, loaded.credentials)))
        engine.wires.spool.send(.settings(engine.spoolSettings(next)))
        engine.wires.audits.send(.rate(next.verify.rate))
    }

    /// Once a second: everybody's pulse onto the board, the verdict to systemd, and WATCHDOG=1 while all is well.
    private func beat() {
        let now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        guard now - lastBeat >= Self.tick else { return }
        lastBeat = now
        let readings = engine.heartbeats.map { (beat: $0, reading: $0.reading()) }
        engine.board.change { facts in
            facts.heartbeats = readings.map { ($0.beat.name, $0.reading.age, $0.reading.call) }
        }
        let verdict = engine.board.read().status.verdict
        if verdict != lastStatus {
            lastStatus = verdict
            _ = notify.send(.status(verdict))
        }
        guard watchdog != nil else { return }
        let stuck = readings.first { !$0.reading.isFresh(limit: Self.freshness) }
        let state = configuration.stateDir
        if stuck != nil, !isStuck { WatchdogNote.leave(in: state) }
        if stuck == nil, isStuck { WatchdogNote.take(in: state) }
        isStuck = stuck != nil
        if let stuck {
            let call = stuck.reading.call.map { " in \($0)" } ?? ""
            engine.logger.critical(
                "a thread is stuck; the watchdog will restart the daemon",
                metadata: ["thread": "\(stuck.beat.name)\(call)"])
        } else {
            _ = notify.send(.watchdog)
        }
    }
}
