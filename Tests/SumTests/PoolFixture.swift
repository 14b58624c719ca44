// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import Locking
import SumPool
import TestKit

/// A SumPoolLoop on a thread of its own with the built `sumd` below it. Stopped and joined at the end.
final class RunningPool: Sendable {
    private let inbox: Mailbox<SumCommand>
    private let seen = Seen()
    private let thread: WorkerThread
    private let isStopped = Guarded(false)

    private final class Seen: Sendable {
        let events = Guarded<[SumEvent]>([])
    }

    init(
        processes: Int = 2, executable: String? = nil, answerLimit: Duration = .seconds(60),
        pieceLimit: Duration = .seconds(600), failedStartLimit: Int = 5
    ) throws {
        let settings = SumPoolSettings(
            executable: try executable ?? BuildProducts.path("sumd"), processes: processes,
            restart: RestartPolicy(firstDelay: .milliseconds(10), maxDelay: .milliseconds(100)),
            answerLimit: answerLimit, pieceLimit: pieceLimit, failedStartLimit: failedStartLimit)
        let bell = Doorbell()
        let inbox = Mailbox<SumCommand> { bell.ring() }
        let seen = self.seen
        self.inbox = inbox
        thread = WorkerThread(name: "dld-sum") {
            var loop = SumPoolLoop(
                settings: settings, inbox: inbox, bell: bell,
                events: { event in seen.events.withLock { $0.append(event) } },
                heartbeat: Heartbeat(name: "dld-sum"))
            loop.run()
        }
    }

    deinit { stop() }

    func stop() {
        let wasStopped = isStopped.withLock { stopped in
            defer { stopped = true }
            return stopped
        }
        guard !wasStopped else { return }
        inbox.send(.stop)
        thread.join()
    }

    func send(_ command: SumCommand) { inbox.send(command) }
    var events: [SumEvent] { seen.events.withLock { $0 } }
    var state: SumPoolState {
        events.reduce(into: SumPoolState()) { state, event in
            if case .state(let newer) = event { state = newer }
        }
    }

    /// The job's own event: not a state.
    func answer(_ seq: Int64, within limit: Duration = .seconds(30)) throws -> SumEvent {
        try eventuallySome(within: limit, "job \(seq) is answered", context: { "\(self.events.suffix(5))" }) {
            events.first { event in
                switch event {
                case .summed(let job, _, _), .digested(let job, _, _), .failed(let job, _),
                    .pieced(let job, _, _), .bundled(let job, _):
                    job == JobSeq(seq)
                case .found, .state: false
                }
            }
        }
    }

    /// Kills the only worker so often, each time the one that took the last one's place, and only when that is deep in
    /// a long job: a worker that is killed while it comes up has nothing to its charge.
    func killWorker(times: Int) throws {
        var old = try stateWhen("the worker is up") { $0.workers.count == 1 }.workers
        for death in 1...times {
            let worker = old[0]
            try eventually("worker \(worker) is at work") {
                (Processes.processorTicks(of: worker) ?? 0) >= 10
            }
            kill(worker, SIGKILL)
            old = try stateWhen("death \(death) was made good") {
                $0.workerRestarts == death && $0.workers.count == 1 && $0.workers != old
            }.workers
        }
    }

    func stateWhen(_ what: String, _ condition: (SumPoolState) -> Bool) throws -> SumPoolState {
        try eventuallySome(what, context: { "\(self.state)" }) { condition(state) ? state : nil }
    }
}

/// What procfs tells of other processes.
enum Processes {
    static func exists(_ pid: Int32) -> Bool {
        // A zombie is gone but for its number.
        guard let fields = stat(pid) else { return false }
        return fields.first != "Z"
    }

    /// CPU time so far, user and system, in ticks of 10 ms (proc(5)); nil: it is gone.
    static func processorTicks(of pid: Int32) -> Int? {
        guard let fields = stat(pid), fields.count > 12, let user = Int(fields[11]),
            let system = Int(fields[12])
        else { return nil }
        return user + system
    }

    static func parent(of pid: Int32) -> Int32? {
        guard let fields = stat(pid), fields.count > 1 else { return nil }
        return Int32(fields[1])
    }

    /// From the state on; what lies before holds the name, which may hold anything.
    private static func stat(_ pid: Int32) -> [Substring]? {
        guard let text = try? FileTree.text("/proc/\(pid)/stat"),  // gone meanwhile
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[text.index(after: end)...].split(separator: " ")
    }

    static func threads(of pid: Int32) -> Int { FileTree.names("/proc/\(pid)/task").count }

    /// Number and target of each open descriptor.
    static func descriptors(of pid: Int32) -> [Int: String] {
        var found: [Int: String] = [:]
        for name in FileTree.names("/proc/\(pid)/fd") {
            var buffer = [UInt8](repeating: 0, count: 1024)
            let count = buffer.withUnsafeMutableBytes {
                readlink(
                    "/proc/\(pid)/fd/\(name)", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
            if count > 0, let number = Int(name) {
                found[number] = String(decoding: buffer.prefix(count), as: UTF8.self)
            }
        }
        return found
    }
}
