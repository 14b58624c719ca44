// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import TestKit
import Testing

/// One file, several hosts.
@Suite struct MirrorTests {
    /// Long waits: whoever does not go on at once is seen.
    private let slowRetries: ConfigValue = ["retry": ["base_delay": "10m", "max_delay": "1h"]]
    private let body = Array("the file".utf8)

    private func serving(_ address: String = "127.0.0.2", _ body: [UInt8]? = nil) throws -> ScriptedServer {
        let server = try ScriptedServer(address: address)
        let body = body ?? self.body
        server.routeAll { _ in ScriptedReply(body: body) }
        return server
    }
    private func sha256(_ bytes: [UInt8]) throws -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        return String(try ProgramRun.run("/usr/bin/sha256sum", [], input: text).output.prefix(64))
    }

    @Test func `the first host is dead: the file comes from the second at once`() throws {
        let dead = try FreePort.Refusing("127.0.0.3")
        let second = try serving()
        let daemon = try RunningDaemon.start(slowRetries)
        let ended = try daemon.finish("m.txt", "http://127.0.0.3:\(dead.port)/f\t\(second.url("f"))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("f", body)
        #expect(ended.results.map(\.attempts) == [2])
    }

    @Test func `the first has not got it: dropped, and the second is asked`() throws {
        let first = try ScriptedServer()
        first.routeAll { _ in ScriptedReply(404) }
        let second = try serving()
        let daemon = try RunningDaemon.start(slowRetries)
        let ended = try daemon.finish("m.txt", "\(first.url("f"))\t\(second.url("f"))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("f", body)
        #expect(first.count("/f") == 1 && second.count("/f") == 1)
    }

    @Test func `a host that is held for a minute holds up no job that has another, and costs it nothing`()
        throws
    {
        let busy = try ScriptedServer()
        busy.routeAll { _ in ScriptedReply(429, headers: [("Retry-After", "60")]) }
        let second = try serving()
        let daemon = try RunningDaemon.start()
        try daemon.drop("alone.txt", "\(busy.url("alone"))\n")
        try eventually("the host is held", context: { daemon.account }) {
            try daemon.status().hosts.contains { $0.isHeld && $0.reason == "http_429" }
        }
        // Behind one that has to wait for that host, in the same list.
        let lines =
            [busy.url("waits")] + (0..<30).map { "\(busy.url("f\($0)"))\t\(second.url("f\($0)"))" }
        try daemon.drop("m.txt", lines.joined(separator: "\n") + "\n")
        try eventually("all with a mirror are there", context: { daemon.account }) {
            daemon.published.count == 30
        }
        #expect(busy.requests.count == 1)
        #expect((0..<30).allSatisfy { second.count("/f\($0)") == 1 })
    }

    @Test func `the one that is refused with a time goes on at its mirror, uncharged`() throws {
        let busy = try ScriptedServer()
        busy.routeAll { _ in ScriptedReply(429, headers: [("Retry-After", "60")]) }
        let second = try serving()
        let daemon = try RunningDaemon.start()
        let ended = try daemon.finish("m.txt", "\(busy.url("f"))\t\(second.url("f"))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.map(\.attempts) == [1] && busy.count("/f") == 1)
        try daemon.expectFile("f", body)
    }

    @Test func `a mirror whose file has another length is dropped, and nothing of it is kept`() throws {
        let long = sample(1, 1 << 20)
        let first = try ScriptedServer()
        first.route("/f") { request in
            var reply = ScriptedFile(long, etag: "\"v1\"").reply(to: request)
            if request.number == 1 { reply.ending = .reset(after: 300_000) }
            return reply
        }
        let second = try serving("127.0.0.2", sample(2, 1 << 19))
        let daemon = try RunningDaemon.start(["retry": ["base_delay": "50ms"]])
        let ended = try daemon.finish("m.txt", "\(first.url("f"))\t\(second.url("f"))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("f", long)
        #expect(second.count("/f") == 1 && first.count("/f") == 2)
    }

    @Test func `a wrong digest from one mirror is mended by the next, however many are wrong`() throws {
        let bad = try [serving("127.0.0.1", Array("bad".utf8)), serving("127.0.0.1", Array("bad".utf8))]
        let good = try serving()
        let daemon = try RunningDaemon.start(slowRetries)
        let urls = (bad + [good]).map { $0.url("f") }.joined(separator: "\t")
        let ended = try daemon.finish("m.txt", "\(urls)\n checksum=sha-256=\(try sha256(body))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("f", body)
        #expect(bad.map { $0.count("/f") } == [1, 1] && good.count("/f") == 1)
    }

    @Test func `all are dead: the error names each of them`() throws {
        let dead = try FreePort.Refusing("127.0.0.3")
        let missing = try ScriptedServer(address: "127.0.0.2")
        missing.routeAll { _ in ScriptedReply(404) }
        let daemon = try RunningDaemon.start(["retry": ["base_delay": "20ms", "max_attempts": 3]])
        let ended = try daemon.finish("m.txt", "http://127.0.0.3:\(dead.port)/f\t\(missing.url("f"))\n")
        #expect(ended.folder == "failed")
        let error = try #require(ended.results.first?.error)
        #expect(error.message.contains("127.0.0.3:\(dead.port): "), "\(error.message)")
        #expect(error.message.contains("127.0.0.2:\(missing.port): "), "\(error.message)")
        #expect(missing.count("/f") == 1)
    }

    @Test func `a host that is given up fails no job that has another`() throws {
        let dead = try FreePort.Refusing("127.0.0.4")
        let second = try serving()
        let daemon = try RunningDaemon.start([
            "hosts": ["default": ["give_up": "2s"]], "retry": ["base_delay": "200ms", "max_delay": "1s"],
        ])
        let lone = (0..<20).map { "http://127.0.0.4:\(dead.port)/lone\($0)" }
        let both = (0..<20).map { "http://127.0.0.4:\(dead.port)/f\($0)\t\(second.url("f\($0)"))" }
        let ended = try daemon.finish("m.txt", (lone + both).joined(separator: "\n") + "\n")
        #expect(ended.results.filter { $0.state == "done" }.count == 20, Comment(rawValue: daemon.account))
        #expect(ended.results.filter { $0.state == "failed" }.count == 20)
        #expect((0..<20).allSatisfy { second.count("/f\($0)") == 1 })
    }

    @Test func `what the mirrors have shown outlives a kill`() throws {
        let missing = try ScriptedServer()
        missing.routeAll { _ in ScriptedReply(404) }
        let slow = try ScriptedServer(address: "127.0.0.2")
        let body = self.body
        slow.route("/f") { request in
            request.number == 1 ? ScriptedReply(delay: .seconds(3600)) : ScriptedReply(body: body)
        }
        let daemon = try RunningDaemon.start()
        try daemon.drop("m.txt", "\(missing.url("f"))\t\(slow.url("f"))\n")
        try eventually("the second is asked", context: { daemon.account }) { slow.count("/f") == 1 }
        try daemon.kill()
        try daemon.start()
        #expect(try daemon.waitFor("m.txt").folder == "done", Comment(rawValue: daemon.account))
        #expect(missing.count("/f") == 1 && slow.count("/f") == 2)
        try daemon.terminate()
        #expect(try daemon.dld("fsck", "--strict").status == 0)
    }
}
