// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import TestKit
import Testing

/// A damaged ledger stops dld with the command that mends it, and is never silently empty.
@Suite(.serialized) struct LedgerDamageTests {
    enum Damage: String, CaseIterable, Sendable {
        case header, page, truncated, empty
    }

    private func damage(_ path: String, _ kind: Damage) throws {
        var bytes = try FileTree.read(path)
        switch kind {
        case .header: for index in 0..<100 { bytes[index] ^= 0xFF }
        case .page:
            for page in stride(from: 1, to: bytes.count / 4096, by: 2) {
                for index in 0..<64 { bytes[page * 4096 + index] = 0xEE }
            }
        case .truncated: bytes.removeLast(bytes.count / 2)
        case .empty: bytes = []
        }
        try FileTree.write(bytes, to: path)
    }

    @Test(arguments: Damage.allCases)
    func `a corrupt ledger stops the start with the command that mends it, and that command does`(
        _ kind: Damage
    ) throws {
        let server = try ScriptedServer()
        let (whole, known) = (sample(1, 7000), sample(2, 9000))
        server.route("/whole", ScriptedFile(whole))
        server.route("/known", ScriptedFile(known))
        var stalls = ScriptedFile(sample(3, 50_000)).reply(to: ScriptedRequest.plain)
        stalls.ending = .stall(after: 10_000)
        server.route("/slow", stalls)
        let daemon = try RunningDaemon.start()
        try daemon.drop(
            "list.jsonl",
            """
            {"url": "\(server.url("whole"))", "size": 7000}
            {"url": "\(server.url("known"))"}
            {"url": "\(server.url("slow"))"}

            """)
        try eventually("two files are there", context: { daemon.account }) { daemon.published.count == 2 }
        let identity = try FileTree.text("\(daemon.output)/.dld/id")
        try daemon.kill()
        FileTree.remove("\(daemon.ledger)-wal")
        try damage(daemon.ledger, kind)

        let start = try daemon.dld("once")
        #expect(start.status == 65, "\(start.transcript)")
        #expect(start.errors.contains("dld fsck --repair"), "\(start.transcript)")
        let look = try daemon.dld("fsck")
        #expect(look.status == 65, "\(look.transcript)")
        #expect(FileTree.exists("\(daemon.spool)/accepted/list.jsonl"))

        let mend = try daemon.dld("fsck", "--repair")
        #expect(mend.status == 0, "\(mend.transcript)")
        #expect(FileTree.exists("\(daemon.ledger).broken-1"))
        #expect(FileTree.exists("\(daemon.spool)/list.jsonl"), "\(mend.transcript)")
        #expect(try FileTree.text("\(daemon.output)/.dld/id") == identity)

        server.route("/slow", ScriptedFile(sample(3, 50_000)))
        try daemon.start()
        let ended = try daemon.waitFor("list.jsonl")
        #expect(ended.folder == "done", "\(daemon.account)")
        // Its size is in the list: what lies there is it. Nothing was asked for.
        let first = try #require(ended.results.first { $0.line == 1 })
        #expect(first.flags == ["recovered"])
        #expect(first.bytes == 7000)
        #expect(server.count("/whole") == 1)
        try daemon.expectFile("whole", whole)
        try daemon.expectFile("known", known)
        try daemon.terminate()
        #expect(try daemon.dld("fsck", "--strict").status == 0)
    }

    @Test func `a write-ahead log cut short by a power cut is no damage`() throws {
        let server = try ScriptedServer()
        server.route("/a", ScriptedFile(sample(1, 3000)))
        let daemon = try RunningDaemon.start()
        #expect(try daemon.finish("a.txt", "\(server.url("a"))\n").folder == "done")
        try daemon.kill()
        let wal = "\(daemon.ledger)-wal"
        let size = try #require(FileTree.status(wal)).st_size
        #expect(truncate(wal, size - 1000) == 0)
        let run = try daemon.dld("fsck")
        #expect(run.status == 0, "\(run.transcript)")
        #expect(try daemon.dld("once").status == 0)
    }

    @Test func `a ledger of a later version is refused by all`() throws {
        let daemon = try RunningDaemon.start()
        try daemon.terminate()
        _ = try ProgramRun.run(ProgramRun.find("sqlite3"), [daemon.ledger, "PRAGMA user_version = 99"])
        for run in [try daemon.dld("once"), try daemon.dld("fsck"), try daemon.dld("fsck", "--repair")] {
            #expect(run.status == 78, "\(run.transcript)")
            #expect(run.errors.contains("newer than this program"), "\(run.transcript)")
        }
    }

    @Test func `damage met while running stops the daemon with 65`() throws {
        let server = try ScriptedServer()
        server.route("/a", ScriptedFile(sample(1, 3000)))
        let daemon = try RunningDaemon.start()
        #expect(try daemon.finish("a.txt", "\(server.url("a"))\n").folder == "done")
        try daemon.terminate()
        // Behind the header and schema, in what the start does not read: the index of jobs by list and host.
        let root = try ProgramRun.run(
            ProgramRun.find("sqlite3"),
            [daemon.ledger, "SELECT rootpage FROM sqlite_schema WHERE name = 'file'"])
        let page = try #require(Int(root.output.split(separator: "\n").first ?? ""))
        var bytes = try FileTree.read(daemon.ledger)
        for index in 0..<4096 { bytes[(page - 1) * 4096 + index] = 0xEE }
        try FileTree.write(bytes, to: daemon.ledger)
        try daemon.start()
        try daemon.drop("b.txt", "\(server.url("a"))\n")
        let process = try daemon.process()
        #expect(try process.wait() == .exited(65))
        #expect(process.transcript.contains("dld fsck --repair"), "\(process.transcript)")
    }

    @Test func `a lock held by another program only delays what is to be committed`() throws {
        let server = try ScriptedServer()
        for number in 0..<20 { server.route("/\(number)", ScriptedFile(sample(number, 1000))) }
        let daemon = try RunningDaemon.start()
        let holder = try ChildProcess(
            "/bin/sh",
            [
                "-c",
                "(echo \"BEGIN IMMEDIATE; SELECT 'held';\"; sleep 15; echo 'COMMIT;') | sqlite3 '\(daemon.ledger)'",
            ])
        try eventually("the lock is held") { holder.transcript.contains("held") }
        let urls = (0..<20).map { server.url("\($0)") }.joined(separator: "\n") + "\n"
        try daemon.drop("held.txt", urls)
        try eventually(within: .seconds(15), "status tells of the lock", context: { daemon.account }) {
            try daemon.status().verdict.contains("ledger")
        }
        let ended = try daemon.waitFor("held.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.map(\.line) == Array(1...20))
        #expect((0..<20).allSatisfy { server.count("/\($0)") == 1 })
        try holder.wait()
    }
}
