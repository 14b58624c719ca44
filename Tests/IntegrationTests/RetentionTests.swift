// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// `retention.lists`: lists that ended long ago go, their rows and their files, and nothing else does.
@Suite(.serialized) struct RetentionTests {
    private func sql(_ daemon: RunningDaemon, _ text: String) throws -> String {
        let run = try ProgramRun.run("/usr/bin/sqlite3", [daemon.ledger, text])
        #expect(run.status == 0, "\(run.transcript)")
        return run.output
    }

    @Test func `of three lists the old one goes with all its files, and what it fetched stays`() throws {
        let server = try ScriptedServer()
        server.routeAll { $0.path == "/no" ? ScriptedReply(404) : ScriptedReply(body: $0.path.utf8) }
        let daemon = try RunningDaemon.start()
        for name in ["old", "new", "other"] {
            #expect(
                try daemon.finish("\(name).txt", "\(server.url(name))\n\(server.url("no"))\n").folder
                    == "failed")
        }
        // Somebody took the retry list away, and one of the same name lies there now.
        let foreign = "\(daemon.spool)/failed/other.failed.jsonl"
        try daemon.terminate()
        _ = try sql(
            daemon, "UPDATE list SET ended_at = ended_at - 864000000 WHERE name IN ('old.txt', 'other.txt')")
        _ = try ProgramRun.run(
            "/usr/bin/touch", ["-d", "20 days ago", "\(daemon.spool)/failed/old.failed.jsonl"])
        try FileTree.write("another list's\n", to: foreign)
        try daemon.configure(["retention": ["lists": "9d"]])
        try daemon.start()
        try eventually("two lists are gone", context: { daemon.account }) {
            try sql(daemon, "SELECT group_concat(name) FROM list") == "new.txt\n"
        }
        #expect(
            Set(FileTree.names("\(daemon.spool)/failed")) == [
                "new.txt", "new.txt.results.jsonl", "new.failed.jsonl", "other.failed.jsonl",
            ])
        #expect(daemon.published == ["new", "old", "other"])
        #expect(daemon.account.contains("list removed"))
        #expect(try daemon.dlctl("wait", "old.txt").status == 1)
        #expect(
            try sql(daemon, "SELECT count(*) || ' ' || (SELECT count(*) FROM outcome) FROM job") == "2 2\n")
        try daemon.terminate()
        let fsck = try daemon.dld("fsck", "--strict")
        #expect(fsck.status == 0, "\(fsck.transcript)")
    }

    @Test func `what lies in rejected goes by its age, with its reason, and nothing without one does`() throws
    {
        let daemon = try RunningDaemon.start()
        try daemon.drop("table.csv", "a,b\n")
        try daemon.drop("bad.txt", "no url\n")
        for name in ["table.csv", "bad.txt"] { #expect(try daemon.waitForList(name) == "rejected") }
        try FileTree.write("mine\n", to: "\(daemon.spool)/rejected/mine.txt")
        try daemon.configure(["retention": ["lists": "1ms"]])
        try daemon.restart()
        try eventually("they are gone", context: { daemon.account }) {
            try FileTree.names("\(daemon.spool)/rejected") == ["mine.txt"]
                && sql(daemon, "SELECT count(*) FROM list") == "0\n"
        }
    }

    @Test func `a list of 100,000 rows goes over a kill while the status answers`() throws {
        let count = getenv("DLD_TEST_FULL") != nil ? 100_000 : Patience.factor > 1 ? 20_000 : 100_000
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "x".utf8) }
        let daemon = try RunningDaemon.start()
        let path = "\(daemon.spool)/.many.tmp"
        let file = try #require(fopen(path, "w"))
        for number in 0..<count { fputs("\(server.url("f\(number)"))\n", file) }
        fclose(file)
        // Paused at once and cancelled: rows and outcomes without a hundred thousand requests.
        try daemon.configure(["limits": ["min_free": "1000TiB"]])
        try daemon.restart()
        try FileTree.rename(path, "\(daemon.spool)/many.txt")
        try eventually(within: .seconds(120), "it is taken", context: { daemon.account }) {
            try daemon.dlctl("cancel", "many.txt").status == 0
        }
        #expect(try daemon.waitForList("many.txt", within: .seconds(180)) == "failed")
        try eventually("it is closed", context: { daemon.account }) {
            try sql(daemon, "SELECT state FROM list") == "2\n"
        }
        try daemon.configure(["retention": ["lists": "1ms"]])
        try daemon.restart()
        try eventually(within: .seconds(60), "its rows are going", context: { daemon.account }) {
            try sql(daemon, "SELECT state FROM list") != "2\n"
        }
        try daemon.restart(killing: true)
        try eventually(within: .seconds(180), "it is gone", context: { daemon.account }) {
            let status = try UnixHTTP.get(daemon.socket, "/v1/status")
            #expect(status.status == 200)
            return try sql(daemon, "SELECT count(*) FROM list") == "0\n"
        }
        #expect(
            try sql(
                daemon,
                "SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM outcome) + "
                    + "(SELECT count(*) FROM span WHERE list > 0) + n_cancelled + n_queued FROM total")
                == "0\n")
        #expect(FileTree.names("\(daemon.spool)/failed").isEmpty)
        try daemon.terminate()
        let fsck = try daemon.dld("fsck", "--strict")
        #expect(fsck.status == 0, "\(fsck.transcript)")
    }
}
