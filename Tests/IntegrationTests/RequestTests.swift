// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// What reaches the origin, and what must never reach another one.
@Suite struct RequestTests {
    @Test func `header, referer, user agent and basic auth of an entry arrive`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        let daemon = try RunningDaemon.start(["network": ["user_agent": "house/1"]])
        let ended = try daemon.finish(
            "fields.txt",
            """
            \(server.url("text"))
              header=X-One: first
              header=X-Two: second
              referer=http://example.org/from
              user-agent=mine/2
              http-user=joe
              http-passwd=p@ss
            \(server.url("self"))
              referer=*
            \(server.url("plain"))
            """)
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        let text = try #require(server.requests("/text").first)
        #expect(text.method == "GET")
        #expect(text.header("x-one") == "first")
        #expect(text.header("x-two") == "second")
        #expect(text.header("referer") == "http://example.org/from")
        #expect(text.header("user-agent") == "mine/2")
        #expect(text.header("authorization") == "Basic am9lOnBAc3M=")
        #expect(server.requests("/self").first?.header("referer") == server.url("self"))
        let plain = try #require(server.requests("/plain").first)
        #expect(plain.header("user-agent") == "house/1")
        for name in ["authorization", "referer", "x-one", "range", "accept-encoding", "cookie"] {
            #expect(plain.header(name) == nil, "\(name)")
        }
    }

    @Test func `JSON Lines fields and defaults arrive and the entry's own win`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        let daemon = try RunningDaemon.start()
        let ended = try daemon.finish(
            "fields.jsonl",
            """
            {"defaults": {"dir": "all", "user_agent": "common/1", "headers": {"X-List": "yes"}}}
            {"url": "\(server.url("a"))", "headers": {"X-Many": ["1", "2"]}, "username": "u", "password": "p"}
            {"url": "\(server.url("b"))", "user_agent": "own/2", "out": "other.bin", "dir": "mine"}
            {"url": "\(server.url("c"))", "no_such_key": 1}
            {"url": 5}
            not json
            """)
        #expect(ended.results.map(\.state) == ["done", "done", "failed", "failed", "failed"])
        #expect(ended.results.map(\.line) == [2, 3, 4, 5, 6])
        #expect(ended.results[2].error?.message.contains("no_such_key") == true)
        let first = try #require(server.requests("/a").first)
        #expect(first.header("user-agent") == "common/1")
        #expect(first.header("x-list") == "yes")
        #expect(first.headers.filter { $0.name == "x-many" }.map(\.value) == ["1", "2"])
        #expect(first.header("authorization") == "Basic dTpw")
        #expect(server.requests("/b").first?.header("user-agent") == "own/2")
        #expect(server.count("/c") == 0)
        #expect(daemon.published == ["all/a", "mine/other.bin"])
    }

    @Test func `credentials, cookies and fields do not follow to another host`() throws {
        let other = try ScriptedServer(address: "127.0.0.2")
        other.routeAll { _ in ScriptedReply(body: "there".utf8) }
        let server = try ScriptedServer()
        let abroad = other.url("landed")
        server.route("/away") { _ in ScriptedReply(302, headers: [("Location", abroad)]) }
        server.route("/home") { _ in ScriptedReply(301, headers: [("Location", "/stays?x=1")]) }
        server.route("/stays") { _ in ScriptedReply(body: "here".utf8) }
        let daemon = try RunningDaemon.start()
        let fields = """
              header=X-Secret: s3cret
              header=Cookie: id=1
              http-user=joe
              http-passwd=pw
            """
        let ended = try daemon.finish(
            "away.txt", "\(server.url("away"))\n\(fields)\n\(server.url("home"))\n\(fields)\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        let landed = try #require(other.requests("/landed").first)
        for name in ["authorization", "cookie", "x-secret"] { #expect(landed.header(name) == nil, "\(name)") }
        #expect(landed.header("host") == "127.0.0.2:\(other.port)")
        let stays = try #require(server.requests("/stays").first)
        for name in ["authorization", "cookie", "x-secret"] { #expect(stays.header(name) != nil, "\(name)") }
        #expect(ended.results.map(\.finalUrl) == [abroad, server.url("stays?x=1")])
        // The name is that of the first URL as given, never of a redirect.
        #expect(daemon.published == ["away", "home"])
    }

    @Test func `redirects end at the limit, at a loop and at a forbidden scheme`() throws {
        let server = try ScriptedServer()
        server.routeAll { request in
            guard let number = Int(request.path.dropFirst(2)) else { return ScriptedReply(404) }
            return number == 0
                ? ScriptedReply(body: "end".utf8)
                : ScriptedReply(302, headers: [("Location", "/r\(number - 1)")])
        }
        server.route("/loop", ScriptedReply(302, headers: [("Location", "/loop")]))
        server.route("/file", ScriptedReply(302, headers: [("Location", "file:///etc/passwd")]))
        server.route("/nowhere", ScriptedReply(302))
        let daemon = try RunningDaemon.start(quickRetries.merged(with: ["limits": ["max_redirects": 3]]))
        let names = ["r3", "r4", "loop", "file", "nowhere"]
        let ended = try daemon.finish("hops.txt", names.map { server.url($0) }.joined(separator: "\n"))
        #expect(ended.results.map(\.state) == ["done", "failed", "failed", "failed", "failed"])
        #expect(ended.results[1].error?.code == "redirect_limit")
        #expect(ended.results[2].error?.code == "redirect_limit")
        #expect(ended.results[3].error?.code == "redirect_scheme")
        #expect(server.count("/loop") == 4)
        try daemon.expectFile("r3", Array("end".utf8))
        #expect(daemon.published == ["r3"])
    }

    @Test func `max-tries and retry-wait of an entry are honoured, and a 404 is not tried twice`() throws {
        let server = try ScriptedServer()
        server.route("/down", ScriptedReply(503))
        server.route("/back", ScriptedReply(500), ScriptedReply(502), ScriptedReply(body: "ok".utf8))
        server.route(
            "/cut", ScriptedReply(body: "123456".utf8, ending: .cut(after: 3)),
            ScriptedReply(body: "123456".utf8))
        let daemon = try RunningDaemon.start(["retry": ["base_delay": "10ms", "max_delay": "50ms"]])
        let ended = try daemon.finish(
            "tries.txt",
            """
            \(server.url("down"))
              max-tries=3
            \(server.url("back"))
              max-tries=3
            \(server.url("cut"))
            \(server.url("missing"))
            """)
        #expect(ended.results.map(\.state) == ["failed", "done", "done", "failed"])
        #expect(ended.results.map(\.attempts) == [3, 3, 2, 1])
        #expect(ended.results[0].error?.code == "http_503")
        #expect(["/down", "/back", "/cut", "/missing"].map { server.count($0) } == [3, 3, 2, 1])
        try daemon.expectFile("cut", Array("123456".utf8))
    }

    @Test func `Retry-After is waited for before the next request`() throws {
        let server = try ScriptedServer()
        server.route(
            "/later", ScriptedReply(503, headers: [("Retry-After", "1")]), ScriptedReply(body: "now".utf8))
        let daemon = try RunningDaemon.start(["retry": ["base_delay": "10ms"]])
        let ended = try daemon.finish("later.txt", "\(server.url("later"))\n")
        // The server named a time: that is its host's business, no fault of the job.
        #expect(ended.results.map(\.attempts) == [1])
        let times = server.requests("/later").map(\.arrived)
        #expect(times.count == 2)
        #expect(times.last! - times[0] >= .milliseconds(990))
        try daemon.expectFile("later", Array("now".utf8))
    }

    @Test func `a mirror takes over where the first does not answer`() throws {
        let dead = try FreePort.Refusing("127.0.0.3")
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "mirror".utf8) }
        let daemon = try RunningDaemon.start(quickRetries)
        let ended = try daemon.finish(
            "mirrors.txt", "http://127.0.0.3:\(dead.port)/file.bin\t\(server.url("other/file.bin"))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("file.bin", Array("mirror".utf8))
        #expect(ended.results[0].urls?.count == 2)
    }

    @Test func `secrets are masked in results and jobs log and whole in the retry list`() throws {
        let server = try ScriptedServer()
        let daemon = try RunningDaemon.start(quickRetries)
        let url = "http://joe:hunter2@127.0.0.1:\(server.port)/f?token=abc123&page=2"
        let ended = try daemon.finish("secret.txt", "\(url)\n  header=Authorization: Bearer xyz789\n")
        #expect(ended.folder == "failed")
        let shown = try daemon.results("secret.txt").joined()
        try eventually("jobs.log has the job") { FileTree.exists(daemon.jobsLog) }
        let places = [
            shown, try FileTree.text(daemon.jobsLog), try daemon.process().errors,
            try daemon.process().output,
            try daemon.dlctl("jobs", "--json").output, try daemon.dlctl("status").output,
        ]
        for text in places {
            for secret in ["hunter2", "abc123", "xyz789"] {
                #expect(!text.contains(secret), Comment(rawValue: text))
            }
        }
        #expect(shown.contains("page=2"))
        let retry = try FileTree.text("\(daemon.spool)/failed/secret.failed.jsonl")
        for secret in ["hunter2", "abc123", "xyz789"] { #expect(retry.contains(secret)) }
    }

    @Test func `the configured proxy carries requests and the environment's does not`() throws {
        let proxy = try ScriptedServer()
        proxy.routeAll { _ in ScriptedReply(body: "by proxy".utf8) }
        let environment: [String: String?] = ["http_proxy": proxy.url(""), "all_proxy": proxy.url("")]
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "direct".utf8) }
        let daemon = try RunningDaemon(quickRetries, environment: environment)
        try daemon.drop("direct.txt", "\(server.url("direct"))\n")
        let run = try daemon.dld("once")
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        try daemon.expectFile("direct", Array("direct".utf8))
        #expect(proxy.requests.isEmpty)
        try daemon.configure(["network": ["proxy": .text(proxy.url(""))]])
        try daemon.drop("proxied.txt", "\(server.url("proxied"))\n")
        #expect(try daemon.dld("once").status == 0)
        try daemon.expectFile("proxied", Array("by proxy".utf8))
        #expect(proxy.requests.map(\.target) == [server.url("proxied")])
    }
}
