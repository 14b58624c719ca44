// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

private let ok = "HTTP/1.1 200 OK\r\n"
private let etag: [(name: String, value: String)] = [("ETag", "\"v1\"")]

/// Bodies that break off, never end, or end in doubt: rows H1 to H10.
@Suite struct BodyFaultTests {
    @Test func `H1 a body shorter than its length is gone on with from where it broke`() async throws {
        try await FaultCase.play { _, server in
            let bytes = sample(1, 60_000)
            let file = ScriptedFile(bytes, etag: "\"v1\"")
            server.route("/f") { request in
                var reply = file.reply(to: request)
                if request.range == nil { reply.ending = .cut(after: 30_000) }
                return reply
            }
            return FaultCase(
                [.done(server.url("f"), bytes, attempts: 2...2, resumed: 1...30_000)], requests: 2...2,
                sent: 60_000...89_000
            ) { _ in
                server.requests.last?.header("if-range") == "\"v1\"" ? [] : ["no If-Range"]
            }
        }
    }

    @Test func `H2 a reset in the middle of a body, with and without a length, is tried again`() async throws
    {
        try await FaultCase.play { _, server in
            let bytes = sample(2, 60_000)
            for path in ["/length", "/none"] {
                var broken = ScriptedReply(body: bytes, ending: .reset(after: 30_000))
                if path == "/none" { broken.length = .none }
                server.route(path, broken, ScriptedReply(body: bytes))
            }
            return FaultCase(
                [
                    .done(server.url("length"), bytes, name: "a", attempts: 2...2),
                    .done(server.url("none"), bytes, name: "b", attempts: 2...2),
                ], requests: 4...4)
        }
    }

    @Test func `H3 chunks without their end are tried again, from zero without a strong ETag`() async throws {
        try await FaultCase.play { _, server in
            let bytes = sample(3, 60_000)
            for (path, fields) in [("/strong", etag), ("/weak", [("ETag", "W/\"v1\"")]), ("/bare", [])] {
                server.route(path) { request in
                    if request.range != nil {
                        return ScriptedFile(bytes, etag: "\"v1\"").reply(to: request)
                    }
                    var reply = ScriptedReply(headers: fields, body: bytes)
                    reply.length = .chunked(1000)
                    if server.count(path) == 1 { reply.ending = .cut(after: 40_000) }
                    return reply
                }
            }
            return FaultCase(
                [
                    .done(server.url("strong"), bytes, name: "a", attempts: 2...2),
                    .done(server.url("weak"), bytes, name: "b", attempts: 2...2, resumed: 0...0),
                    .done(server.url("bare"), bytes, name: "c", attempts: 2...2, resumed: 0...0),
                ], requests: 6...6
            ) { _ in
                let ranged = ["/weak", "/bare"].filter { path in
                    server.requests(path).contains { $0.header("range") != nil }
                }
                return ranged.map { "\($0) was asked for by range" }
            }
        }
    }

    @Test func `H4 a chunk size that is none or too large fails as protocol after few tries`() async throws {
        try await FaultCase.play { _, server in
            let chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
            server.route("/bad", .raw(chunked + "zz\r\nabc\r\n0\r\n\r\n"))
            server.route("/huge", .raw(chunked + "fffffffffffffffffffff\r\nabc\r\n0\r\n\r\n"))
            return FaultCase(
                [
                    .failed(server.url("bad"), "protocol", attempts: 1...3),
                    .failed(server.url("huge"), "protocol", attempts: 1...3),
                ], requests: 2...6)
        }
    }

    @Test func `H5 an end that nobody told is done with a flag, and under a digest proved or refused`()
        async throws
    {
        try await FaultCase.play { _, server in
            let bytes = Array("the whole of it".utf8)
            server.routeAll { request in
                var reply = ScriptedReply(
                    body: request.path == "/cut" ? Array(bytes.dropLast(4)) : bytes, ending: .close)
                reply.length = .none
                return reply
            }
            let sum = try sha256(bytes)
            return FaultCase([
                .done(server.url("a"), bytes, name: "a", flags: ["length_unverified"]),
                .done(server.url("b"), bytes, name: "b", options: ["checksum=sha-256=\(sum)"]),
                // Once more from zero before it fails.
                .failed(
                    server.url("cut"), "digest_mismatch", options: ["checksum=sha-256=\(sum)"],
                    attempts: 2...2),
            ])
        }
    }

    @Test func `H7 an empty reply is tried again, and fails when it stays`() async throws {
        try await FaultCase.play { _, server in
            server.route("/once", .raw(""), ScriptedReply(body: "here".utf8))
            server.route("/always", .raw(""))
            return FaultCase(
                [
                    .done(server.url("once"), "here".utf8, attempts: 1...2),
                    .failed(
                        server.url("always"), "truncated", "connect", "host_unavailable", attempts: 1...3),
                ], requests: 3...8)
        }
    }

    @Test func `H8 a body that stalls is tried again`() async throws {
        try await FaultCase.play { _, server in
            let bytes = sample(8, 20_000)
            server.route(
                "/f", ScriptedReply(body: bytes, ending: .stall(after: 9000)), ScriptedReply(body: bytes))
            return FaultCase(
                [.done(server.url("f"), bytes, options: ["timeout=1"], attempts: 2...2)], requests: 2...2)
        }
    }

    @Test func `H9 a trickle below the lowest speed is tried again`() async throws {
        try await FaultCase.play { _, server in
            var slow = ScriptedReply(body: sample(9, 2000))
            slow.pace = (1, .milliseconds(500))
            server.route("/f", slow, ScriptedReply(body: sample(9, 2000)))
            let options = ["timeout=2", "lowest-speed-limit=10"]
            return FaultCase(
                [.done(server.url("f"), sample(9, 2000), options: options, attempts: 2...2)],
                requests: 2...2)
        }
    }

    @Test func `H9 a trickle just above the lowest speed ends with the job's deadline, in head and body`()
        async throws
    {
        // The deadline is for the good neighbour too.
        let deadline = "\(4 * Patience.factor)s"
        try await FaultCase.play(on: { try FaultBench(["timeouts": ["job": .text(deadline)]]) }) {
            _, server in
            var body = ScriptedReply(body: sample(9, 2000))
            body.pace = (5, .milliseconds(100))
            var head = ScriptedReply.raw(ok + String(repeating: "X-A: b\r\n", count: 10_000))
            head.pace = (10, .milliseconds(100))
            server.route("/body", body)
            server.route("/head", head)
            return FaultCase([
                .failed(server.url("body"), "job_deadline"),
                .failed(server.url("head"), "job_deadline", attempts: 0...1),
            ])
        }
    }

    @Test func `H10 a server that accepts and never answers is tried again`() async throws {
        try await FaultCase.play { _, server in
            server.route("/f", .silence, ScriptedReply(body: "at last".utf8))
            return FaultCase(
                [.done(server.url("f"), "at last".utf8, options: ["timeout=1"], attempts: 2...2)],
                requests: 2...2)
        }
    }
}

/// The digest that a list gives, by the tool that users take.
func sha256(_ bytes: [UInt8]) throws -> String {
    let directory = try TempDirectory()
    let file = try directory.file("x", bytes)
    let run = try ProgramRun.run(try ProgramRun.find("sha256sum"), [file])
    return String(run.output.prefix(64))
}
