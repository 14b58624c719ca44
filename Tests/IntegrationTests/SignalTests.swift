// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import Glibc
import JobModel
import TestKit
import Testing

/// Signals, restarts, and starts that must not happen.
@Suite struct SignalTests {
    @Test func `SIGTERM lets what runs finish and starts nothing more`() throws {
        let server = try ScriptedServer()
        let gate = Latch()
        server.routeAll { request in
            if request.path == "/running" { gate.wait(atMost: .seconds(60)) }
            return ScriptedReply(body: "whole".utf8)
        }
        let daemon = try RunningDaemon.start([
            "hosts": ["default": ["connections": 1]], "timeouts": ["drain": "30s"],
        ])
        defer { gate.open() }
        try daemon.drop("drain.txt", "\(server.url("running"))\n\(server.url("next"))\n")
        try eventually("the first one runs", context: { daemon.account }) { server.count("/running") == 1 }
        let child = try daemon.process()
        child.kill(.terminate)
        try eventually("it drains", context: { daemon.account }) {
            child.errors.contains("draining") || child.output.contains("draining")
        }
        gate.open()
        #expect(try child.wait() == .exited(0))
        try daemon.expectFile("running", Array("whole".utf8))
        #expect(server.count("/next") == 0)
        try daemon.start()
        #expect(try daemon.waitFor("drain.txt").folder == "done")
        #expect(server.requests.map(\.path) == ["/running", "/next"])
    }

    @Test func `a second SIGTERM ends at once and parts stay`() throws {
        let body = bulk(3, 700_000)
        let server = try ScriptedServer()
        server.route("/part") { request in
            var reply = ScriptedFile(body, etag: "\"strong\"").reply(to: request)
            if request.range == nil { reply.ending = .stall(after: 600_000) }
            return reply
        }
        let daemon = try RunningDaemon.start(["timeouts": ["drain": "10m"]])
        try daemon.drop("part.txt", "\(server.url("part"))\n")
        try eventually("most of it is there", context: { daemon.account }) {
            try daemon.status().transfers.first?.bytes ?? 0 >= 600_000
        }
        let child = try daemon.process()
        child.kill(.terminate)
        try eventually("it drains", context: { daemon.account }) {
            child.errors.contains("draining") || child.output.contains("draining")
        }
        #expect(child.isRunning)
        child.kill(.terminate)
        #expect(try child.wait(atMost: .seconds(15)) == .exited(0))
        #expect(daemon.partFiles.count == 1)
        try daemon.start()
        #expect(try daemon.waitFor("part.txt").results.first?.resumedBytes ?? 0 > 0)
        try daemon.expectFile("part", body)
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `after a drain nginx is asked for the rest of a big file only`() throws {
        var setup = Nginx.Setup()
        setup.slowRate = "1500k"
        let nginx = try Nginx(setup)
        let body = bulk(9, 5 << 20)
        try nginx.add("big.iso", body)
        let daemon = try RunningDaemon.start(["timeouts": ["drain": "50ms"]])
        try daemon.drop("big.txt", "\(nginx.url("slow/big.iso"))\n")
        try eventually("a good piece is there", context: { daemon.account }) {
            try daemon.status().transfers.first?.bytes ?? 0 >= 1_000_000
        }
        #expect(try daemon.terminate() == .exited(0))
        #expect(FileTree.files(below: daemon.output).allSatisfy { $0.hasPrefix(".dld/") })
        try daemon.start()
        let ended = try daemon.waitFor("big.txt")
        #expect(ended.folder == "done")
        try daemon.expectFile("big.iso", body)
        let last = try #require(try nginx.log().last)
        #expect(last.status == 206)
        let start = Int(last.range.dropFirst(6).dropLast()) ?? 0
        #expect(start >= 500_000, "\(last.range)")
        #expect(last.bytes == body.count - start)
        #expect(ended.results[0].resumedBytes == start)
    }

    @Test func `SIGHUP takes a good config, keeps the old one over a bad one and says why`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        let daemon = try RunningDaemon.start()
        try daemon.configure(["network": ["user_agent": "second/2"]])
        try daemon.process().kill(.hangUp)
        try eventually("it says so", context: { daemon.account }) {
            try daemon.process().errors.contains("config reloaded")
        }
        _ = try daemon.finish("one.txt", server.url("one"))
        #expect(server.requests.last?.header("user-agent") == "second/2")
        let good = try FileTree.text(daemon.configFile)
        try FileTree.write("{\"retry\": {\"max_attempts\": \"many\"}}", to: daemon.configFile)
        try daemon.process().kill(.hangUp)
        try eventually("status says why", context: { daemon.account }) {
            let config = try daemon.status().config
            return config.state == .stale && config.reason?.contains("retry.max_attempts") == true
        }
        #expect(try daemon.dlctl("status").output.contains("retry.max_attempts"))
        #expect(try daemon.dlctl("reload").status == 1)
        _ = try daemon.finish("two.txt", server.url("two"))
        #expect(server.requests.last?.header("user-agent") == "second/2")
        try FileTree.write(good, to: daemon.configFile)
        try daemon.configure(["workers": 3])
        let reload = try daemon.dlctl("reload", "--json")
        #expect(reload.status == 0, Comment(rawValue: reload.transcript))
        let answer = try JSONDecoder().decode(ReloadDocument.self, from: Data(reload.output.utf8))
        #expect(answer.needsRestart == ["workers"])
        #expect(try daemon.status().config.state == .ok)
    }

    @Test func `SIGUSR1 opens jobs log anew after it was moved away`() throws {
        let daemon = try RunningDaemon.start()
        _ = try daemon.finish("one.txt", "sum:1\n")
        try eventually("the first line is there") { FileTree.exists(daemon.jobsLog) }
        let old = daemon.jobsLog + ".1"
        try FileTree.rename(daemon.jobsLog, old)
        try daemon.process().kill(.user1)
        try eventually("the log is there again", context: { daemon.account }) {
            FileTree.exists(daemon.jobsLog)
        }
        _ = try daemon.finish("two.txt", "sum:2\n")
        try eventually("the second line is in the new one", context: { daemon.account }) {
            try FileTree.lines(daemon.jobsLog).count == 1
        }
        #expect(try FileTree.lines(old).count == 1)
    }
}

@Suite struct StartTests {
    @Test func `a second daemon on the same state is refused with a hint`() throws {
        let daemon = try RunningDaemon.start()
        let second = try daemon.dld("run")
        #expect(second.status == 75, Comment(rawValue: second.transcript))
        #expect(second.errors.contains("dlctl add"))
        #expect(
            second.errors.contains("pid \(try daemon.process().pid)"), Comment(rawValue: second.transcript))
        #expect(try daemon.dld("once").status == 75)
        #expect(try daemon.dlctl("status").status == 0)
    }

    @Test func `two daemons with states of their own do not share a spool`() throws {
        let daemon = try RunningDaemon.start()
        let other = try RunningDaemon(["spool_dir": .text(daemon.spool)])
        let run = try other.dld("run")
        #expect(run.status == 75, Comment(rawValue: run.transcript))
        #expect(run.errors.contains(daemon.spool))
    }

    @Test(arguments: ["spool_dir", "output_dir", "state_dir"])
    func `a directory that cannot be written stops the start with the lines for systemd`(key: String) throws {
        let daemon = try RunningDaemon()
        // Root writes everywhere but here.
        let path = "/proc/\(key)"
        try daemon.configure(.object([key: .text(path)]))
        let run = try daemon.dld("run")
        #expect(run.status == 78, Comment(rawValue: run.transcript))
        #expect(run.errors.contains("ReadWritePaths=\(path)"), Comment(rawValue: run.transcript))
    }

    @Test func `every mistake of a config is told with its path, and unknown files and keys stop the start`()
        throws
    {
        let daemon = try RunningDaemon([
            "hosts": ["default": ["conections": 3]], "workers": "many", "output": ["exists": "perhaps"],
        ])
        for verb in ["run", "check", "once"] {
            let run = try daemon.dld(verb)
            #expect(run.status == 78, Comment(rawValue: run.transcript))
            for path in ["hosts.default.conections", "workers", "output.exists"] {
                #expect((run.errors + run.output).contains(path), Comment(rawValue: run.transcript))
            }
        }
        #expect(FileTree.names(daemon.output).isEmpty)
        try FileTree.write("{\"workers\": ", to: daemon.configFile)
        #expect(try daemon.dld("check").status == 78)
        #expect(try ProgramRun.run("dld", ["run", "--config", "/nowhere.json"]).status == 78)
    }

    @Test func `check prints the effective config with secrets masked`() throws {
        let daemon = try RunningDaemon(["network": ["proxy": "http://u:s3cret@127.0.0.1:3128"], "workers": 3])
        let run = try daemon.dld("check", "--print")
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        #expect(run.output.contains("127.0.0.1:3128"))
        #expect(!run.output.contains("s3cret"))
        let again = try daemon.directory.file("printed.json", run.output)
        #expect(try ProgramRun.run("dld", ["check", "--config", again]).status == 0)
    }

    @Test func `a ledger newer than the program is refused and a broken one says how to mend it`() throws {
        let daemon = try RunningDaemon.start()
        try daemon.terminate()
        let sqlite = try ProgramRun.find("sqlite3")
        #expect(try ProgramRun.run(sqlite, [daemon.ledger, "PRAGMA user_version = 999"]).status == 0)
        let newer = try daemon.dld("run")
        #expect(newer.status == 78, Comment(rawValue: newer.transcript))
        #expect(newer.errors.contains(daemon.ledger))
        FileTree.remove(daemon.ledger + "-wal")
        FileTree.remove(daemon.ledger + "-shm")
        try FileTree.write([UInt8](repeating: 65, count: 8192), to: daemon.ledger)
        let broken = try daemon.dld("run")
        #expect(broken.status == 65, Comment(rawValue: broken.transcript))
        #expect(broken.errors.contains("backup"), Comment(rawValue: broken.transcript))
    }

    @Test func `a foreign output pauses the daemon instead of writing into it`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "x".utf8) }
        let daemon = try RunningDaemon.start()
        _ = try daemon.finish("one.txt", server.url("one"))
        try daemon.terminate()
        try FileTree.rename(daemon.output, daemon.directory.sub("unmounted"))
        try FileTree.makeDirectories(daemon.output)
        try daemon.start()
        try daemon.drop("two.txt", server.url("two"))
        try eventually("it is paused", context: { daemon.account }) {
            let status = try daemon.status()
            return status.state == .paused && status.verdict.contains(daemon.output)
        }
        #expect(server.count("/two") == 0)
        #expect(FileTree.names(daemon.output).isEmpty)
        #expect(try daemon.terminate() == .exited(0))
    }
}
