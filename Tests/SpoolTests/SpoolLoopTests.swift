// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import Locking
import Spool
import TestKit
import Testing

@Suite struct SpoolLoopTests {
    @Test func `a dropped list is accepted, admitted and closed with results in line order`() throws {
        let rig = try SpoolRig()
        try rig.drop("l.txt", "http://a/1\nnonsense\nsum:0..4\nhttp://u:pw@a/2\n out=x\n")
        let list = try rig.accepted("l.txt")
        let row = try rig.running("l.txt")
        #expect(row.position.entries == 4 && row.position.line == 5)
        #expect(rig.ledger.entries(of: list).map(\.line) == [1, 2, 3, 4])
        #expect(FileTree.exists(rig.path("accepted/l.txt")) && !FileTree.exists(rig.path("l.txt")))
        #expect(try rig.close(list) == "failed")
        let results = try FileTree.lines(rig.path("failed/l.txt.results.jsonl"))
        #expect(results.count == 4)
        for (line, text) in results.enumerated() {
            #expect(text.hasPrefix("{\"list\":\(list),\"line\":\(line + 1),"))
        }
        #expect(!results.joined().contains("pw@"))
        #expect(FileTree.exists(rig.path("failed/l.txt")) && !FileTree.exists(rig.path("accepted/l.txt")))
        #expect((FileTree.status(rig.path("failed/l.txt.results.jsonl"))?.st_mode ?? 0) & 0o777 == 0o640)
        #expect(rig.ledger.state.withLock { $0.closed[list] } == "l.txt")
    }

    @Test func `folders have their modes and results of good lists lie in done`() throws {
        let rig = try SpoolRig()
        for (name, mode) in [
            ("", 0o3770), ("accepted", 0o2750), ("done", 0o2770), ("failed", 0o2770), ("rejected", 0o2770),
        ] {
            #expect((FileTree.status(rig.path(name))?.st_mode ?? 0) & 0o7777 == mode_t(mode), "\(name)")
        }
        try rig.drop("l.txt", "http://a/1\n")
        let list = try rig.accepted("l.txt")
        _ = try rig.running("l.txt")
        #expect(try rig.close(list) == "done")
        #expect(FileTree.names(rig.path("done")).sorted() == ["l.txt", "l.txt.results.jsonl"])
    }

    @Test func `what failed is written as a list, with the defaults and the secrets`() throws {
        let rig = try SpoolRig()
        try rig.drop("l.txt", " user-agent=me\nhttp://u:pw@a/1\n header=Authorization: x\nbad\n")
        let list = try rig.accepted("l.txt")
        _ = try rig.running("l.txt")
        #expect(try rig.close(list, as: .failed) == "failed")
        let retry = try FileTree.lines(rig.path("failed/l.failed.jsonl"))
        #expect(retry.count == 1)
        #expect(
            retry[0].contains("http://u:pw@a/1") && retry[0].contains("\"user_agent\":\"me\"")
                && retry[0].contains("\"x\""))
        try FileTree.rename(rig.path("failed/l.failed.jsonl"), rig.path("l.failed.jsonl"))
        #expect(try rig.running("l.failed.jsonl").position.entries == 1)
    }

    @Test func `a taken name gets the id before its extension`() throws {
        let rig = try SpoolRig()
        try FileTree.write("old", to: rig.path("done/l.txt"))
        try rig.drop("l.txt", "http://a/1\n")
        let list = try rig.accepted("l.txt")
        _ = try rig.running("l.txt")
        // The name is taken in accepted/ too, for the next one.
        try rig.drop("l.txt", "http://a/2\n")
        try eventually("two lists") {
            rig.ledger.state.withLock { $0.rows.values.filter { $0.state == .running }.count } == 2
        }
        let second = try #require(rig.ledger.row(named: "l.txt"))
        #expect(FileTree.exists(rig.path("accepted/l.\(second.id).txt")))
        #expect(try rig.close(list) == "done")
        #expect(
            FileTree.exists(rig.path("done/l.\(list).txt"))
                && FileTree.exists(rig.path("done/l.\(list).txt.results.jsonl")))
        #expect(try FileTree.text(rig.path("done/l.txt")) == "old")
    }

    @Test func `what is unacknowledged is bounded, and a list that has nothing out is sent all the same`()
        throws
    {
        let rig = try SpoolRig(starts: false)
        let full = AdmissionCredit.entries
        rig.ledger.hold()
        try rig.drop("long.txt", String(repeating: "http://a/1\n", count: 3 * full))
        try rig.start()
        try eventually("the credit is used up") { rig.ledger.heldEntries >= full }
        try rig.drop("short.txt", "http://b/1\n")
        let short = try rig.accepted("short.txt")
        try eventually("it is sent beside the long one's batches") {
            rig.ledger.state.withLock { $0.order.contains(short) }
        }
        #expect(rig.ledger.heldEntries <= full + 1000)
        rig.ledger.release(1)
        try eventually("the next batch comes") { rig.ledger.heldEntries >= full }
        rig.ledger.releaseAll()
        #expect(try rig.running("long.txt").position.entries == 3 * full)
        #expect(try rig.running("short.txt").position.entries == 1)
        #expect(rig.ledger.state.withLock { $0.largestBatch } <= 1000)
        #expect(rig.ledger.state.withLock { $0.mostEntries } <= full + 1000)
    }

    @Test func `the batch that a list ends with says so, and no other one`() throws {
        let rig = try SpoolRig(starts: false)
        rig.ledger.hold()
        try rig.drop("long.txt", String(repeating: "http://a/1\n", count: 3000))
        try rig.start()
        try eventually("all of it is sent") { rig.ledger.heldEntries == 3000 }
        #expect(rig.ledger.endings == [false, false, false, true])
        rig.ledger.releaseAll()
        _ = try rig.running("long.txt")
    }

    @Test func `a posted list is moved and its id told`() throws {
        let rig = try SpoolRig()
        try FileTree.write("http://a/1\n", to: rig.path(".posted-1"))
        rig.inbox.send(.add(path: rig.path(".posted-1"), name: "p.txt", ticket: 7))
        let list = try rig.event("the ticket") { event -> ListID? in
            if case .added(7, .success(let list)) = event { list } else { nil }
        }
        #expect(try rig.running("p.txt").id == list)
        #expect(FileTree.exists(rig.path("accepted/p.txt")) && !FileTree.exists(rig.path(".posted-1")))
        for (ticket, name) in [(8, "x.csv"), (9, ".hidden"), (10, "a/b"), (11, "")] as [(UInt64, String)] {
            try FileTree.write("http://a/1\n", to: rig.path(".posted-2"))
            rig.inbox.send(.add(path: rig.path(".posted-2"), name: name, ticket: ticket))
            _ = try rig.event("a refusal") { event -> Bool? in
                if case .added(ticket, .failure) = event { true } else { nil }
            }
        }
    }

    @Test func `a ledger that refuses leaves the list where it is, and it is tried again`() throws {
        let rig = try SpoolRig(starts: false)
        rig.ledger.state.withLock { $0.refusal = JobError(.disk, "no space") }
        try rig.drop("l.txt", "http://a/1\n")
        try rig.start()
        _ = try rig.event("a remark") { event -> Bool? in
            if case .remark(.error, _, _, _, _) = event { true } else { nil }
        }
        #expect(FileTree.exists(rig.path("l.txt")))
        rig.ledger.state.withLock { $0.refusal = nil }
        #expect(try rig.running("l.txt").position.entries == 1)
    }

    // L30
    @Test func `more files than can be open all get their turn`() throws {
        let rig = try SpoolRig(starts: false)
        for index in 0..<400 { try FileTree.write("http://a/\(index)\n", to: rig.path("l\(index).txt")) }
        try rig.start()
        try eventually(within: .seconds(60), "all lists run") {
            rig.ledger.state.withLock { $0.rows.values.filter { $0.state == .running }.count } == 400
        }
        try rig.idle()
        #expect(FileTree.names(rig.spool).filter { $0.hasSuffix(".txt") }.isEmpty)
    }

    @Test func `idle is told when nothing is left`() throws {
        let rig = try SpoolRig()
        try rig.idle()
    }
}
