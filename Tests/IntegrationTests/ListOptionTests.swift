// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import JobModel
import TestKit
import Testing

/// What a list may ask for beyond URLs.
@Suite struct ListOptionTests {
    @Test func `a paused entry waits for dlctl resume`() throws {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let daemon = try RunningDaemon.start()
        try daemon.drop("paused.txt", "\(server.url("now"))\n\(server.url("later"))\n  pause=true\n")
        try eventually("the other one is done", context: { daemon.account }) {
            try daemon.published == ["now"] && daemon.status().jobs.paused == 1
        }
        #expect(server.count("/later") == 0)
        let resumed = try daemon.dlctl("resume", "paused.txt")
        #expect(resumed.status == 0, Comment(rawValue: resumed.transcript))
        #expect(try daemon.waitFor("paused.txt").results.map(\.state) == ["done", "done"])
        #expect(daemon.published == ["later", "now"])
    }

    @Test func `once ends with 1 where a job stays paused, and keeps it`() throws {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let daemon = try RunningDaemon()
        try daemon.drop("paused.txt", "\(server.url("now"))\n\(server.url("later"))\n  pause=true\n")
        let run = try daemon.dld("once")
        #expect(run.status == 1, Comment(rawValue: run.transcript))
        #expect(daemon.published == ["now"])
        #expect(FileTree.exists("\(daemon.spool)/accepted/paused.txt"))
    }

    @Test func `entries of higher priority go first`() throws {
        let server = try ScriptedServer()
        let gate = Latch()
        server.routeAll { request in
            if request.path == "/first" { gate.wait(atMost: .seconds(60)) }
            return ScriptedReply(body: "x".utf8)
        }
        let daemon = try RunningDaemon.start(["hosts": ["default": ["connections": 1]]])
        defer { gate.open() }
        try daemon.drop("first.txt", "\(server.url("first"))\n")
        try eventually("the host is busy", context: { daemon.account }) { server.count("/first") == 1 }
        let text = """
            \(server.url("low"))
              priority=-3
            \(server.url("normal"))
            \(server.url("high"))
              priority=7
            \(server.url("highest"))
              priority=8
            """
        try daemon.drop("ranks.txt", text)
        try eventually("all are queued", context: { daemon.account }) { try daemon.status().jobs.queued == 4 }
        gate.open()
        #expect(try daemon.waitFor("ranks.txt").folder == "done")
        #expect(server.requests.map(\.path) == ["/first", "/highest", "/high", "/normal", "/low"])
    }

    @Test func `packed lists of both formats are read, and a torn one is rejected before its first job`()
        throws
    {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let daemon = try RunningDaemon.start()
        let text = try daemon.directory.file("t.txt", "\(server.url("t"))\n  out=packed/t\nsum:4\n")
        let json = try daemon.directory.file(
            "j.jsonl", "{\"url\": \"\(server.url("j"))\", \"out\": \"packed/j\"}\n")
        let torn = try daemon.directory.file("torn.txt", "\(server.url("torn"))\n")
        for path in [text, json, torn] { #expect(try ProgramRun.run("/bin/gzip", [path]).status == 0) }
        let whole = try FileTree.read("\(torn).gz")
        try FileTree.write(Array(whole.dropLast(4)), to: "\(torn).gz")
        for name in ["t.txt.gz", "j.jsonl.gz", "torn.txt.gz"] {
            try FileTree.rename(daemon.directory.sub(name), "\(daemon.spool)/\(name)")
        }
        #expect(try daemon.waitFor("t.txt.gz").results.map(\.state) == ["done", "done"])
        #expect(try daemon.waitFor("j.jsonl.gz").folder == "done")
        #expect(try daemon.waitFor("torn.txt.gz").folder == "rejected")
        #expect(daemon.published == ["packed/j", "packed/t"])
        #expect(server.count("/torn") == 0)
    }

    @Test func `an indented block before the first entry holds for the whole list`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "x".utf8) }
        let daemon = try RunningDaemon.start()
        let ended = try daemon.finish(
            "defaults.txt",
            "  dir=common\n  user-agent=all/1\n\(server.url("a"))\n\(server.url("b"))\n  dir=own\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(daemon.published == ["common/a", "own/b"])
        #expect(Set(server.requests.map { $0.header("user-agent") }) == ["all/1"])
    }

    @Test func `sums and downloads of one list run at the same time and all are exact`() throws {
        let server = try ScriptedServer()
        let gate = Latch()
        server.routeAll { _ in
            gate.wait(atMost: .seconds(60))
            return ScriptedReply(body: "x".utf8)
        }
        let daemon = try RunningDaemon.start()
        defer { gate.open() }
        let sums = ["sum:0", "sum:1000000", "sum:7..7", "sum:18446744073709551615..18446744073709551615"]
        try daemon.drop("both.txt", ([server.url("held")] + sums).joined(separator: "\n"))
        try eventually("the sums are done while the download is held", context: { daemon.account }) {
            let list = try daemon.status().lists.first
            return list?.done == 4 && server.count("/held") == 1
        }
        gate.open()
        let ended = try daemon.waitFor("both.txt")
        let values = ended.results.dropFirst().map { $0.value ?? "" }
        #expect(values == ["0", "500000500000", "7", "18446744073709551615"])
        #expect(ended.folder == "done")
    }

    @Test func `a wrong digest, a wrong size and a file too large are not published`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "0123456789".utf8) }
        let daemon = try RunningDaemon.start(quickRetries.merged(with: ["limits": ["max_file_size": "1KiB"]]))
        let big = ScriptedReply(body: [UInt8](repeating: 1, count: 5000))
        server.route("/big", big)
        var hidden = big
        hidden.length = .chunked(700)
        server.route("/hidden", hidden)
        let ended = try daemon.finish(
            "wrong.jsonl",
            """
            {"url": "\(server.url("digest"))", "checksum": "sha-1=0000000000000000000000000000000000000000"}
            {"url": "\(server.url("size"))", "size": 11}
            {"url": "\(server.url("big"))"}
            {"url": "\(server.url("hidden"))"}
            {"url": "\(server.url("right"))", "size": 10, "checksum": "md5=781e5e245d69b566979b86e28d23f2c7"}
            """)
        #expect(
            ended.results.map(\.error?.code) == [
                "digest_mismatch", "bad_length", "too_large", "too_large", nil,
            ])
        #expect(daemon.published == ["right"])
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `a short body and a lying length never become a file`() throws {
        let server = try ScriptedServer()
        server.route("/short", ScriptedReply(body: "123456".utf8, ending: .cut(after: 3)))
        server.route("/reset", ScriptedReply(body: "123456".utf8, ending: .reset(after: 3)))
        server.route(
            "/range", ScriptedReply(206, headers: [("Content-Range", "bytes 0-2/6")], body: "123".utf8))
        server.route("/error", ScriptedReply(500, body: "an error page".utf8))
        server.route("/teapot", ScriptedReply(418, body: "tea".utf8))
        let daemon = try RunningDaemon.start(quickRetries)
        let names = ["short", "reset", "range", "error", "teapot"]
        let ended = try daemon.finish("torn.txt", names.map { server.url($0) }.joined(separator: "\n"))
        #expect(ended.results.allSatisfy { $0.state == "failed" && $0.error != nil })
        #expect(ended.results[3].error?.code == "http_500")
        #expect(ended.results[4].error?.code == "http_418")
        #expect(daemon.published.isEmpty)
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `a stalled transfer ends by the entry's own timeout`() throws {
        let server = try ScriptedServer()
        server.route("/stall", ScriptedReply(body: "123456".utf8, ending: .stall(after: 3)))
        server.route("/silent", .silence)
        let daemon = try RunningDaemon.start(["retry": ["max_attempts": 1]])
        let ended = try daemon.finish(
            "stall.txt", "\(server.url("stall"))\n  timeout=1\n\(server.url("silent"))\n  timeout=1\n")
        for result in ended.results {
            #expect(["stalled", "timeout"].contains(result.error?.code ?? ""), "\(result)")
        }
        #expect(daemon.published.isEmpty)
    }
}
