// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// The origins that other tests download from, as curl sees them.
@Suite struct OriginTests {
    private func curl(_ arguments: String...) throws -> ProgramRun {
        try ProgramRun.run(try ProgramRun.find("curl"), ["-sS", "--noproxy", "*"] + arguments)
    }

    @Test func `nginx serves, logs and counts connections on two addresses`() throws {
        var setup = Nginx.Setup()
        setup.addresses = ["127.0.0.1", "127.0.0.2"]
        let nginx = try Nginx(setup)
        try nginx.add("dir/file.bin", [UInt8](repeating: 65, count: 1000))
        let first = try curl(nginx.url("dir/file.bin"), "-r", "10-19", "-w", "%{http_code}")
        #expect(first.output == String(repeating: "A", count: 10) + "206")
        _ = try curl(nginx.url("dir/file.bin?x=1", host: 1), nginx.url("status/503", host: 1))
        try eventually("three answers are logged") { try nginx.log().count == 3 }
        let log = try nginx.log()
        #expect(log[0].range == "bytes=10-19")
        #expect(log[0].bytes == 10)
        #expect(log[1].uri == "/dir/file.bin?x=1")
        #expect(log[1].address == "127.0.0.2")
        #expect(log[2].status == 503)
        #expect(log[2].requests == 2)
        #expect(try nginx.connectionCount() == 2)
        nginx.stop()
        #expect(!FreePort.answers("127.0.0.1", nginx.port))
    }

    @Test func `nginx speaks HTTP 2 over TLS with a certificate of our own authority`() throws {
        var setup = Nginx.Setup()
        setup.hasTLS = true
        let nginx = try Nginx(setup)
        try nginx.add("x", "tls".utf8)
        let ca = try #require(nginx.caFile)
        let run = try curl("--cacert", ca, "-w", "%{http_version}", nginx.url("x", tls: true))
        #expect(run.output == "tls2", Comment(rawValue: run.transcript))
        #expect(try curl(nginx.url("x", tls: true)).status == 60)
    }

    @Test func `scripted replies come in turn and the last one stays`() throws {
        let server = try ScriptedServer()
        server.route("/a", ScriptedReply(503), ScriptedReply(200, body: "ok".utf8))
        let run = try curl("-w", "%{http_code} ", server.url("a"), server.url("a"), server.url("a"))
        #expect(run.output == "503 ok200 ok200 ")
        #expect(server.count("/a") == 3)
        #expect(server.connectionCount == 1)
        #expect(server.requests.map(\.ordinal) == [1, 2, 3])
    }

    @Test(
        arguments: [
            (ScriptedReply.Ending.cut(after: 3), Int32(18)), (.reset(after: 3), 56), (.stall(after: 3), 28),
            (.close, 0),
        ] as [(ScriptedReply.Ending, Int32)])
    func `a body can end in every way`(ending: ScriptedReply.Ending, status: Int32) throws {
        let server = try ScriptedServer()
        server.route("/b", ScriptedReply(body: "123456".utf8, ending: ending))
        let run = try curl("--max-time", "2", server.url("b"))
        #expect(run.status == status, Comment(rawValue: run.transcript))
        #expect(run.output.hasPrefix("123"))
    }

    @Test func `a scripted file answers ranges under If-Range`() throws {
        let server = try ScriptedServer()
        server.route("/f", ScriptedFile("0123456789".utf8, etag: "\"one\""))
        #expect(try curl("-r", "4-", server.url("f")).output == "456789")
        #expect(try curl("-r", "4-", "-H", "If-Range: \"two\"", server.url("f")).output == "0123456789")
        #expect(try curl("-r", "40-", "-w", "%{http_code}", server.url("f")).output == "416")
        #expect(server.requests.last?.range?.first == 40)
    }

    @Test func `a chunked body, a lying length and a raw answer go out as told`() throws {
        let server = try ScriptedServer()
        var chunked = ScriptedReply(body: "hello world".utf8)
        chunked.length = .chunked(4)
        var lying = ScriptedReply(body: "short".utf8, ending: .close)
        lying.length = .lying("9")
        server.route("/c", chunked)
        server.route("/l", lying)
        server.route("/r", .raw("HTTP/1.0 200 OK\r\n\r\nraw"))
        #expect(try curl(server.url("c")).output == "hello world")
        #expect(try curl(server.url("l")).status == 18)
        #expect(try curl(server.url("r")).output == "raw")
    }

    @Test func `a stopped server leaves no thread and no port behind`() throws {
        let server = try ScriptedServer()
        server.route("/s", .silence)
        let child = try ChildProcess(try ProgramRun.find("curl"), ["-s", "--noproxy", "*", server.url("s")])
        try eventually("the request came") { server.count("/s") == 1 }
        server.stop()
        #expect(try child.wait() != .exited(0))
        #expect(!FreePort.answers(server.address, server.port))
    }
}
