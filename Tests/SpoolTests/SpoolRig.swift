// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import Locking
import Spool
import TestKit
import Testing

/// What a spool told. No part of the rig: a thread that held the rig while it notes an event could be the last to let
/// go of it, and would then wait for itself.
private final class Heard: Sendable {
    let events = Guarded<[SpoolEvent]>([])
}

/// A running spool over a directory of its own and a ledger in memory.
final class SpoolRig: Sendable {
    let folder: TempDirectory
    let ledger: StandInLedger
    let inbox: Mailbox<SpoolMessage>
    private let heard = Heard()
    private let thread = Guarded<WorkerThread?>(nil)
    private let bell: Doorbell

    var spool: String { folder.sub("spool") }
    func path(_ name: String) -> String { "\(spool)/\(name)" }

    /// - Parameter starts: false leaves the loop to `start`, so that a test can lay the ground first.
    init(
        folder: TempDirectory? = nil, ledger rows: StandInLedger? = nil, starts: Bool = true,
        quiet: Duration = .zero
    ) throws {
        let folder = try folder ?? TempDirectory()
        let bell = Doorbell()
        let inbox = Mailbox<SpoolMessage>(wake: { bell.ring() })
        self.folder = folder
        self.bell = bell
        self.inbox = inbox
        ledger = StandInLedger(inbox: inbox)
        if let rows {
            let old = rows.state.withLock { $0 }
            ledger.state.withLock {
                $0.rows = old.rows
                $0.entries = old.entries
                $0.nextID = old.nextID
            }
        }
        try SpoolDirectories.create(at: folder.sub("spool"))
        if starts { try start(quiet: quiet) }
    }

    func start(quiet: Duration = .zero, rescan: Duration = .milliseconds(200)) throws {
        let settings = SpoolSettings(
            spool: spool, quiet: quiet, rescanInterval: rescan, layout: try OutputLayout(template: "flat"),
            outputRoot: "/srv/dld", maxListSize: 64 << 20)
        let (ledger, inbox, bell, heard) = (ledger, inbox, bell, heard)
        let seq = ledger.nextSeq
        inbox.send(.recover(ledger.openRows()))
        let made = WorkerThread(name: "dld-spool") {
            do {
                var loop = try SpoolLoop(
                    settings: settings, nextSeq: seq, cipher: JobIDCipher(key: 1), inbox: inbox, bell: bell,
                    requests: { ledger.ask($0) },
                    events: { event in heard.events.withLock { $0.append(event) } },
                    heartbeat: Heartbeat(name: "dld-spool"))
                loop.run()
            } catch {
                Issue.record("\(error)")
            }
        }
        thread.withLock { $0 = made }
    }

    func stop() {
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        inbox.send(.stop)
        running?.join()
    }
    deinit { stop() }

    /// Drops a list the right way: written aside, then renamed in.
    func drop(_ name: String, _ text: String) throws {
        let aside = try folder.file("aside", text)
        try FileTree.rename(aside, path(name))
    }

    /// The first event, past or to come, for which `pick` has a value.
    func event<Value>(_ what: String, _ pick: (SpoolEvent) -> Value?) throws -> Value {
        try eventuallySome(within: .seconds(20), what, context: { self.transcript }) {
            heard.events.withLock { $0 }.lazy.compactMap(pick).first
        }
    }
    func accepted(_ name: String) throws -> ListID {
        try event("\(name) is accepted") { if case .accepted(let list, name) = $0 { list } else { nil } }
    }
    func rejected(_ name: String) throws -> String {
        try event("\(name) is rejected") { if case .rejected(name, let reason) = $0 { reason } else { nil } }
    }
    func running(_ name: String) throws -> ListRow {
        try eventuallySome(within: .seconds(20), "\(name) is running", context: { self.transcript }) {
            let row = ledger.row(named: name)
            return row?.state == .running ? row : nil
        }
    }
    func idle() throws { _ = try event("idle") { if case .idle(true) = $0 { true } else { nil } } }

    /// Ends all jobs of a list and waits for the spool to close it; the folder it went to.
    func close(_ list: ListID, as end: JobState = .done) throws -> String {
        let row = try #require(ledger.endJobs(of: list, as: end))
        inbox.send(.listEnded(row))
        return try event("list \(list) is closed") {
            if case .closed(list, let folder) = $0 { folder } else { nil }
        }
    }

    var transcript: String { heard.events.withLock { $0.map { "\($0)" }.joined(separator: "\n") } }
}
