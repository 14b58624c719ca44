// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

private func redirect(_ location: String) -> ScriptedReply {
    ScriptedReply(302, headers: [("Location", location)])
}

/// Redirects that loop, lead elsewhere or carry what they should not: rows H15 to H23.
@Suite struct RedirectFaultTests {
    @Test func `H15 a loop of redirects ends at the limit, once`() async throws {
        try await FaultCase.play { _, server in
            server.route("/a", redirect("/b"))
            server.route("/b", redirect("/a"))
            return FaultCase([.failed(server.url("a"), "redirect_limit")], requests: 11...11)
        }
    }

    @Test func `H16 a redirect to a scheme that is no download fails at once`() async throws {
        try await FaultCase.play { _, server in
            let targets = [
                "file:///etc/passwd", "gopher://127.0.0.1:70/1x", "dict://127.0.0.1/d:x",
                "scp://127.0.0.1/etc/passwd", "javascript:alert(1)", "FILE:/etc/passwd",
            ]
            for (number, target) in targets.enumerated() { server.route("/\(number)", redirect(target)) }
            return FaultCase(
                targets.indices.map { .failed(server.url("\($0)"), "redirect_scheme", "bad_url") },
                requests: 6...6)
        }
    }

    @Test func `H17 a redirect to ftp is not followed unless ftp is allowed`() async throws {
        try await FaultCase.play { _, server in
            let ftp = try ScriptedServer()
            server.route("/f", redirect("ftp://127.0.0.1:\(ftp.port)/file"))
            return FaultCase([.failed(server.url("f"), "redirect_scheme")], requests: 1...1) { _ in
                ftp.connectionCount == 0 ? [] : ["the FTP port was connected to"]
            }
        }
    }

    @Test func `H18 a redirect from https down to http is not followed`() async throws {
        try await FaultCase.play { bench, server in
            let secure = try FaultServer([
                .init(.tls, .redirect, location: server.url("f"), certificate: bench.certificate)
            ])
            return FaultCase([.failed(secure.url("f"), "redirect_scheme")], requests: 0...0) { _ in
                secure.count("request") == 1 ? [] : ["\(secure.count("request")) requests"]
            }
        }
    }

    @Test func `H20 nothing that was meant for one origin goes to the next`() async throws {
        try await FaultCase.play { _, server in
            let other = try ScriptedServer()
            other.routeAll { _ in ScriptedReply(body: "there".utf8) }
            server.route("/f", redirect(other.url("landed")))
            let secrets = [
                "header=Authorization: Bearer one", "header=Cookie: id=1", "header=X-Token: two",
                "referer=http://intranet.example/", "http-user=joe", "http-passwd=pw",
            ]
            return FaultCase(
                [.done(server.url("f"), "there".utf8, options: secrets)], requests: 1...1
            ) { _ in
                let names = ["authorization", "cookie", "x-token"]
                let first = names.filter { server.requests[0].header($0) == nil }.map {
                    "first without \($0)"
                }
                return first + names.filter { other.requests[0].header($0) != nil }.map { "leaked \($0)" }
            }
        }
    }

    @Test func `H21 a user and password in a Location are dropped`() async throws {
        try await FaultCase.play { _, server in
            server.route("/f", redirect("http://joe:secret@127.0.0.1:\(server.port)/g"))
            server.route("/g", ScriptedReply(body: "here".utf8))
            return FaultCase([.done(server.url("f"), "here".utf8)], requests: 2...2) { results in
                let isSent = server.requests("/g").first?.header("authorization") != nil
                let isShown = results[0].finalUrl?.contains("secret") ?? false
                return (isSent ? ["sent as Authorization"] : []) + (isShown ? ["shown"] : [])
            }
        }
    }

    @Test func `H22 a Location is read anew as a URL, and what is none fails`() async throws {
        try await FaultCase.play { _, server in
            server.routeAll { _ in ScriptedReply(body: "here".utf8) }
            server.route("/space", redirect("/a b"))
            server.route("/utf8", redirect("/é"))
            server.route("/nul", .raw("HTTP/1.1 302 Found\r\nLocation: /a\0b\r\nContent-Length: 0\r\n\r\n"))
            server.route("/slashes", redirect("////x"))
            server.route("/port", redirect("http://127.0.0.1:99999/x"))
            server.route("/bracket", redirect("http://[::1/x"))
            server.route("/empty", redirect(""))
            let codes = Set(["bad_url", "protocol", "http_302", "redirect_scheme"])
            return FaultCase(
                [
                    .done(server.url("space"), "here".utf8, name: "a"),
                    .done(server.url("utf8"), "here".utf8, name: "b"),
                ]
                    + ["nul", "slashes", "port", "bracket", "empty"].map {
                        FaultJob(
                            url: server.url($0), name: "c", ending: .failed(codes), attempts: 1...3)
                    }, requests: 9...20
            ) { _ in
                let landed = Set(server.requests.map(\.target))
                return landed.isSuperset(of: ["/a%20b", "/%C3%A9"]) ? [] : ["\(landed)"]
            }
        }
    }

    @Test func `H23 two Locations that differ fail, two that agree lead on`() async throws {
        try await FaultCase.play { _, server in
            let fields = { (a: String, b: String) in [("Location", a), ("Location", b)] }
            server.route("/differ", ScriptedReply(302, headers: fields("/a", "/b")))
            server.route("/agree", ScriptedReply(302, headers: fields("/a", "/a")))
            server.route("/a", ScriptedReply(body: "a".utf8))
            server.route("/b", ScriptedReply(body: "b".utf8))
            return FaultCase([
                .failed(server.url("differ"), "protocol", attempts: 1...3),
                .done(server.url("agree"), "a".utf8),
            ]) { _ in server.count("/b") + server.count("/a") == 1 ? [] : ["followed"] }
        }
    }
}
