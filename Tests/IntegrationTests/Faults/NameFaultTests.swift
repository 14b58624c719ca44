// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// What servers and URLs make of names: rows H48 to H51, H64 and H65.
@Suite struct NameFaultTests {
    @Test func `H48 Content-Disposition names nothing`() async throws {
        try await FaultCase.play { _, server in
            let values = [
                "attachment; filename=\"../../x\"", "attachment; filename=/etc/x",
                "attachment; filename=a\\b",
                "attachment; filename=.bashrc", "attachment; filename=..", "attachment; filename=",
                "attachment; filename=%2e%2e%2f", "attachment; filename*=UTF-8''..%2Fx",
            ]
            for (number, value) in values.enumerated() {
                server.route(
                    "/f\(number)",
                    ScriptedReply(headers: [("Content-Disposition", value)], body: "\(number)".utf8))
            }
            return FaultCase(
                values.indices.map { .done(server.url("f\($0)"), "\($0)".utf8, name: nil) },
                requests: 8...8
            ) { results in
                let names = results.compactMap { $0.path?.split(separator: "/").last.map(String.init) }
                return names == values.indices.map { "f\($0)" } ? [] : ["names \(names)"]
            }
        }
    }

    @Test func `H49 long names are shortened, bytes that are no text encoded, equal letters kept apart`()
        async throws
    {
        try await FaultCase.play { _, server in
            server.routeAll { ScriptedReply(body: $0.target.utf8) }
            let long = String(repeating: "n", count: 300)
            // The last two are one letter for a Swift String and two names for the kernel.
            let paths = [
                long + "1.iso", long + "2.iso", String(repeating: "p", count: 4000), "bad%FF%FEname",
                "caf%C3%A9",
                "cafe%CC%81",
            ]
            return FaultCase(
                paths.map { .done(server.url($0), "/\($0)".utf8, name: nil) }, requests: 6...6)
        }
    }

    @Test func `H50 a URL without a last segment, or with a slash or NUL in it, has a name all the same`()
        async throws
    {
        try await FaultCase.play { _, server in
            server.routeAll { _ in ScriptedReply(body: "x".utf8) }
            let paths = [
                "", "d/", "?only=query", "a%2Fb", "a%00b", "%2e%2e", "%2e%2e%2f%2e%2e%2fx", "..%5Cx",
            ]
            return FaultCase(
                paths.map { .done(server.url($0), "x".utf8, name: nil) }, requests: 8...8)
        }
    }

    @Test func `H51 two jobs of one name write two files, also by other spellings of the path`() async throws
    {
        try await FaultCase.play { _, server in
            server.routeAll { ScriptedReply(body: $0.target.utf8) }
            func job(_ path: String, _ out: String, _ options: String...) -> FaultJob {
                var job = FaultJob.done(server.url(path), "/\(path)".utf8, name: nil)
                job.options = ["out=\(out)"] + options
                return job
            }
            var refused = job("5", "x.bin", "exists=fail")
            refused.ending = .failed(["exists", "name_taken"])
            refused.attempts = 0...1
            return FaultCase(
                [job("1", "x.bin"), job("2", "x.bin"), job("3", ".//x.bin"), job("4", "X.bin"), refused]
            ) { results in
                let names = Set(results.compactMap { $0.path?.split(separator: "/").last.map(String.init) })
                return names.isSuperset(of: ["x.bin", "x.1.bin", "x.2.bin", "X.bin"]) ? [] : ["\(names)"]
            }
        }
    }

    @Test func `H64 cookies that a server sets are sent to nobody`() async throws {
        try await FaultCase.play { _, server in
            let set = ["id=1", "id=2; Domain=example.org", "id=3; Domain=org", "id=4; Path=/"]
            let fields = set.map { (name: "Set-Cookie", value: $0) }
            server.routeAll { _ in ScriptedReply(headers: fields, body: "x".utf8) }
            server.route("/hop", ScriptedReply(302, headers: fields + [("Location", "/target")]))
            return FaultCase(
                ["a", "b", "hop", "c"].map { .done(server.url($0), "x".utf8, name: $0) }, requests: 5...5
            ) { _ in
                server.requests.filter { $0.header("cookie") != nil }.map { "a cookie went to \($0.target)" }
            }
        }
    }

    @Test func `H65 escape codes of a server reach no log, no status and no result`() async throws {
        try await FaultCase.play { bench, server in
            let evil = "\u{1B}]0;owned\u{07}\u{1B}[31m"
            server.route("/reason", .raw("HTTP/1.1 404 \(evil)\r\nContent-Length: 0\r\n\r\n"))
            server.route(
                "/fields",
                .raw(
                    "HTTP/1.1 200 OK\r\nETag: \"\(evil)\"\r\nContent-Type: \(evil)\r\nContent-Length: 1\r\n\r\nx"
                ))
            server.route("/location", .raw("HTTP/1.1 302 \(evil)\r\nLocation: gopher://\(evil)\r\n\r\n"))
            server.route("/length", .raw("HTTP/1.1 200 OK\r\nContent-Length: \(evil)\r\n\r\n"))
            let daemon = bench.daemon
            return FaultCase([
                .failed(server.url("reason"), "http_404", "protocol", attempts: 1...3),
                .done(server.url("fields"), "x".utf8),
                .failed(server.url("location"), "bad_url", "redirect_scheme", "protocol", attempts: 1...3),
                .failed(server.url("length"), "bad_length", "protocol", attempts: 1...3),
            ]) { results in
                let list = results[0].list
                var texts = [
                    ("log", try daemon.process().transcript), ("jobs log", try FileTree.text(daemon.jobsLog)),
                ]
                for target in ["/v1/status", "/v1/jobs?list=\(list)", "/metrics"] {
                    texts.append((target, try UnixHTTP.get(daemon.socket, target).body))
                }
                for verb in [["status"], ["jobs", "--list", "\(list)"]] {
                    texts.append(
                        (verb[0], try ProgramRun.run("dlctl", verb + ["--socket", daemon.socket]).output))
                }
                return texts.filter { $0.1.utf8.contains(0x1B) || $0.1.utf8.contains(0x07) }.map {
                    "escape codes in the \($0.0)"
                }
            }
        }
    }
}
