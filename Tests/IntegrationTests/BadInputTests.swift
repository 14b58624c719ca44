// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// What a careless or hostile user drops: nothing is lost, nothing hangs, the reason is told, the daemon lives on.
@Suite struct BadInputTests {
    private func reason(_ daemon: RunningDaemon, _ name: String) throws -> String {
        try eventuallySome("the reason of \(name)", context: { daemon.account }) {
            let path = "\(daemon.spool)/rejected/\(name).reason.txt"
            // The reason stands there before the file does.
            guard FileTree.exists(path), FileTree.exists("\(daemon.spool)/rejected/\(name)") else {
                return nil
            }
            return try FileTree.text(path)
        }
    }

    @Test func `binary junk, UTF-16 and empty files are rejected with a reason`() throws {
        let daemon = try RunningDaemon.start()
        let files: [(String, [UInt8])] = [
            ("junk.txt", [0, 1, 2, 255, 254, 10, 0]), ("utf16.txt", [255, 254, 104, 0, 10, 0]),
            ("comments.txt", Array("# nothing\n".utf8)), ("table.csv", Array("a,b\n".utf8)),
        ]
        for (name, bytes) in files {
            try FileTree.write(bytes, to: "\(daemon.spool)/.\(name).tmp")
            try FileTree.rename("\(daemon.spool)/.\(name).tmp", "\(daemon.spool)/\(name)")
            #expect(try !reason(daemon, name).isEmpty)
            #expect(try FileTree.read("\(daemon.spool)/rejected/\(name)") == bytes)
        }
        #expect(try daemon.process().isRunning)
    }

    @Test func `a symlink, a FIFO and a directory in the spool block nothing`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        let daemon = try RunningDaemon.start()
        symlink("/etc/passwd", "\(daemon.spool)/link.txt")
        mkfifo("\(daemon.spool)/pipe.txt", 0o644)
        try FileTree.makeDirectories("\(daemon.spool)/folder.txt")
        #expect(try daemon.finish("good.txt", "\(server.url("g"))\n").folder == "done")
        for name in ["link.txt", "pipe.txt"] { #expect(try !reason(daemon, name).isEmpty) }
        #expect(try daemon.process().isRunning)
    }

    @Test func `a hard link, a foreign format and results of a list are rejected in words`() throws {
        // A link is neither renamed in nor closed by a writer: only the scan finds it.
        let daemon = try RunningDaemon.start(["spool": ["rescan": "1s"]])
        let own = try daemon.directory.file("own.txt", "sum:1\n")
        #expect(link(own, "\(daemon.spool)/linked.txt") == 0)
        #expect(try reason(daemon, "linked.txt").contains("hard links"))
        for name in ["a.metalink", "b.torrent", "c.xz", "d.results.jsonl", "e.json"] {
            try daemon.drop(name, "sum:1\n")
            #expect(try reason(daemon, name).count > 10)
        }
        #expect(try FileTree.text(own) == "sum:1\n")
        #expect(try daemon.finish("good.txt", "sum:1\n").folder == "done")
    }

    @Test func `a list that nobody may read is told how to be, unless dld is root`() throws {
        let daemon = try RunningDaemon.start()
        try FileTree.write("sum:4\n", to: "\(daemon.spool)/.shut.tmp")
        chmod("\(daemon.spool)/.shut.tmp", 0)
        try FileTree.rename("\(daemon.spool)/.shut.tmp", "\(daemon.spool)/shut.txt")
        if geteuid() == 0 {
            #expect(try daemon.waitFor("shut.txt").results.map(\.value) == ["10"])
        } else {
            #expect(try reason(daemon, "shut.txt").contains("chmod g+r"))
        }
    }

    @Test func `no line leads out of the output directory`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "evil".utf8) }
        let daemon = try RunningDaemon.start()
        let ended = try daemon.finish(
            "evil.txt",
            """
            \(server.url("a"))
              out=../outside
            \(server.url("b"))
              dir=/etc
            \(server.url("%2e%2e%2fup"))
            \(server.url("c"))
              out=.dld/id
            """)
        #expect(ended.results.count == 4)
        #expect(!FileTree.exists(daemon.directory.sub("outside")))
        #expect(!FileTree.exists(daemon.directory.sub("up")))
        #expect(ended.results[1].error?.code == "outside_output")
        #expect(try FileTree.text("\(daemon.output)/.dld/id") != "evil")
    }

    @Test func `a second daemon on the same directories is refused`() throws {
        let daemon = try RunningDaemon.start()
        let second = try daemon.dld("run")
        #expect(second.status == 75, Comment(rawValue: second.transcript))
        let once = try daemon.dld("once")
        #expect(once.status == 75)
        #expect(once.errors.contains("dlctl add"), Comment(rawValue: once.transcript))
        #expect(try daemon.process().isRunning)
    }

    @Test func `a wrong config stops the start with its path`() throws {
        let daemon = try RunningDaemon(["hosts": ["default": ["conections": 3]], "workers": "many"])
        let run = try daemon.dld("run")
        #expect(run.status == 78, Comment(rawValue: run.transcript))
        let check = try daemon.dld("check")
        #expect(check.status == 78)
        for path in ["hosts.default.conections", "workers"] {
            #expect((check.output + check.errors).contains(path), Comment(rawValue: check.transcript))
        }
        #expect(try daemon.dld("run", "--no-such-option").status == 64)
        #expect(try ProgramRun.run("dld", ["run", "--config", "/nowhere.json"]).status == 78)
    }

    @Test func `a bad reload is refused and the old config stays`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        let daemon = try RunningDaemon.start()
        try FileTree.write("{\"wrokers\": 2}", to: daemon.configFile)
        try daemon.process().kill(.hangUp)
        try eventually("the log says why", context: { daemon.account }) {
            try daemon.process().errors.contains("wrokers") || daemon.process().output.contains("wrokers")
        }
        #expect(try daemon.finish("still.txt", "\(server.url("s"))\n").folder == "done")
    }
}
