// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// `dld once`, `dld get`, `dlctl` and `sumd` as a user runs them.
@Suite struct ProgramTests {
    @Test func `once works off the spool and ends with what came of it`() throws {
        let server = try ScriptedServer()
        server.route("/a", ScriptedFile("a".utf8))
        let daemon = try RunningDaemon(quickRetries)
        try daemon.drop("good.txt", "\(server.url("a"))\nsum:10\n")
        let good = try daemon.dld("once")
        #expect(good.status == 0, Comment(rawValue: good.transcript))
        try daemon.expectFile("a", Array("a".utf8))
        #expect(FileTree.exists("\(daemon.spool)/done/good.txt"))
        try daemon.drop("bad.txt", "\(server.url("missing"))\n")
        #expect(try daemon.dld("once").status == 1)
        #expect(FileTree.exists("\(daemon.spool)/failed/bad.failed.jsonl"))
    }

    @Test func `get fetches into the current directory and needs nothing`() throws {
        let server = try ScriptedServer()
        server.route("/x.bin", ScriptedFile(sample(3, 50_000)))
        let place = try TempDirectory()
        let home = try TempDirectory()
        let environment: [String: String?] = [
            "HOME": home.path, "XDG_STATE_HOME": home.sub("state"), "http_proxy": nil, "all_proxy": nil,
        ]
        let run = try ProgramRun.run(
            "dld", ["get", server.url("x.bin"), "-o", "y.bin"], environment: environment,
            directory: place.path)
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        #expect(try FileTree.read(place.sub("y.bin")) == sample(3, 50_000))
        #expect(FileTree.names(place.path).filter { !$0.hasPrefix(".") } == ["y.bin"])
        let missing = try ProgramRun.run(
            "dld", ["get", server.url("nothing")], environment: environment, directory: place.path)
        #expect(missing.status == 1, Comment(rawValue: missing.transcript))
    }

    @Test func `dlctl adds, waits, shows and says when nobody answers`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        let daemon = try RunningDaemon.start()
        let added = try daemon.dlctl("add", server.url("added"))
        #expect(added.status == 0, Comment(rawValue: added.transcript))
        let id = added.output.split(separator: "\n").first.map(String.init) ?? ""
        #expect(!id.isEmpty && id.allSatisfy(\.isNumber), Comment(rawValue: added.transcript))
        let wait = try daemon.dlctl("wait", id)
        #expect(wait.status == 0, Comment(rawValue: wait.transcript))
        try daemon.expectFile("added", Array("ok".utf8))
        for verb in ["status", "lists", "jobs", "metrics"] {
            let run = try daemon.dlctl(verb)
            #expect(run.status == 0, Comment(rawValue: run.transcript))
            #expect(!run.output.isEmpty)
        }
        let status = try daemon.dlctl("status").output
        #expect(status.hasPrefix("idle"), Comment(rawValue: status))
        #expect(status.split(separator: "\n").allSatisfy { $0.count <= 80 }, Comment(rawValue: status))
        #expect(!status.contains("\u{1b}"))
        try daemon.terminate()
        #expect(try daemon.dlctl("status").status == 69)
    }

    @Test func `the control socket answers plain HTTP`() throws {
        let daemon = try RunningDaemon.start()
        #expect(try UnixHTTP.get(daemon.socket, "/healthz").status == 200)
        #expect(try UnixHTTP.get(daemon.socket, "/metrics").body.contains("# TYPE"))
        #expect(try UnixHTTP.get(daemon.socket, "/v1/nothing").status == 404)
        let added = try UnixHTTP.request(
            daemon.socket, "POST", "/v1/lists?name=posted.txt", body: "sum:1..3\n")
        #expect(added.status == 201, Comment(rawValue: added.body))
        #expect(try daemon.waitFor("posted.txt").results.first?.value == "6")
    }

    @Test func `sumd by hand agrees with the closed form`() throws {
        let sum = try ProgramRun.run("sumd", ["sum", "0..1000000", "--repeat", "2", "--processes", "2"])
        #expect(sum.status == 0, Comment(rawValue: sum.transcript))
        #expect(sum.output.contains("500000500000"), Comment(rawValue: sum.transcript))
    }

    @Test func `the ledger reads well in any sqlite3 shell`() throws {
        let daemon = try RunningDaemon.start()
        _ = try daemon.finish("sums.txt", "sum:5\nsum:6\n")
        let sqlite = try ProgramRun.find("sqlite3")
        let run = try ProgramRun.run(
            sqlite, ["-readonly", daemon.ledger, "SELECT kind, state, count(*) FROM jobs GROUP BY 1, 2"])
        #expect(run.output == "sum|done|2\n", Comment(rawValue: run.transcript))
    }

    @Test func `every program tells its version and its help`() throws {
        for program in ["dld", "sumd", "dlctl"] {
            #expect(try ProgramRun.run(program, ["--version"]).status == 0)
            #expect(try ProgramRun.run(program, ["--help"]).output.contains("USAGE"))
            #expect(try ProgramRun.run(program, ["--no-such-option"]).status == 64)
        }
    }
}
