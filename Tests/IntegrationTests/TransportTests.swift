// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// Connections, HTTP/2 and certificates against a real nginx.
@Suite struct TransportTests {
    @Test func `keep-alive carries a list on no more connections than the cap`() throws {
        let nginx = try Nginx()
        for number in 0..<120 { try nginx.add("f\(number)", bulk(number, 2000)) }
        let daemon = try RunningDaemon.start(["hosts": ["default": ["connections": 3]]])
        let urls = (0..<120).map { nginx.url("f\($0)") }.joined(separator: "\n")
        let ended = try daemon.finish("keep.txt", urls)
        #expect(ended.folder == "done")
        let log = try nginx.log()
        #expect(log.count == 120)
        #expect(Set(log.map(\.connection)).count <= 3, "\(Set(log.map(\.connection)).count) connections")
        #expect(ended.results.allSatisfy { $0.httpVersion == "1.1" })
    }

    @Test func `HTTP 2 carries a list on one connection for each worker at most`() throws {
        var setup = Nginx.Setup()
        setup.hasTLS = true
        let nginx = try Nginx(setup)
        for number in 0..<150 { try nginx.add("f\(number)", bulk(number, 3000)) }
        let ca = try #require(nginx.caFile)
        let daemon = try RunningDaemon.start([
            "network": ["ca_file": .text(ca)], "hosts": ["default": ["connections": 2, "streams": 16]],
        ])
        let urls = (0..<150).map { nginx.url("f\($0)", tls: true) }.joined(separator: "\n")
        let ended = try daemon.finish("h2.txt", urls)
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        for number in 0..<150 { try daemon.expectFile("f\(number)", bulk(number, 3000)) }
        let log = try nginx.log()
        #expect(log.count == 150)
        #expect(log.allSatisfy { $0.protocol == "HTTP/2.0" })
        #expect(Set(log.map(\.connection)).count <= 2, "\(Set(log.map(\.connection)).count) connections")
        #expect(ended.results.allSatisfy { $0.httpVersion == "2" })
    }

    @Test func `an unknown authority fails every job once, and no list may look away`() throws {
        var setup = Nginx.Setup()
        setup.hasTLS = true
        let nginx = try Nginx(setup)
        try nginx.add("a", bulk(1, 10))
        try nginx.add("b", bulk(2, 10))
        let daemon = try RunningDaemon.start(["retry": ["max_attempts": 4, "base_delay": "10ms"]])
        let ended = try daemon.finish(
            "tls.jsonl",
            """
            {"url": "\(nginx.url("a", tls: true))"}
            {"url": "\(nginx.url("b", tls: true))", "check_certificate": false}
            """)
        #expect(
            ended.results.map(\.error?.code) == ["tls_verify", "tls_verify"],
            Comment(rawValue: daemon.account))
        #expect(ended.results.map(\.attempts) == [1, 1])
        #expect(try nginx.log().isEmpty)
        #expect(daemon.published.isEmpty)
    }

    @Test func `a certificate for another name fails with tls_verify`() throws {
        var setup = Nginx.Setup()
        setup.hasTLS = true
        setup.addresses = ["127.0.0.5"]
        let nginx = try Nginx(setup)
        try nginx.add("a", bulk(1, 10))
        let daemon = try RunningDaemon.start(["network": ["ca_file": .text(try #require(nginx.caFile))]])
        let ended = try daemon.finish("name.txt", nginx.url("a", tls: true) + "\n")
        #expect(ended.results.map(\.error?.code) == ["tls_verify"], Comment(rawValue: daemon.account))
    }

    @Test func `a host's cap holds for every host on its own`() throws {
        let servers = [try ScriptedServer(), try ScriptedServer(address: "127.0.0.2")]
        for server in servers {
            server.routeAll { _ in ScriptedReply(body: "x".utf8, delay: .milliseconds(5)) }
        }
        let daemon = try RunningDaemon.start([
            "hosts": ["default": ["connections": 4], "127.0.0.2": ["connections": 1]]
        ])
        let urls = (0..<40).flatMap { number in servers.map { $0.url("f\(number)") } }
        #expect(try daemon.finish("caps.txt", urls.joined(separator: "\n")).folder == "done")
        #expect(servers[0].mostOpenConnections <= 4)
        #expect(servers[1].mostOpenConnections == 1)
        #expect(servers.map { $0.requests.count } == [40, 40])
    }

    @Test func `a request rate is kept`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "x".utf8) }
        let daemon = try RunningDaemon.start(["hosts": ["default": ["requests_per_second": 10]]])
        let ended = try daemon.finish(
            "rate.txt", (0..<16).map { server.url("f\($0)") }.joined(separator: "\n"))
        #expect(ended.folder == "done")
        let times = server.requests.map(\.arrived)
        // A burst of a second may go first; what is left comes at a tenth of a second each.
        #expect(times.last! - times[0] >= .milliseconds(450))
    }

    @Test func `a host that is down ends in words and holds up no other`() throws {
        let dead = try FreePort.Refusing("127.0.0.4")
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "x".utf8) }
        let daemon = try RunningDaemon.start([
            "retry": ["max_attempts": 2, "base_delay": "20ms", "max_delay": "50ms"],
            "hosts": ["default": ["give_up": "2s"]],
        ])
        try daemon.drop(
            "dead.txt", (0..<30).map { "http://127.0.0.4:\(dead.port)/f\($0)" }.joined(separator: "\n"))
        let good = try daemon.finish(
            "good.txt", (0..<30).map { server.url("g\($0)") }.joined(separator: "\n"))
        #expect(good.folder == "done")
        let ended = try daemon.waitFor("dead.txt")
        #expect(ended.folder == "failed")
        let codes = Set(ended.results.map { $0.error?.code ?? "" })
        #expect(codes.isSubset(of: ["connect", "host_unavailable"]), "\(codes)")
    }
}
