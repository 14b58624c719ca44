// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import TestKit
import Testing

/// Hosts that refuse, die, come back or never do: holds, the breaker, give_up, release.
@Suite struct CourtesyTests {
    private func list(_ server: ScriptedServer, _ names: Range<Int>, _ prefix: String = "f") -> String {
        names.map { server.url("\(prefix)\($0)") }.joined(separator: "\n") + "\n"
    }

    @Test func `429 holds the host for two lists at once while a good host goes on`() throws {
        let busy = try ScriptedServer()
        let good = try ScriptedServer(address: "127.0.0.2")
        // The whole of the good host's list fits into the hold.
        let hold = 2 * Patience.factor
        busy.routeAll { request in
            request.number == 1
                ? ScriptedReply(429, headers: [("Retry-After", "\(hold)")])
                : ScriptedReply(body: "x".utf8, delay: .milliseconds(20))
        }
        good.routeAll { _ in ScriptedReply(body: "y".utf8) }
        let daemon = try RunningDaemon.start()
        try daemon.drop("one.txt", list(busy, 0..<20, "a"))
        try eventually("the host is held", context: { daemon.account }) {
            try daemon.status().hosts.contains { $0.isHeld && $0.reason == "http_429" }
        }
        try daemon.drop("two.txt", list(busy, 0..<20, "b"))
        #expect(try daemon.finish("good.txt", list(good, 0..<50)).folder == "done")
        let shown = try daemon.dlctl("status").output
        #expect(shown.contains("held until") && shown.contains("http_429"), Comment(rawValue: shown))
        let one = try daemon.waitFor("one.txt")
        let two = try daemon.waitFor("two.txt")
        #expect(one.folder == "done" && two.folder == "done")
        #expect((one.results + two.results).allSatisfy { $0.attempts == 1 })
        let times = busy.requests.map(\.arrived)
        #expect(times.count == 41)
        #expect(times[1] - times[0] >= .milliseconds(hold * 1000 - 10), "nobody asked while it was held")
        #expect(
            busy.requests[1].connection == busy.requests[2].connection
                || times[2] - times[1] >= .milliseconds(15))
    }

    @Test func `RateLimit fields hold the host like Retry-After`() throws {
        let server = try ScriptedServer()
        server.route(
            "/r", ScriptedReply(429, headers: [("RateLimit", #""day";r=0;t=1"#)]),
            ScriptedReply(body: "x".utf8))
        server.route(
            "/s",
            ScriptedReply(
                headers: [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1")], body: "y".utf8))
        server.route("/t", ScriptedReply(body: "z".utf8))
        let daemon = try RunningDaemon.start(["hosts": ["default": ["connections": 1]]])
        let names = ["r", "s", "t"].map { server.url($0) }.joined(separator: "\n")
        let ended = try daemon.finish("quota.txt", names)
        #expect(ended.folder == "done")
        #expect(ended.results.map(\.attempts) == [1, 1, 1])
        let refused = server.requests("/r").map(\.arrived)
        #expect(refused[1] - refused[0] >= .milliseconds(990))
        let all = server.requests
        let spent = try #require(all.firstIndex { $0.path == "/s" })
        if spent + 1 < all.count {
            #expect(all[spent + 1].arrived - all[spent].arrived >= .milliseconds(990))
        }
    }

    @Test func `a server that is away and comes back is asked seldom, and loses nothing`() throws {
        let first = try ScriptedServer()
        let port = first.port
        first.stop()
        let daemon = try RunningDaemon.start([
            "retry": ["base_delay": "200ms", "max_delay": "1s", "max_attempts": 20]
        ])
        try daemon.drop(
            "away.txt", (0..<200).map { "http://127.0.0.1:\(port)/f\($0)" }.joined(separator: "\n"))
        try eventually("the breaker opens", context: { daemon.account }) {
            try daemon.status().hosts.contains { $0.breaker != nil }
        }
        #expect(try daemon.metric("dld_hosts_breaker_open") == 1)
        let text = try daemon.dlctl("hosts").output
        #expect(text.contains("breaker open"), Comment(rawValue: text))
        // Some rounds of scouts, each alone.
        try eventually("scouts went", context: { daemon.account }) {
            try daemon.metric("dld_attempts_total") >= 5
        }
        let asked = try daemon.metric("dld_attempts_total")
        #expect(asked < 20, "\(asked) attempts on a dead host")
        let again = try ScriptedServer(port: port)
        again.routeAll { _ in ScriptedReply(body: "x".utf8) }
        let ended = try daemon.waitFor("away.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.map(\.attempts).reduce(0, +) <= 200 + Int(asked) + 3)
        #expect(ended.results.allSatisfy { $0.attempts <= 3 })
    }

    @Test func `one URL on a dead host ends as connect after its attempts`() throws {
        let dead = try FreePort.Refusing("127.0.0.4")
        let daemon = try RunningDaemon.start(["retry": ["base_delay": "20ms", "max_attempts": 4]])
        let ended = try daemon.finish("one.txt", "http://127.0.0.4:\(dead.port)/x\n")
        #expect(ended.results.map(\.error?.code) == ["connect"])
        #expect(ended.results.map(\.attempts) == [4])
    }

    @Test func `a host that never answers is given up, its list ends, and the retry list has all of it`()
        throws
    {
        let dead = try FreePort.Refusing("127.0.0.4")
        let good = try ScriptedServer()
        good.routeAll { _ in ScriptedReply(body: "x".utf8) }
        let daemon = try RunningDaemon.start(["hosts": ["127.0.0.4": ["give_up": "2s"]]])
        let lines =
            (0..<3000).map { "http://127.0.0.4:\(dead.port)/d\($0)" } + (0..<100).map { good.url("g\($0)") }
        let ended = try daemon.finish("mixed.txt", lines.joined(separator: "\n"))
        #expect(ended.folder == "failed")
        let codes = ended.results.prefix(3000).map { $0.error?.code ?? $0.state }
        #expect(Set(codes) == ["host_unavailable"], "\(Set(codes))")
        #expect(ended.results.suffix(100).allSatisfy { $0.state == "done" && $0.attempts == 1 })
        #expect(ended.results.prefix(3000).count { $0.attempts > 0 } <= 6)
        let retry = try FileTree.lines("\(daemon.spool)/failed/mixed.failed.jsonl")
        #expect(retry.count == 3000)
        #expect(try daemon.metric("dld_host_unavailable_total") >= 2990)
    }

    @Test func `a host that only says 503 is given up too, also in the middle of its hold`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(503, headers: [("Retry-After", "3000")]) }
        let daemon = try RunningDaemon.start(["hosts": ["default": ["give_up": "1s"]]])
        let ended = try daemon.finish("busy.txt", list(server, 0..<20))
        #expect(Set(ended.results.map { $0.error?.code ?? "" }) == ["host_unavailable"])
        #expect(server.requests.count == 1)
    }

    @Test func `a release is followed by a scout at once, also for a job that waits`() throws {
        let server = try ScriptedServer()
        server.routeAll { request in
            request.number == 1
                ? ScriptedReply(503, headers: [("Retry-After", "3000")]) : ScriptedReply(body: "ok".utf8)
        }
        let daemon = try RunningDaemon.start()
        try daemon.drop("held.txt", list(server, 0..<3))
        try eventually("it is held and one waits", context: { daemon.account }) {
            try daemon.status().hosts.contains { $0.isHeld } && daemon.status().jobs.waiting == 1
        }
        let released = try daemon.dlctl("host", "127.0.0.1:\(server.port)", "release")
        #expect(released.status == 0, Comment(rawValue: released.transcript))
        #expect(try daemon.waitFor("held.txt").folder == "done")
    }

    @Test func `a GOAWAY after every few requests costs no attempt and few connections`() throws {
        var setup = Nginx.Setup()
        setup.hasTLS = true
        setup.keepaliveRequests = 20
        let nginx = try Nginx(setup)
        for number in 0..<200 { try nginx.add("f\(number)", bulk(number, 500)) }
        let daemon = try RunningDaemon.start(["network": ["ca_file": .text(try #require(nginx.caFile))]])
        let urls = (0..<200).map { nginx.url("f\($0)", tls: true) }.joined(separator: "\n")
        let ended = try daemon.finish("goaway.txt", urls)
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.allSatisfy { $0.attempts == 1 })
        let connections = Set(try nginx.log().map(\.connection)).count
        // 200 requests at 20 a connection are 10; each end may cost a scout's connection more.
        #expect(connections <= 24, "\(connections) connections")
    }
}

extension RunningDaemon {
    /// The value of a metric without labels.
    fileprivate func metric(_ name: String) throws -> Double {
        let page = try UnixHTTP.get(socket, "/metrics").body
        let line = page.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Double($0.dropFirst(name.utf8.count + 1)) } ?? 0
    }
}
