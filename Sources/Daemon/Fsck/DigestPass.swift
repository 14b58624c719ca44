// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import SumPool

/// Digests of published files, by `sumd` as ever: some files at a time, answers as they come.
final class DigestPass {
    /// Files handed out at a time.
    private static let limit = 64

    private let root: String
    private let commands: Mailbox<SumCommand>
    private let events: Mailbox<SumEvent>
    private let answered = Doorbell()
    private let thread: WorkerThread
    private var waiting: [JobSeq: PublishedFile] = [:]
    private var next: Int64 = 1

    init(root: String, executable: String, processes: Int) {
        self.root = root
        let (asked, answered) = (Doorbell(), answered)
        let commands = Mailbox<SumCommand> { asked.ring() }
        let events = Mailbox<SumEvent> { answered.ring() }
        self.commands = commands
        self.events = events
        let settings = SumPoolSettings(executable: executable, processes: processes)
        thread = WorkerThread(name: "dld-sum") {
            var loop = SumPoolLoop(
                settings: settings, inbox: commands, bell: asked, events: { events.send($0) },
                heartbeat: Heartbeat(name: "dld-sum"))
            loop.run()
        }
    }

    /// Hands one out; one without a known digest is left alone. Waits while too many are out.
    func add(_ file: PublishedFile) -> [(PublishedFile, String)] {
        guard let digest = file.record.digest else { return [] }
        let seq = JobSeq(next)
        next += 1
        waiting[seq] = file
        commands.send(.digest(seq, directory: root, name: file.record.path.description, digest.algorithm))
        return collect(downTo: Self.limit)
    }

    /// Waits for all that are out. Nothing may be added after it.
    func finish() -> [(PublishedFile, String)] {
        let faults = collect(downTo: 0)
        commands.send(.stop)
        thread.join()
        return faults
    }

    private func collect(downTo limit: Int) -> [(PublishedFile, String)] {
        var faults: [(PublishedFile, String)] = []
        while waiting.count > limit {
            _ = answered.wait(atMost: .seconds(60))
            for event in events.drain() {
                switch event {
                case .digested(let seq, let found, _):
                    guard let file = waiting.removeValue(forKey: seq) else { continue }
                    if let wanted = file.record.digest, found != wanted {
                        faults.append((file, PublishedCheck.digestFault(found: found, published: wanted)))
                    }
                case .failed(let seq, let error):
                    guard let file = waiting.removeValue(forKey: seq) else { continue }
                    faults.append((file, "it cannot be digested: \(error.message)"))
                case .summed, .pieced, .bundled, .found, .state: continue
                }
            }
        }
        return faults
    }
}
