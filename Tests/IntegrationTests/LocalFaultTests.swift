// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import TestKit
import Testing

/// Faults of the machine that are no disk's: rows L9, L11, L17, L18.
@Suite(.serialized) struct LocalFaultTests {
    private func list(_ server: ScriptedServer, _ count: Int) -> String {
        (0..<count).map { server.url("f\($0)") }.joined(separator: "\n") + "\n"
    }

    @Test func `L9 with 64 descriptors a list ends, status answers, and nothing is charged`() throws {
        let server = try ScriptedServer()
        server.routeAll { request in
            ScriptedReply(200, body: bulk(request.number, 2000), delay: .milliseconds(20))
        }
        let daemon = try RunningDaemon.start(
            ["workers": 2, "sum": ["processes": 1], "hosts": ["default": ["connections": 100]]],
            prefix: [try ProgramRun.find("prlimit"), "--nofile=64:64"])
        try daemon.drop("l.txt", list(server, 200))
        try eventually(within: .seconds(60), "the list has ended", context: { daemon.account }) {
            let answer = try UnixHTTP.get(daemon.socket, "/v1/status")
            #expect(answer.status == 200)
            return FileTree.exists("\(daemon.spool)/done/l.txt")
                || FileTree.exists("\(daemon.spool)/failed/l.txt")
        }
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.allSatisfy { $0.attempts == 1 })
        #expect(daemon.published.count == 200)
    }

    @Test func `L11 a wall clock that jumps a day back or ten years on does not stop or hurry a back-off`()
        throws
    {
        let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
        if skip("L11", unless: FileTree.exists(library), "faketime is not installed") { return }
        // Both want to be asked for the time first: a program under a sanitizer does not start with it.
        guard getenv("DLD_TEST_SANITIZER") == nil else { return }
        let server = try ScriptedServer()
        let directory = try TempDirectory()
        let clock = try directory.file("clock", "+0")
        server.route("/f", ScriptedReply(500), ScriptedReply(500), ScriptedReply(200, body: bulk(1, 100)))
        let daemon = try RunningDaemon.start(
            ["retry": ["base_delay": "200ms", "max_delay": "400ms"]],
            environment: [
                "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            ])
        try directory.file("clock", "-1d")
        try daemon.drop("back.txt", "\(server.url("f"))\n")
        #expect(try daemon.waitFor("back.txt").folder == "done")
        server.route("/g", ScriptedReply(500), ScriptedReply(200, body: bulk(1, 100)))
        try directory.file("clock", "+10y")
        try daemon.drop("on.txt", "\(server.url("g"))\n")
        #expect(try daemon.waitFor("on.txt").folder == "done")
    }

    @Test func `L17 SIGPIPE, SIGCHLD and interrupted calls change nothing`() throws {
        let server = try ScriptedServer()
        server.routeAll { request in ScriptedReply(200, body: bulk(request.number, 3000)) }
        let daemon = try RunningDaemon.start()
        let pid = try daemon.process().pid
        try daemon.drop("l.txt", list(server, 300))
        try eventually(within: .seconds(60), "the list has ended", context: { daemon.account }) {
            for _ in 0..<50 {
                for number in [SIGPIPE, SIGCHLD, SIGCONT, SIGWINCH] { _ = Glibc.kill(pid, number) }
            }
            return FileTree.exists("\(daemon.spool)/done/l.txt")
        }
        #expect(try daemon.waitFor("l.txt").results.allSatisfy { $0.attempts == 1 })
    }

    @Test func `L18 a lock on the ledger from outside pauses, and no transition is dropped`() throws {
        let server = try ScriptedServer()
        server.routeAll { request in ScriptedReply(200, body: bulk(request.number, 100)) }
        let daemon = try RunningDaemon.start()
        let directory = try TempDirectory()
        let release = directory.sub("release")
        // Held until the file is there.
        let script = """
            { echo 'BEGIN EXCLUSIVE; CREATE TABLE held(x); SELECT 1;'; while [ ! -e \(release) ]; do sleep 0.05; done; \
            echo 'ROLLBACK;'; } | sqlite3 -cmd '.timeout 5000' \(daemon.ledger)
            """
        let locker = try ChildProcess("/bin/bash", ["-c", script])
        try eventually("the lock is held") { locker.output.contains("1") }
        try daemon.drop("l.txt", list(server, 20))
        try eventually(within: .seconds(40), "paused", context: { daemon.account }) {
            try daemon.status().verdict.contains("ledger")
        }
        try directory.file("release", "")
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done" && ended.results.count == 20)
        try locker.wait()
    }
}
