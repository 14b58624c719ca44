// SPDX-License-Identifier: Apache-2.0

import JobModel
import TestKit
import Testing

@testable import Transfer

private let old = pattern(900_000, seed: 1)
private let new = pattern(900_000, seed: 2)

/// Honest about one version, cut after so many bytes of the body; nil: whole.
private func answer(
    _ body: [UInt8], _ etag: String, _ request: SocketServer.Request, cut: Int? = nil
)
    -> [SocketServer.Step]
{
    let from = request.headers["range"].flatMap { Int($0.dropFirst(6).dropLast()) }
    let isSame = request.headers["if-range"] == etag
    guard let from, isSame else {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\nETag: \(etag)\r\n\r\n"
        return [.send(head), .sendBytes(Array(body[..<(cut ?? body.count)]))] + (cut == nil ? [] : [.close])
    }
    let range = "Content-Range: bytes \(from)-\(body.count - 1)/\(body.count)\r\nETag: \(etag)\r\n"
    let head = "HTTP/1.1 206 P\r\nContent-Length: \(body.count - from)\r\n\(range)\r\n"
    return [.send(head), .sendBytes(Array(body[from...]))]
}

/// A transfer under way: its server stands still in the middle of the first answer until the gate opens.
private final class HalfWay {
    let gate = Gate()
    let server: SocketServer
    let bench: WorkerBench
    let order: TransferOrder

    init(_ etag: String, after count: Int, checkpointBytes: Int64) throws {
        server = SocketServer { [gate] request in
            if request.index > 0 { return answer(old, etag, request) }
            return answer(old, etag, request, cut: count).dropLast() + [.wait(gate), .close]
        }
        bench = WorkerBench(checkpointBytes: checkpointBytes)
        order = try bench.order(server.url("/a"))
        bench.send(.start(order))
    }

    func close() {
        bench.close()
        gate.open()
        server.stop()
    }
}

/// Two backends with two versions of a file, and a daemon that is killed: what stays of an attempt is the part
/// and the resume point that the ledger had by then.
@Suite struct VersionTests {
    @Test func `a server that flips between two versions never gets them mixed, whenever the kill comes`()
        throws
    {
        // Version 1 is cut; then version 2 is cut after more bytes; then version 1 is back and honours its ETag.
        let server = SocketServer { request in
            switch request.index {
            case 0: answer(old, "\"v1\"", request, cut: 400_000)
            case 1: answer(new, "\"v2\"", request, cut: 600_000)
            default: answer(old, "\"v1\"", request)
            }
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let committed = try #require(try bench.run(server.url("/a")).result.failure?.resume)
        // The second attempt's own point is lost with the kill: the ledger still has the first one's.
        _ = try bench.run(server.url("/a")) { $0.resume = committed }
        let third = try bench.run(server.url("/a")) { $0.resume = committed }
        #expect(third.result.part?.size == 900_000)
        #expect(bench.content(third.result.part?.name) == old)
        // The first version's part was gone, so nothing was asked to go on from.
        #expect(server.requests[2].headers["range"] == nil)
        #expect(third.resumedBytes == 0)
    }

    @Test func `the part of another version has another name even where the inode number comes back`() throws
    {
        let server = SocketServer { request in
            request.index == 0
                ? answer(old, "\"v1\"", request, cut: 400_000) : answer(new, "\"v2\"", request, cut: 600_000)
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let first = try #require(try bench.run(server.url("/a")).result.failure?.resume)
        let second = try #require(
            try bench.run(server.url("/a")) { $0.resume = first }.result.failure?.resume)
        #expect(first.part != second.part)
        #expect(bench.names(in: bench.parts) == [second.part])
    }

    @Test func `a checkpoint is reported while the transfer runs, and can be gone on from`() throws {
        let halfWay = try HalfWay("\"v1\"", after: 500_000, checkpointBytes: 400_000)
        defer { halfWay.close() }
        let (bench, server, order) = (halfWay.bench, halfWay.server, halfWay.order)
        let reached: Checkpoint = bench.wait { events in
            for case .checkpoint(_, let items) in events {
                if let item = items.first(where: { $0.token == order.token }) { return item.checkpoint }
            }
            return nil
        }
        #expect(reached.resume.bytes >= 400_000)
        #expect(reached.fetchedBytes >= reached.resume.bytes)
        #expect(bench.content()?.count ?? 0 >= reached.resume.bytes)
        // The daemon is gone; the next one knows the checkpoint and nothing else.
        bench.send(.cancel(token: order.token, keepsPart: true))
        _ = bench.report(order.token)
        let second = try bench.run(server.url("/a")) { $0.resume = reached.resume }
        #expect(second.resumedBytes == reached.resume.bytes)
        #expect(second.fetchedBytes == 900_000 - reached.resume.bytes)
        #expect(bench.content() == old)
        #expect(second.result.part?.point?.isWhole == true)
    }

    @Test func `a small file pays no checkpoint`() throws {
        let server = SocketServer { answer(old, "\"v1\"", $0) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run(server.url("/a"))
        #expect(report.result.part?.point == nil)
        let hasCheckpoint = bench.events.contains { if case .checkpoint = $0 { true } else { false } }
        #expect(!hasCheckpoint)
    }

    @Test func `without a strong validator there is no checkpoint`() throws {
        let halfWay = try HalfWay("W/\"v1\"", after: 600_000, checkpointBytes: 65_536)
        defer { halfWay.close() }
        let (bench, order) = (halfWay.bench, halfWay.order)
        bench.wait { events in
            for case .progress(_, let moved) in events where moved.contains(where: { $0.bytes >= 600_000 }) {
                return true
            }
            return nil
        }
        halfWay.gate.open()
        #expect(bench.report(order.token).result.failure?.resume == nil)
        let hasCheckpoint = bench.events.contains { if case .checkpoint = $0 { true } else { false } }
        #expect(!hasCheckpoint)
    }

    @Test(arguments: ["400 Bad Request", "412 Precondition Failed", "501 Not Implemented"])
    func `a server that dislikes a range is asked for the whole file in the same attempt`(
        status: String
    ) throws {
        let server = SocketServer { request in
            if request.headers["range"] != nil {
                return [.send("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n")]
            }
            return answer(old, "\"v1\"", request, cut: request.index == 0 ? 400_000 : nil)
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try bench.run(server.url("/a")).result.failure?.resume
        let second = try bench.run(server.url("/a")) { $0.resume = point }
        #expect(second.result.part?.size == 900_000, "\(second.result)")
        #expect(second.ranges == .ignores)
        #expect(bench.content() == old)
    }

    @Test func `a host that lied is told, and no range is asked where none is to be`() throws {
        let server = SocketServer { request in
            if request.headers["range"] != nil {
                return [.send("HTTP/1.1 206 P\r\nContent-Length: 3\r\nETag: \"v1\"\r\n\r\nabc")]
            }
            return answer(old, "\"v1\"", request, cut: request.index == 0 ? 400_000 : nil)
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try bench.run(server.url("/a")).result.failure?.resume
        let second = try bench.run(server.url("/a")) { $0.resume = point }
        #expect(second.ranges == .lies)
        #expect(bench.content() == old)
        let asked = server.requests.count { $0.headers["range"] != nil }
        let third = try bench.run(server.url("/a")) {
            $0.resume = point
            $0.asksRanges = false
        }
        #expect(third.result.part?.size == 900_000)
        #expect(server.requests.count { $0.headers["range"] != nil } == asked)
    }

    @Test func `trouble on the way to where the bytes came from does not cost them`() throws {
        let server = SocketServer { request in
            switch request.path {
            case "/start": [.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")]
            default: answer(old, "\"v1\"", request, cut: request.index == 0 ? 400_000 : nil)
            }
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try #require(try bench.run(server.url("/file?sig=1")).result.failure?.resume)
        // The next attempt begins at the job's own URL, which is not the one that the bytes came from.
        let busy = try bench.run(server.url("/start")) { $0.resume = point }
        #expect(busy.result.failure?.resume == point)
        // A signature of its own each time: the same path, ETag and length.
        let third = try bench.run(server.url("/file?sig=2")) { $0.resume = point }
        #expect(third.resumedBytes == 400_000)
        #expect(bench.content() == old)
    }

    @Test func `another path that bears the same ETag is fetched from zero`() throws {
        let server = SocketServer { request in
            request.path == "/one"
                ? answer(old, "\"v1\"", request, cut: 400_000) : answer(new, "\"v1\"", request)
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try bench.run(server.url("/one")).result.failure?.resume
        let second = try bench.run(server.url("/two")) { $0.resume = point }
        #expect(second.resumedBytes == 0)
        #expect(bench.content() == new)
    }

    @Test func `a part that was whole is confirmed by a 416 and not fetched again`() throws {
        let server = SocketServer { request in
            if request.index == 0 { return answer(old, "\"v1\"", request) }
            return [
                .send("HTTP/1.1 416 No\r\nContent-Range: bytes */900000\r\nContent-Length: 0\r\n\r\n")
            ]
        }
        defer { server.stop() }
        let bench = WorkerBench(checkpointBytes: 65_536)
        defer { bench.close() }
        let point = try #require(try bench.run(server.url("/a")).result.part?.point)
        let second = try bench.run(server.url("/a")) { $0.resume = point }
        #expect(second.result.part?.inode == point.inode)
        #expect(second.fetchedBytes == 0)
        #expect(second.resumedBytes == 900_000)
        #expect(server.requests[1].headers["range"] == "bytes=900000-")
        #expect(bench.content() == old)
    }
}
