// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

private let ok = "HTTP/1.1 200 OK\r\n"

/// Heads that lie, swell or never end, and what they may say of a body: rows H11 to H14 and H39 to H47.
@Suite struct HeadFaultTests {
    @Test func `H11 a head that never ends is tried again`() async throws {
        try await FaultCase.play { _, server in
            let head = ok + "X-A: b\r\n"
            server.route(
                "/f", .raw(head, ending: .stall(after: head.utf8.count)), ScriptedReply(body: "x".utf8))
            return FaultCase(
                [.done(server.url("f"), "x".utf8, options: ["timeout=1"], attempts: 2...2)],
                requests: 2...2)
        }
    }

    @Test func `H12 one header of 110 KB is too large and no lack of memory`() async throws {
        try await FaultCase.play { _, server in
            let field = "X-Long: " + String(repeating: "a", count: 110_000) + "\r\n"
            server.route("/f", .raw(ok + field + "Content-Length: 1\r\n\r\nx"))
            return FaultCase([.failed(server.url("f"), "header_too_large")], requests: 1...1)
        }
    }

    @Test func `H13 more than 300 KB of headers are too large`() async throws {
        try await FaultCase.play { _, server in
            let fields = String(repeating: "X-A: " + String(repeating: "b", count: 990) + "\r\n", count: 400)
            server.route("/f", .raw(ok + fields + "Content-Length: 1\r\n\r\nx"))
            return FaultCase([.failed(server.url("f"), "header_too_large")], requests: 1...1)
        }
    }

    @Test func `H14 six thousand small headers are fine`() async throws {
        try await FaultCase.play { _, server in
            let fields = (0..<6000).map { "X-\($0): a\r\n" }.joined()
            server.route("/f", .raw(ok + fields + "Content-Length: 1\r\n\r\nx"))
            return FaultCase([.done(server.url("f"), "x".utf8)], requests: 1...1)
        }
    }

    @Test func `H39 what calls itself gzip is stored as it was sent`() async throws {
        try await FaultCase.play { _, server in
            let directory = try TempDirectory()
            let command = "head -c 20000000 /dev/zero | gzip -9 >bomb"
            _ = try ProgramRun.run(
                try ProgramRun.find("sh"), ["-c", command], directory: directory.path)
            let bomb = try FileTree.read(directory.sub("bomb"))
            server.route(
                "/f", ScriptedReply(headers: [("Content-Encoding", "gzip")], body: bomb))
            return FaultCase([.done(server.url("f"), bomb)], requests: 1...1, sent: 1...40_000) { _ in
                server.requests[0].header("accept-encoding").map { ["asked for \($0)"] } ?? []
            }
        }
    }

    @Test func `H40 a body above the limit is stopped while it comes, and by its length at once`()
        async throws
    {
        let limit = 4 << 20
        // One call of libcurl's write callback, and what it reads at once.
        let (block, buffer) = (16 << 10, 64 << 10)
        // What two connections hold underway: the kernel's largest buffers of both ends.
        let underway = try 2 * (Self.kernelBuffer("wmem") + Self.kernelBuffer("rmem"))
        try await FaultCase.play { _, server in
            var endless = ScriptedReply(body: bulk(40, limit + buffer + underway), ending: .close)
            // Handed over and counted piece by piece.
            endless.pace = (bytes: 64 << 10, every: .zero)
            let announced = endless
            endless.length = .none
            server.route("/endless", endless)
            server.route("/announced", announced)
            return FaultCase(
                [
                    .failed(server.url("endless"), "too_large"),
                    .failed(server.url("announced"), "too_large"),
                ], requests: 2...2, sent: limit...limit + buffer + underway
            ) { results in
                let fetched = results.map { $0.fetchedBytes ?? -1 }
                return (limit...limit + block).contains(fetched[0]) && fetched[1] == 0
                    ? [] : ["\(fetched) bytes were taken in"]
            }
        }
    }

    /// The largest that the kernel makes a TCP socket's buffer, in bytes: tcp(7).
    private static func kernelBuffer(_ name: String) throws -> Int {
        let fields = try FileTree.text("/proc/sys/net/ipv4/tcp_\(name)").split { $0 == "\t" || $0 == "\n" }
        guard fields.count == 3, let most = Int(fields[2]) else { throw KitError("tcp_\(name): \(fields)") }
        return most
    }

    @Test func `H41 a length that is none, negative or told twice differently fails as bad_length`()
        async throws
    {
        try await FaultCase.play { _, server in
            let lengths = ["18446744073709551616", "-1", "5\r\nContent-Length: 6", "5, 6", "0x5", "5 5"]
            for (number, length) in lengths.enumerated() {
                server.route("/\(number)", .raw(ok + "Content-Length: \(length)\r\n\r\nhello"))
            }
            server.route("/same", .raw(ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"))
            return FaultCase(
                lengths.indices.map { .failed(server.url("\($0)"), "bad_length") }
                    + [.done(server.url("same"), "hello".utf8)],
                requests: 7...7)
        }
    }

    @Test func `H42 chunks win over a length, and the connection is not used again`() async throws {
        try await FaultCase.play { _, server in
            let chunks = "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            server.routeAll { _ in .raw(ok + chunks, ending: .keepAlive) }
            return FaultCase(
                (0..<4).map { .done(server.url("\($0)"), "hello".utf8, name: "\($0)") }, requests: 4...4
            ) { _ in
                server.requests.contains { $0.ordinal > 1 } ? ["a connection was used again"] : []
            }
        }
    }

    @Test func `H43 a NUL in a header, HTTP 0.9 and HTTP 1.2 break the protocol`() async throws {
        try await FaultCase.play { _, server in
            server.route("/nul", .raw(ok + "X-A: a\0b\r\nContent-Length: 5\r\n\r\nhello"))
            server.route("/old", .raw("hello, here is your file\n"))
            server.route("/new", .raw("HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
            return FaultCase(
                ["nul", "old", "new"].map { .failed(server.url($0), "protocol", attempts: 1...3) },
                requests: 3...9)
        }
    }

    @Test func `H44 a thousand interim answers and a 103 come before the file and change nothing`()
        async throws
    {
        try await FaultCase.play { _, server in
            let many = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 1000)
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nContent-Length: 9\r\n\r\n"
            server.route("/many", .raw(many + ok + "Content-Length: 5\r\n\r\nhello"))
            server.route("/hints", .raw(hints + ok + "Content-Length: 5\r\n\r\nhello"))
            return FaultCase(
                [
                    .done(server.url("many"), "hello".utf8, name: "a"),
                    .done(server.url("hints"), "hello".utf8, name: "b"),
                ], requests: 2...2)
        }
    }

    @Test func `H45 what comes after the body is cut off with its connection`() async throws {
        try await FaultCase.play { _, server in
            let more = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
            server.routeAll { _ in .raw(ok + "Content-Length: 5\r\n\r\nhello" + more, ending: .keepAlive) }
            return FaultCase(
                (0..<4).map { .done(server.url("\($0)"), "hello".utf8, name: "\($0)", attempts: 1...2) },
                requests: 4...8)
        }
    }

    @Test func `H46 nothing is a file of no bytes, and a 304 that nobody asked for is a failure`()
        async throws
    {
        try await FaultCase.play { _, server in
            server.route("/204", ScriptedReply(204))
            server.route("/empty", ScriptedReply(200))
            server.route("/304", ScriptedReply(304))
            return FaultCase(
                [
                    .done(server.url("204"), [], name: "a"), .done(server.url("empty"), [], name: "b"),
                    .failed(server.url("304"), "http_304"),
                ], requests: 3...3)
        }
    }

    @Test func `H47 no other status yields a file`() async throws {
        try await FaultCase.play { _, server in
            let statuses = [201, 202, 203, 205, 206, 226, 299, 300, 305, 418, 600, 999]
            for status in statuses { server.route("/\(status)", ScriptedReply(status, body: "no".utf8)) }
            return FaultCase(
                statuses.map {
                    $0 == 206
                        ? .failed(server.url("\($0)"), "protocol", attempts: 1...3)
                        : .failed(server.url("\($0)"), "http_\($0)")
                }, requests: 12...14)
        }
    }
}
