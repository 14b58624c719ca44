// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Locking
import Spool
import TestKit
import Testing

/// Lists that ended long ago leave the spool; what is not theirs stays.
@Suite struct RetentionDeskTests {
    private func settings(_ rig: SpoolRig, _ age: Duration?) throws -> SpoolSettings {
        SpoolSettings(
            spool: rig.spool, quiet: .zero, rescanInterval: .milliseconds(200),
            layout: try OutputLayout(template: "flat"), outputRoot: "/srv/dld", listRetention: age)
    }
    private func ended(_ rig: SpoolRig, _ name: String, as end: JobState) throws -> ListID {
        try rig.drop(name, "http://a/\(name)\n")
        let list = try rig.accepted(name)
        _ = try rig.running(name)
        _ = try rig.close(list, as: end)
        return list
    }
    private func removed(_ rig: SpoolRig, _ list: ListID) throws {
        _ = try rig.event("list \(list) is removed") {
            if case .removed(let row) = $0, row.id == list { true } else { nil }
        }
    }

    @Test func `files first, rows second, and other lists' files of the same name stay`() throws {
        let rig = try SpoolRig()
        let good = try ended(rig, "good.txt", as: .done)
        let bad = try ended(rig, "bad.txt", as: .failed)
        let reused = try ended(rig, "reused.txt", as: .done)
        // Its user took it away, and another list of that name ended.
        try FileTree.write("another\n", to: rig.path("done/other"))
        try FileTree.rename(rig.path("done/other"), rig.path("done/reused.txt"))
        try FileTree.write("{\"list\":9999,\"line\":1}\n", to: rig.path("done/reused.txt.results.jsonl"))
        rig.inbox.send(.settings(try settings(rig, .zero)))
        for list in [good, bad, reused] { try removed(rig, list) }
        #expect(FileTree.names(rig.path("failed")).isEmpty)
        #expect(FileTree.names(rig.path("done")).sorted() == ["reused.txt", "reused.txt.results.jsonl"])
        #expect(rig.ledger.state.withLock { $0.forgotten.sorted() } == [good, bad, reused])
    }

    @Test func `more lists than a page go page by page, and young ones stay`() throws {
        let rig = try SpoolRig()
        let list = try ended(rig, "l.txt", as: .done)
        #expect(rig.ledger.state.withLock { $0.rows[list] } != nil)
        // Of lists long gone from the spool.
        rig.ledger.state.withLock { state in
            for number in 1000..<1250 as Range<Int64> {
                let old = ListRow(
                    id: ListID(number), name: "old", acceptedName: "old", finalName: "old", format: .text,
                    isGzip: false,
                    state: .closed, device: 1, inode: 1, position: ListPosition(), defaults: JobOptions(),
                    isPaused: false, counts: StateCounts(), bytes: 0, admittedAt: WallTime(milliseconds: 0),
                    endedAt: WallTime(milliseconds: 1))
                state.rows[old.id] = old
            }
        }
        rig.inbox.send(.settings(try settings(rig, .seconds(3600))))
        try removed(rig, ListID(1249))
        #expect(rig.ledger.state.withLock { $0.forgotten.count } == 250)
        #expect(FileTree.names(rig.path("done")).sorted() == ["l.txt", "l.txt.results.jsonl"])
    }
}
