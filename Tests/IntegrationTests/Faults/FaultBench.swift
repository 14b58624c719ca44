// SPDX-License-Identifier: Apache-2.0

import Foundation
import LinuxKit
import Locking
import TestKit

/// A daemon that cases of the fault matrix are played against, a good origin beside them, and a pulse.
///
/// The pulse asks for the status ten times a second, as an operator would while things go wrong. Cases share one daemon:
/// each has ports, and so hosts, of its own. Any thread; it goes with the last test that holds it.
final class FaultBench: Sendable {
    let daemon: RunningDaemon
    let authority: TestAuthority
    /// Where the undisturbed jobs come from; nil where the good origin is in a namespace.
    private let origin: ScriptedServer?
    private let network: TestNetwork?
    private let pulse: StatusPulse

    /// The defaults of all benches: back-off short enough for a test, limits low enough to be met.
    static let settings: ConfigValue = [
        "retry": ["max_attempts": 3, "base_delay": "20ms", "max_delay": "100ms"],
        "limits": ["max_file_size": "4MiB"],
    ]

    /// - Parameters:
    ///   - network: the daemon lives in it, and its first port is the good origin.
    init(
        _ config: ConfigValue = [:], environment: [String: String?] = [:], network: TestNetwork? = nil
    ) throws {
        authority = try TestAuthority()
        let trust: ConfigValue = ["network": ["ca_file": .text(authority.caFile)]]
        daemon = try RunningDaemon.start(
            Self.settings.merged(with: trust).merged(with: config), environment: environment,
            prefix: network?.prefix ?? [])
        self.network = network
        origin = network == nil ? try ScriptedServer() : nil
        origin?.routeAll { ScriptedReply(body: sample($0.target.utf8.count, 30_000)) }
        pulse = try StatusPulse(daemon.socket)
    }

    private struct Slot { weak var bench: FaultBench? }
    private static let shared = Guarded(Slot())
    /// The bench of all cases that need no configuration of their own.
    static func lease() throws -> FaultBench {
        try shared.withLock { slot in
            if let bench = slot.bench { return bench }
            let bench = try FaultBench()
            slot.bench = bench
            return bench
        }
    }

    private func good(_ id: String) -> (url: String, bytes: [UInt8]) {
        if let network { return (network.server.url("good-\(id)"), network.server.body()) }
        return (origin!.url("good-\(id)"), sample("/good-\(id)".utf8.count, 30_000))
    }

    /// Plays a case to its end; what is not as it should be is thrown, all of it.
    func play(_ id: String, _ fault: FaultCase) throws {
        let pid = try daemon.process().pid
        let beat = pulse.start()
        var wrong: [String] = []
        let directory = "\(daemon.output)/\(id)"
        let good = good(id)
        try daemon.drop("\(id).txt", fault.list(directory: id))
        try daemon.drop("\(id)-good.txt", "\(good.url)\n dir=\(id)-good\n out=good\n")
        try fault.meanwhile?(daemon, "\(id).txt")
        var folder: String?
        try eventually(within: fault.limit, "\(id) has ended", context: { self.daemon.account }) {
            wrong += fault.partialFiles(in: directory)
            folder = ["done", "failed", "rejected"].first {
                FileTree.exists("\(daemon.spool)/\($0)/\(id).txt")
            }
            return folder != nil
        }
        let results = folder == "rejected" ? [] : try ResultLine.parse(try daemon.results("\(id).txt"))
        wrong += try fault.differences(results)
        wrong += try fault.differences(below: directory)

        let beside = try daemon.waitFor("\(id)-good.txt").results
        if beside.map(\.state) != ["done"] || beside.map(\.attempts) != [1] {
            wrong.append("the good job beside it: \(beside)")
        }
        if try FileTree.read("\(daemon.output)/\(id)-good/good") != good.bytes {
            wrong.append("the good file has other bytes")
        }
        let child = try daemon.process()
        if child.pid != pid || !child.isRunning { wrong.append("the daemon has ended") }
        wrong += pulse.faults(since: beat)
        if !wrong.isEmpty {
            throw KitError("\(wrong.joined(separator: "\n"))\n\(results)\n\(daemon.account)")
        }
    }
}

/// Asks for the status again and again and keeps how long each answer took.
private final class StatusPulse: Sendable {
    private struct Beat {
        let began: ContinuousClock.Instant
        let took: Duration
        let error: String?
    }
    /// Of its own: the thread must not hold, nor end, the pulse that joins it.
    private final class Beats: Sendable { let all = Guarded<[Beat]>([]) }
    private let beats = Beats()
    private let stopping = Latch()
    private let thread = Guarded<WorkerThread?>(nil)

    init(_ socket: String) throws {
        let stopping = stopping
        let beats = beats
        let body = WorkerThread(name: "test-pulse") {
            repeat {
                let began = ContinuousClock.now
                var error: String?
                do {
                    let status = try UnixHTTP.get(socket, "/v1/status").status
                    if status != 200 { error = "status answered \(status)" }
                } catch let thrown {
                    error = "\(thrown)"
                }
                let beat = Beat(began: began, took: ContinuousClock.now - began, error: error)
                beats.all.withLock { $0.append(beat) }
            } while !stopping.wait(atMost: .milliseconds(100))
        }
        thread.withLock { $0 = body }
    }

    deinit {
        stopping.open()
        thread.withLock { $0.take() }?.join()
    }

    func start() -> ContinuousClock.Instant { .now }

    /// The promise is a second; a machine known to be slow gets its multiple.
    func faults(since start: ContinuousClock.Instant) -> [String] {
        let limit = Duration.seconds(1) * Patience.factor
        return beats.all.withLock { $0 }.filter { $0.began >= start }.compactMap { beat in
            beat.error ?? (beat.took > limit ? "the status took \(beat.took)" : nil)
        }
    }
}

extension FaultBench {
    /// Of the authority that the daemon trusts, for 127.0.0.1.
    var certificate: TestAuthority.Certificate {
        TestAuthority.Certificate(file: authority.certificate, key: authority.key)
    }
}
