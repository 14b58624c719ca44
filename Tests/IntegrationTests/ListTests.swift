// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// A list goes in, files and results come out.
@Suite struct ListTests {
    @Test func `a list of files, sums and failures ends with every line told`() throws {
        let server = try ScriptedServer()
        let body = sample(1, 70_000)
        server.route("/good.bin", ScriptedFile(body, etag: "\"1\""))
        server.route("/gone.bin", ScriptedReply(404))
        let daemon = try RunningDaemon.start(quickRetries)
        let ended = try daemon.finish(
            "mixed.txt",
            """
            # a comment
            \(server.url("good.bin"))
            sum:100000000

            \(server.url("gone.bin"))
            no scheme here
            sum:18446744073709551614..18446744073709551615
            \(server.url("good.bin"))
              out=sub/other name.bin
            """)
        #expect(ended.folder == "failed")
        let results = ended.results
        #expect(results.map(\.line) == [2, 3, 5, 6, 7, 8])
        #expect(results.map(\.state) == ["done", "done", "failed", "failed", "done", "done"])
        #expect(results[1].value == "5000000050000000")
        #expect(results[2].error?.code == "http_404")
        #expect(results[3].job == nil)
        #expect(results[3].error?.code == "bad_url" || results[3].error?.code == "bad_line")
        #expect(results[4].value == "36893488147419103229")
        try daemon.expectFile("good.bin", body)
        try daemon.expectFile("sub/other name.bin", body)
        #expect(daemon.partFiles.isEmpty)
        let retry = try FileTree.lines("\(daemon.spool)/failed/mixed.failed.jsonl")
        #expect(retry.count == 1)
        #expect(try daemon.terminate() == .exited(0))
    }

    @Test func `what failed is retried by one mv, and only that`() throws {
        let server = try ScriptedServer()
        server.route("/a", ScriptedFile("a".utf8))
        server.route("/b", ScriptedReply(404), ScriptedReply(200, body: "b".utf8))
        let daemon = try RunningDaemon.start(quickRetries)
        _ = try daemon.finish("two.txt", "\(server.url("a"))\n\(server.url("b"))\n")
        server.forgetRequests()
        try FileTree.rename("\(daemon.spool)/failed/two.failed.jsonl", "\(daemon.spool)/two.failed.jsonl")
        let ended = try daemon.waitFor("two.failed.jsonl")
        #expect(ended.folder == "done")
        #expect(server.requests.map(\.path) == ["/b"])
        try daemon.expectFile("b", Array("b".utf8))
    }

    @Test func `a right digest is published and a wrong one is not`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "digest me".utf8) }
        let daemon = try RunningDaemon.start(quickRetries)
        let sha256 = try ProgramRun.run("/usr/bin/sha256sum", [], input: "digest me").output.prefix(64)
        let ended = try daemon.finish(
            "digests.txt",
            """
            \(server.url("right"))
              checksum=sha-256=\(sha256)
            \(server.url("wrong"))
              checksum=md5=00000000000000000000000000000000
            """)
        #expect(ended.results.map(\.state) == ["done", "failed"])
        #expect(ended.results[0].digest?.contains(sha256) == true)
        #expect(ended.results[1].error?.code == "digest_mismatch")
        #expect(FileTree.files(below: daemon.output).filter { !$0.hasPrefix(".dld") } == ["right"])
    }

    @Test func `JSON Lines and gzipped lists are taken, and ids come back`() throws {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let daemon = try RunningDaemon.start()
        let ended = try daemon.finish(
            "ids.jsonl",
            """
            {"url": "\(server.url("one"))", "id": "my own/1", "out": "x/one.txt"}
            {"sum": {"from": 5, "to": 6}, "id": "s"}
            """)
        #expect(ended.results.map(\.id) == ["my own/1", "s"])
        #expect(ended.results[1].value == "11")
        try daemon.expectFile("x/one.txt", Array("/one".utf8))

        let plain = try daemon.directory.file("packed.txt", "\(server.url("two"))\n")
        let gzip = try ProgramRun.run("/bin/gzip", [plain])
        #expect(gzip.status == 0)
        try FileTree.rename("\(plain).gz", "\(daemon.spool)/packed.txt.gz")
        #expect(try daemon.waitFor("packed.txt.gz").folder == "done")
        try daemon.expectFile("two", Array("/two".utf8))
    }

    @Test func `a failing server is tried again and Retry-After is heeded`() throws {
        let server = try ScriptedServer()
        server.route("/flaky", ScriptedReply(500), ScriptedReply(200, body: "ok".utf8))
        server.route("/later", ScriptedReply(503, headers: [("Retry-After", "1")]), ScriptedReply(200))
        let daemon = try RunningDaemon.start(["retry": ["max_attempts": 3, "base_delay": "20ms"]])
        let ended = try daemon.finish("retry.txt", "\(server.url("flaky"))\n\(server.url("later"))\n")
        #expect(ended.folder == "done")
        #expect(ended.results[0].attempts == 2)
        let times = server.requests("/later").map(\.arrived)
        #expect(times.count == 2)
        #expect(times[1] - times[0] >= .milliseconds(990))
    }

    @Test func `a taken name is renamed, skipped, overwritten or refused as told`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "new".utf8) }
        let daemon = try RunningDaemon.start()
        try FileTree.write("old", to: "\(daemon.output)/name.txt")
        let url = server.url("name.txt")
        let ended = try daemon.finish(
            "exists.jsonl",
            """
            {"url": "\(url)", "exists": "rename"}
            """)
        #expect(ended.results.map(\.path) == ["name.1.txt"])
        let skip = try daemon.finish("skip.jsonl", "{\"url\": \"\(url)\", \"exists\": \"skip\"}\n")
        #expect(skip.results[0].flags == ["skipped"])
        let refuse = try daemon.finish("fail.jsonl", "{\"url\": \"\(url)\", \"exists\": \"fail\"}\n")
        #expect(refuse.results[0].error?.code == "exists")
        #expect(server.requests.count == 1)
        try daemon.expectFile("name.txt", Array("old".utf8))
        let over = try daemon.finish("over.jsonl", "{\"url\": \"\(url)\", \"exists\": \"overwrite\"}\n")
        #expect(over.folder == "done")
        try daemon.expectFile("name.txt", Array("new".utf8))
    }

    @Test func `an unchanged file is not fetched again under update`() throws {
        let server = try ScriptedServer()
        server.route("/u", ScriptedFile("version one".utf8, etag: "\"v1\""))
        let daemon = try RunningDaemon.start(["output": ["exists": "update"]])
        _ = try daemon.finish("first.txt", "\(server.url("u"))\n")
        let again = try daemon.finish("second.txt", "\(server.url("u"))\n")
        #expect(again.results[0].flags == ["unchanged"])
        #expect(again.results[0].state == "done")
        server.route("/u", ScriptedFile("version two!".utf8, etag: "\"v2\""))
        _ = try daemon.finish("third.txt", "\(server.url("u"))\n")
        try daemon.expectFile("u", Array("version two!".utf8))
    }

    @Test func `HTTP 2 over TLS carries many files on few connections`() throws {
        var setup = Nginx.Setup()
        setup.hasTLS = true
        let nginx = try Nginx(setup)
        for number in 0..<60 { try nginx.add("f\(number)", sample(number, 3000)) }
        let ca = try #require(nginx.caFile)
        let daemon = try RunningDaemon.start(["network": ["ca_file": .text(ca)]])
        let urls = (0..<60).map { nginx.url("f\($0)", tls: true) }.joined(separator: "\n")
        #expect(try daemon.finish("h2.txt", urls).folder == "done")
        for number in 0..<60 { try daemon.expectFile("f\(number)", sample(number, 3000)) }
        let log = try nginx.log()
        #expect(log.allSatisfy { $0.protocol == "HTTP/2.0" })
        #expect(Set(log.map(\.connection)).count <= 6)
    }
}
