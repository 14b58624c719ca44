// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import TestKit
import Testing

@testable import Transfer

/// Cuts the first answer short with RST, and answers ranges from `from` on as `range` says.
private func cutting(
    _ body: [UInt8], at cut: Int, etag: String = "\"v1\"",
    then answer: @escaping @Sendable (_ from: Int) -> [SocketServer.Step]
) -> SocketServer {
    SocketServer { request in
        guard let range = request.headers["range"] else {
            if request.index > 0 { return ok(body, "ETag: \(etag)\r\n") }
            let head = "HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\nETag: \(etag)\r\n\r\n"
            return [.send(head), .sendBytes(Array(body[..<cut])), .close]
        }
        return answer(Int(range.dropFirst(6).dropLast()) ?? -1)
    }
}

private func partial(_ body: [UInt8], _ from: Int, etag: String = "\"v1\"") -> [SocketServer.Step] {
    let range = "Content-Range: bytes \(from)-\(body.count - 1)/\(body.count)\r\nETag: \(etag)\r\n"
    let head = "HTTP/1.1 206 Partial\r\nContent-Length: \(body.count - from)\r\n\(range)\r\n"
    return [.send(head), .sendBytes(Array(body[from...]))]
}

@Suite struct ResumeTests {
    @Test func `a cut body is gone on with, and only the rest is fetched`() throws {
        let body = pattern(700_000)
        let server = cutting(body, at: 500_000) { partial(body, $0) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let first = try bench.run(server.url("/a"))
        #expect(first.result.failure?.error.code == .truncated)
        let point = try #require(first.result.failure?.resume)
        #expect(point.bytes == 500_000)
        #expect(point.total == 700_000)
        let second = try bench.run(server.url("/a")) { $0.resume = point }
        #expect(second.result.part?.size == 700_000)
        #expect(second.result.part?.inode == point.inode)
        #expect(second.fetchedBytes == 200_000)
        #expect(second.resumedBytes == 500_000)
        #expect(server.requests[1].headers["range"] == "bytes=500000-")
        #expect(server.requests[1].headers["if-range"] == "\"v1\"")
        #expect(bench.content() == body)
    }

    @Test func `a weak ETag keeps nothing`() throws {
        let server = cutting(pattern(1000), at: 500, etag: "W/\"v1\"") { _ in [] }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run(server.url("/a"))
        #expect(report.result.failure?.error.code == .truncated)
        #expect(report.result.failure?.resume == nil)
        #expect(bench.names(in: bench.parts) == [])
    }

    @Test func `a 200 to a range replaces the part, never mixes`() throws {
        let old = pattern(700_000)
        let new = pattern(600_000, seed: 2)
        let server = cutting(old, at: 500_000) { _ in ok(new, "ETag: \"v2\"\r\n") }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try bench.run(server.url("/a")).result.failure?.resume
        let second = try bench.run(server.url("/a")) { $0.resume = point }
        #expect(second.result.part?.size == 600_000)
        #expect(second.resumedBytes == 0)
        #expect(bench.content() == new)
    }

    @Test(arguments: ["another ETag", "another start", "no range field", "416", "an empty 206 head"])
    func `a ranged answer in doubt is fetched from zero in the same transfer`(kind: String) throws {
        let body = pattern(300_000)
        let server = cutting(body, at: 200_000) { from in
            switch kind {
            case "another ETag": partial(body, from, etag: "\"v2\"")
            case "another start": partial(body, from - 1)
            case "no range field": [.send("HTTP/1.1 206 P\r\nETag: \"v1\"\r\nContent-Length: 3\r\n\r\nabc")]
            case "416": [.send("HTTP/1.1 416 No\r\nContent-Range: bytes */9\r\nContent-Length: 2\r\n\r\nno")]
            default: [.send("HTTP/1.1 206 P\r\n\r\n"), .close]
            }
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try bench.run(server.url("/a")).result.failure?.resume
        let second = try bench.run(server.url("/a")) { $0.resume = point }
        #expect(second.result.part?.size == 300_000, "\(second.result)")
        #expect(second.resumedBytes == 0)
        #expect(bench.content() == body)
        #expect(server.requests.map { $0.headers["range"] != nil } == [false, true, false])
    }

    @Test func `a server that gives ranges in pieces is asked for the rest`() throws {
        let body = pattern(300_000)
        let server = cutting(body, at: 100_000) { from in
            let end = min(from + 90_000, body.count)
            let range = "Content-Range: bytes \(from)-\(end - 1)/\(body.count)\r\nETag: \"v1\"\r\n"
            return [
                .send("HTTP/1.1 206 P\r\nContent-Length: \(end - from)\r\n\(range)\r\n"),
                .sendBytes(Array(body[from..<end])),
            ]
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try bench.run(server.url("/a")).result.failure?.resume
        let second = try bench.run(server.url("/a")) { $0.resume = point }
        #expect(second.result.part?.size == 300_000)
        #expect(second.fetchedBytes == 200_000)
        #expect(second.resumedBytes == 100_000)
        #expect(bench.content() == body)
        #expect(server.requests.count == 4)
    }

    @Test func `a refused connection leaves the part and its point as they were`() throws {
        let body = pattern(300_000)
        let server = cutting(body, at: 200_000) { _ in
            [.send("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")]
        }
        let url = server.url("/a")
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try bench.run(url).result.failure?.resume
        let busy = try bench.run(url) { $0.resume = point }.result.failure
        #expect(busy?.resume == point)
        #expect(busy?.retryAfter == .seconds(7))
        server.stop()
        let refused = try bench.run(url) { $0.resume = point }.result.failure
        #expect(refused?.resume == point)
        #expect(refused?.isConnectFailure == true)
        #expect(bench.content()?.count == 200_000)
    }

    @Test func `a part that is another file is not gone on with`() throws {
        let body = pattern(300_000)
        let server = cutting(body, at: 200_000) { partial(body, $0) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try bench.run(server.url("/a")).result.failure?.resume
        link(bench.parts + "/" + (point?.part ?? ""), bench.output + "/other-name")
        let second = try bench.run(server.url("/a")) { $0.resume = point }
        #expect(second.result.part?.size == 300_000)
        #expect(second.result.part?.inode != point?.inode)
        #expect(server.requests[1].headers["range"] == nil)
        #expect(bench.content() == body)
    }

    @Test func `bytes beyond the resume point are cut off`() throws {
        let body = pattern(300_000)
        let server = cutting(body, at: 200_000) { partial(body, $0) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        var point = try #require(try bench.run(server.url("/a")).result.failure?.resume)
        let fd = open(bench.parts + "/" + point.part, O_WRONLY | O_APPEND)
        write(fd, pattern(500_000, seed: 9), 500_000)
        Glibc.close(fd)
        point.bytes = 150_000
        #expect(try bench.run(server.url("/a")) { $0.resume = point }.result.part?.size == 300_000)
        #expect(bench.content() == body)
    }

    @Test(arguments: [true, false])
    func `a cancelled transfer keeps its part when told to`(keeps: Bool) throws {
        let body = pattern(300_000)
        let gate = Gate()
        let server = SocketServer { _ in
            [
                .send("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\nETag: \"v1\"\r\n\r\n"),
                .sendBytes(Array(body[..<200_000])), .wait(gate), .close,
            ]
        }
        defer {
            gate.open()
            server.stop()
        }
        let bench = WorkerBench()
        defer { bench.close() }
        let order = try bench.order(server.url("/a"))
        bench.send(.start(order))
        bench.wait { events in
            for case .progress(_, let moved) in events where moved.contains(where: { $0.bytes == 200_000 }) {
                return true
            }
            return nil
        }
        bench.send(.cancel(token: order.token, keepsPart: keeps))
        guard case .cancelled(let point) = bench.report(order.token).result else {
            return #expect(Bool(false))
        }
        #expect(point?.bytes == (keeps ? 200_000 : nil))
        #expect(bench.content() == (keeps ? Array(body[..<200_000]) : nil))
        // Late: it has ended, and nobody minds.
        bench.send(.cancel(token: order.token, keepsPart: keeps))
    }
}
