// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import JobModel
import TestKit
import Testing

/// Every verb of `dlctl` against a running daemon.
@Suite struct DlctlTests {
    private func isJSON(_ text: String) -> Bool {
        let options: JSONSerialization.ReadingOptions = [.fragmentsAllowed]
        let bytes = Data(text.utf8)
        let value = try? JSONSerialization.jsonObject(with: bytes, options: options)  // an error: no JSON
        return value != nil
    }

    @Test func `every looking verb answers in words and in JSON`() throws {
        let server = try ScriptedServer()
        server.route("/ok", ScriptedFile("ok".utf8))
        let daemon = try RunningDaemon.start(quickRetries)
        let ended = try daemon.finish("look.txt", "\(server.url("ok"))\n\(server.url("missing"))\nsum:9\n")
        let job = try #require(ended.results[0].job)
        let verbs = [
            ["status"], ["lists"], ["jobs"], ["hosts"], ["metrics"], ["show", "look.txt"], ["show", "1"],
            ["show", job],
            ["jobs", "--state", "failed"], ["jobs", "--list", "look.txt", "--limit", "1"],
            ["lists", "--state", "closed"],
        ]
        for verb in verbs {
            let words = try ProgramRun.run("dlctl", verb + ["--socket", daemon.socket])
            #expect(words.status == 0, Comment(rawValue: words.transcript))
            #expect(
                !words.output.isEmpty && !words.output.contains("\u{1b}"), Comment(rawValue: words.transcript)
            )
            let json = try ProgramRun.run(
                "dlctl", verb + ["--json"], environment: ["DLD_SOCKET": daemon.socket])
            #expect(json.status == 0 && isJSON(json.output), Comment(rawValue: json.transcript))
        }
        #expect(try daemon.dlctl("jobs", "--state", "failed").output.contains("missing"))
        #expect(try daemon.dlctl("show", job).output.contains("ok"))
        #expect(try daemon.dlctl("metrics").output.contains("# TYPE"))
    }

    @Test func `add takes files, standard input and URLs and prints the id alone`() throws {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let daemon = try RunningDaemon.start(quickRetries)
        let file = try daemon.directory.file("lists/mine.jsonl", "{\"url\": \"\(server.url("one"))\"}\n")
        let added = try daemon.dlctl("add", "--wait", file)
        #expect(added.status == 0, Comment(rawValue: added.transcript))
        #expect(added.output == "1\n")
        #expect(try daemon.dlctl("add", "--wait", "-", input: "\(server.url("two"))\n").output == "2\n")
        #expect(try daemon.dlctl("add", "--wait", server.url("three"), "sum:3").output == "3\n")
        #expect(daemon.published == ["one", "three", "two"])
        #expect(FileTree.exists("\(daemon.spool)/done/mine.jsonl"))
        server.route("/bad", ScriptedReply(404))
        #expect(try daemon.dlctl("add", "--wait", server.url("bad")).status == 1)
        let json = try daemon.dlctl("add", "--json", "sum:1")
        #expect(isJSON(json.output), Comment(rawValue: json.transcript))
        #expect(try daemon.dlctl("add", "/nowhere/list.txt").status == 74)
    }

    @Test func `wait follows a name that is still to come and a restart`() throws {
        let server = try ScriptedServer()
        let gate = Latch()
        server.routeAll { _ in
            gate.wait(atMost: .seconds(60))
            return ScriptedReply(body: "x".utf8)
        }
        let daemon = try RunningDaemon.start(["timeouts": ["drain": "50ms"]])
        defer { gate.open() }
        try daemon.drop("long.txt", "\(server.url("x"))\n")
        let child = try ChildProcess(
            BuildProducts.path("dlctl"), ["wait", "long.txt", "--socket", daemon.socket])
        try eventually("it runs", context: { daemon.account }) { server.count("/x") == 1 }
        // A wait that was never answered gives up at once. poll of nothing: it has been, and sleeps.
        try eventually("the wait has asked and sleeps", context: { child.transcript }) {
            try FileTree.text("/proc/\(child.pid)/syscall").hasPrefix("7 0x0 0x0 ")
        }
        try daemon.restart()
        #expect(child.isRunning, Comment(rawValue: child.transcript))
        gate.open()
        #expect(try child.wait() == .exited(0), Comment(rawValue: child.transcript))
        let late = try daemon.dlctl("wait", "no-such-list", "--timeout", "300ms")
        #expect(late.status == 1, Comment(rawValue: late.transcript))
    }

    @Test func `lists and jobs are paused, resumed and cancelled`() throws {
        let server = try ScriptedServer()
        let gate = Latch()
        server.routeAll { request in
            if request.path == "/held" { gate.wait(atMost: .seconds(60)) }
            return ScriptedReply(body: "x".utf8)
        }
        let daemon = try RunningDaemon.start(["hosts": ["default": ["connections": 1]]])
        defer { gate.open() }
        try daemon.drop("steer.txt", ["held", "a", "b"].map { server.url($0) }.joined(separator: "\n"))
        try eventually("it runs", context: { daemon.account }) { server.count("/held") == 1 }
        #expect(try daemon.dlctl("pause", "steer.txt").status == 0)
        gate.open()
        try eventually("what ran is done or back", context: { daemon.account }) {
            try daemon.status().transfers.isEmpty
        }
        #expect(server.count("/a") == 0 && server.count("/b") == 0)
        let id = try #require(
            try page(daemon, "jobs", "--list", "steer.txt").first { ($0["line"] as? Int) == 2 }?["job"])
        let job = try #require(id as? String)
        let cancel = try daemon.dlctl("cancel", job, "--json")
        #expect(cancel.status == 0 && isJSON(cancel.output), Comment(rawValue: cancel.transcript))
        #expect(try daemon.dlctl("resume", "steer.txt").status == 0)
        let ended = try daemon.waitFor("steer.txt")
        #expect(ended.results.map(\.state) == ["done", "cancelled", "done"])
        #expect(ended.results[1].error?.code == "cancelled")
        #expect(ended.folder == "failed")
        #expect(server.count("/a") == 0)
    }

    @Test func `a cancelled list ends at once with every line told`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "123".utf8, ending: .stall(after: 1)) }
        let daemon = try RunningDaemon.start()
        try daemon.drop("all.txt", (0..<40).map { server.url("f\($0)") }.joined(separator: "\n"))
        try eventually("some run", context: { daemon.account }) { server.requests.count >= 2 }
        #expect(try daemon.dlctl("cancel", "all.txt").status == 0)
        let ended = try daemon.waitFor("all.txt")
        #expect(ended.results.count == 40)
        #expect(ended.results.allSatisfy { $0.state == "cancelled" && $0.error?.code == "cancelled" })
        #expect(daemon.partFiles.isEmpty && daemon.published.isEmpty)
        #expect(try daemon.dlctl("wait", "all.txt").status == 1)
    }

    @Test func `retry ends a long back-off and host release ends a hold`() throws {
        let server = try ScriptedServer()
        let later = ScriptedReply(503, headers: [("Retry-After", "3000")])
        server.route("/r", later, ScriptedReply(body: "ok".utf8))
        let daemon = try RunningDaemon.start()
        try daemon.drop("wait.txt", "\(server.url("r"))\n")
        try eventually("the host is held", context: { daemon.account }) {
            try daemon.status().hosts.contains { $0.isHeld } && daemon.status().jobs.waiting == 1
        }
        #expect(try daemon.status().verdict.hasPrefix("waiting"))
        let released = try daemon.dlctl("host", "127.0.0.1:\(server.port)", "release")
        #expect(released.status == 0, Comment(rawValue: released.transcript))
        let retried = try daemon.dlctl("retry", "wait.txt")
        #expect(retried.status == 0, Comment(rawValue: retried.transcript))
        #expect(try daemon.waitFor("wait.txt").folder == "done")
    }

    @Test func `statuses tell unknown, misused and absent apart`() throws {
        let daemon = try RunningDaemon.start()
        #expect(try daemon.dlctl("show", "no-such-list").status == 1)
        #expect(try daemon.dlctl("cancel", "0123456789abcdef").status == 1)
        #expect(try daemon.dlctl("pause", "99").status == 1)
        #expect(try daemon.dlctl("frobnicate").status == 64)
        #expect(try daemon.dlctl("jobs", "--state", "happy").status == 64)
        #expect(try daemon.dlctl("jobs", "--limit", "0").status == 64)
        let rejected = try daemon.dlctl("add", "--name", "x.csv", "sum:1")
        #expect(rejected.status == 1, Comment(rawValue: rejected.transcript))
        try daemon.kill()
        let absent = try daemon.dlctl("status")
        #expect(absent.status == 69, Comment(rawValue: absent.transcript))
        #expect(absent.errors.contains(daemon.socket))
    }

    private func page(_ daemon: RunningDaemon, _ arguments: String...) throws -> [[String: Any]] {
        let run = try ProgramRun.run("dlctl", arguments + ["--json", "--socket", daemon.socket])
        let object = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any]
        return object?["items"] as? [[String: Any]] ?? []
    }
}
