// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// What may be fetched, and what goes along with a request.
@Suite struct PolicyTests {
    private func answersOK() throws -> ScriptedServer {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        return server
    }

    @Test
    func `a credentials file goes to its own origin, is read anew at a reload, and follows no redirect`()
        throws
    {
        let other = try ScriptedServer(address: "127.0.0.2")
        other.routeAll { _ in ScriptedReply(body: "there".utf8) }
        let server = try answersOK()
        let abroad = other.url("landed")
        server.route("/away", ScriptedReply(302, headers: [("Location", abroad)]))
        let back = server.url("home")
        other.route("/back", ScriptedReply(302, headers: [("Location", back)]))
        let there = other.url("back")
        server.route("/round", ScriptedReply(302, headers: [("Location", there)]))
        let daemon = try RunningDaemon()
        let file = try daemon.directory.file("secret", "joe:hunter2\n")
        #expect(chmod(file, 0o600) == 0)
        try daemon.configure([
            "hosts": .object(["127.0.0.1:\(server.port)": ["credentials_file": .text(file)]])
        ])
        try daemon.start()
        let ended = try daemon.finish(
            "a.txt",
            "\(server.url("a"))\n\(server.url("away"))\n\(server.url("round"))\n\(server.url("own"))\n  http-user=u\n"
        )
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(server.requests("/a").first?.header("authorization") == "Basic am9lOmh1bnRlcjI=")
        #expect(server.requests("/own").first?.header("authorization") == "Basic dTo=")
        #expect(other.requests("/landed").first?.header("authorization") == nil)
        #expect(server.requests("/round").first?.header("authorization") != nil)
        #expect(server.requests("/home").first?.header("authorization") == nil)
        try FileTree.write("X-Api-Key: k2\n", to: file)
        #expect(chmod(file, 0o600) == 0)
        #expect(try daemon.dlctl("reload").status == 0)
        _ = try daemon.finish("b.txt", "\(server.url("b"))\n")
        #expect(server.requests("/b").first?.header("x-api-key") == "k2")
        #expect(server.requests("/b").first?.header("authorization") == nil)
        #expect(chmod(file, 0o644) == 0)
        let refused = try daemon.dlctl("reload")
        #expect(refused.status == 1)
        #expect(refused.transcript.contains(file))
        let texts = [
            daemon.account, try FileTree.text(daemon.jobsLog), try daemon.dld("check", "--print").transcript,
            try daemon.dlctl("status").output, refused.transcript,
        ]
        for text in texts {
            #expect(!text.contains("hunter2") && !text.contains("k2"), Comment(rawValue: text))
        }
        let check = try daemon.dld("check")
        #expect(check.status == 78)
        #expect(check.transcript.contains("credentials_file"))
    }

    @Test func `H62 H63 H64 neither environment nor netrc nor an earlier answer's cookie changes a request`()
        throws
    {
        let proxy = try answersOK()
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(headers: [("Set-Cookie", "id=1; Path=/")], body: "direct".utf8) }
        let home = try TempDirectory()
        let netrc = try home.file(
            ".netrc", "machine 127.0.0.1 login joe password pw\ndefault login a password b\n")
        #expect(chmod(netrc, 0o600) == 0)
        let url = proxy.url("")
        let daemon = try RunningDaemon.start(
            environment: [
                "HOME": home.path, "NETRC": netrc, "http_proxy": url, "HTTP_PROXY": url, "https_proxy": url,
                "ALL_PROXY": url, "all_proxy": url, "no_proxy": nil, "NO_PROXY": nil,
            ])
        #expect(try daemon.finish("one.txt", "\(server.url("one"))\n").folder == "done")
        #expect(try daemon.finish("two.txt", "\(server.url("two"))\n").folder == "done")
        #expect(proxy.requests.isEmpty)
        for path in ["/one", "/two"] {
            let request = try #require(server.requests(path).first)
            for name in ["cookie", "authorization", "proxy-authorization"] {
                #expect(request.header(name) == nil)
            }
        }
    }

    @Test func `two Locations that differ, line ends and other control characters in one, and its userinfo`()
        throws
    {
        let other = try ScriptedServer(address: "127.0.0.2")
        other.routeAll { _ in ScriptedReply(body: "there".utf8) }
        let server = try answersOK()
        server.route("/two", ScriptedReply(302, headers: [("Location", "/a"), ("Location", "/b")]))
        server.route("/twice", ScriptedReply(302, headers: [("Location", "/a"), ("Location", "/a")]))
        server.route("/cr", ScriptedReply(302, headers: [("Location", "/x\rSet-Cookie: a=b")]))
        server.route("/nul", ScriptedReply(302, headers: [("Location", "/x\u{0}y")]))
        server.route("/esc", ScriptedReply(302, headers: [("Location", "/x\u{1b}[2J")]))
        let target = "http://joe:pw@127.0.0.2:\(other.port)/in"
        server.route("/user", ScriptedReply(302, headers: [("Location", target)]))
        let daemon = try RunningDaemon.start(quickRetries)
        let names = ["two", "twice", "cr", "nul", "esc", "user"]
        let ended = try daemon.finish("l.txt", names.map { server.url($0) }.joined(separator: "\n"))
        #expect(ended.results.map(\.state) == ["failed", "done", "failed", "failed", "failed", "done"])
        #expect(server.count("/b") == 0 && server.count("/x") == 0)
        #expect(other.requests("/in").first?.header("authorization") == nil)
        let shown = try daemon.results("l.txt").joined()
        for secret in ["\u{1b}", "joe:pw", "joe"] {
            #expect(!shown.contains(secret), Comment(rawValue: shown))
        }
    }

    @Test func `behind a proxy a redirect from a public name may not lead into this network`() throws {
        let proxy = try ScriptedServer()
        proxy.routeAll { request in
            guard request.target.contains("public.example") else { return ScriptedReply(body: "secret".utf8) }
            let place = request.target.split(separator: "?").last.map { String($0) } ?? ""
            return ScriptedReply(302, headers: [("Location", "http://\(place)/")])
        }
        let daemon = try RunningDaemon.start(
            quickRetries.merged(with: ["network": ["proxy": .text(proxy.url(""))]]))
        let places = [
            "10.0.0.1", "127.0.0.1.", "nas", "0x7f.1", "[::ffff:169.254.169.254]", "metadata.internal",
        ]
        let lines = places.enumerated().map { "http://public.example/\($0.offset)?\($0.element)" }
        let ended = try daemon.finish("p.txt", lines.joined(separator: "\n"))
        for (place, result) in zip(places, ended.results) {
            #expect(result.error?.code == "private_address", "\(place)")
        }
        #expect(proxy.requests.allSatisfy { $0.target.contains("public.example") })
    }
}

/// Where files are written, and under which names.
@Suite struct OutputSafetyTests {
    @Test(arguments: ["skip", "update", "fail", "rename", "overwrite"])
    func `a symbolic link on the way to a final path is refused with a hint, whatever exists says`(
        exists: String
    )
        throws
    {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "new".utf8) }
        let daemon = try RunningDaemon.start(["output": ["exists": .text(exists)]])
        let outside = try TempDirectory()
        _ = try outside.file("f", "precious")
        #expect(symlink(outside.path, "\(daemon.output)/dir") == 0)
        let ended = try daemon.finish("l.txt", "\(server.url("f"))\n  dir=dir\n")
        #expect(ended.results[0].error?.code == "outside_output", Comment(rawValue: daemon.account))
        #expect(ended.results[0].error?.message.contains("mount --bind") == true)
        #expect(try FileTree.text("\(outside.path)/f") == "precious")
        #expect(FileTree.files(below: outside.path) == ["f"])
        if ["skip", "update", "fail"].contains(exists) { #expect(server.requests.isEmpty) }
    }

    @Test func `overwrite replaces a link or one of two names, never what they lead to`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "new".utf8) }
        let daemon = try RunningDaemon.start(["output": ["exists": "overwrite"]])
        let outside = try TempDirectory()
        let target = try outside.file("target", "precious")
        #expect(symlink(target, "\(daemon.output)/soft") == 0)
        let twin = try outside.file("twin", "precious")
        #expect(link(twin, "\(daemon.output)/hard") == 0)
        #expect(try daemon.finish("l.txt", "\(server.url("soft"))\n\(server.url("hard"))\n").folder == "done")
        for name in ["soft", "hard"] { try daemon.expectFile(name, Array("new".utf8)) }
        #expect(try FileTree.text(target) == "precious" && FileTree.text(twin) == "precious")
    }

    @Test func `a server names the file only where that is on and neither out nor a template decides`() throws
    {
        let server = try ScriptedServer()
        func named(_ path: String, _ value: String) {
            server.route(path, ScriptedReply(headers: [("Content-Disposition", value)], body: path.utf8))
        }
        named("/get", "attachment; filename=\"data.csv\"")
        named("/again", "attachment; filename*=UTF-8''data.csv")
        named("/evil", "attachment; filename=\"../../../../etc/.passwd\"")
        named("/odd", "attachment; filename=a; filename=b")
        let text = "get again evil odd".split(separator: " ").map { server.url(String($0)) }.joined(
            separator: "\n")
        let off = try RunningDaemon.start()
        #expect(try off.finish("l.txt", text).folder == "done")
        #expect(off.published == ["again", "evil", "get", "odd"])
        let on = try RunningDaemon.start(["output": ["content_disposition": true]])
        let ended = try on.finish(
            "l.txt", text + "\n\(server.url("get"))\n  out=mine\n\(server.url("evil"))\n  dir=d\n")
        #expect(ended.folder == "done", Comment(rawValue: on.account))
        #expect(on.published == ["d/passwd", "data.1.csv", "data.csv", "mine", "odd", "passwd"])
        #expect(Set(ended.results.compactMap(\.path)) == Set(on.published))
        try on.restart(killing: true)
        #expect(on.published.count == 6)
        let template = try RunningDaemon.start(
            ["output": ["content_disposition": true, "layout": "{host}/{name}"]])
        #expect(try template.finish("l.txt", "\(server.url("get"))\n").folder == "done")
        #expect(template.published == ["127.0.0.1/get"])
    }

    @Test(arguments: [("skip", "done"), ("fail", "failed"), ("overwrite", "done")])
    func `a name from the server that is taken goes by exists`(exists: String, folder: String) throws {
        let server = try ScriptedServer()
        server.routeAll { _ in
            ScriptedReply(headers: [("Content-Disposition", "attachment; filename=there")], body: "new".utf8)
        }
        let daemon = try RunningDaemon.start([
            "output": ["content_disposition": true, "exists": .text(exists)]
        ])
        try FileTree.write("old", to: "\(daemon.output)/there")
        let ended = try daemon.finish("l.txt", "\(server.url("x"))\n")
        #expect(ended.folder == folder, Comment(rawValue: daemon.account))
        #expect(daemon.published == ["there"])
        #expect(try FileTree.text("\(daemon.output)/there") == (exists == "overwrite" ? "new" : "old"))
    }
}

/// The control socket of the real daemon under a crowd.
@Suite struct ControlCrowdTests {
    @Test func `C2 hundreds of silent connections leave downloads alone and make room for status`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        let daemon = try RunningDaemon.start()
        var crowd: [Int32] = []
        defer { for socket in crowd { close(socket) } }
        for _ in 0..<300 {
            let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(daemon.socket.utf8)) }
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            #expect(status == 0)
            crowd.append(socket)
        }
        #expect(try daemon.finish("l.txt", "\(server.url("a"))\n").folder == "done")
        try eventually("status answers") { try daemon.dlctl("status").status == 0 }
    }
}
