// SPDX-License-Identifier: Apache-2.0

import JobModel
import TestKit
import Testing

@testable import Transfer

extension WorkerBench {
    private enum Step: Sendable {
        case grant(Int)
        case ended(TransferReport)
    }

    /// Runs an order, and gives it every connection that it wants.
    func runDivided(_ order: TransferOrder, atMost limit: Int = .max) -> TransferReport {
        send(.start(order))
        var sent = 0
        while true {
            let (token, before) = (order.token, sent)
            let step: Step = wait { events in
                var (wanted, over) = (0, 0)
                for event in events {
                    switch event {
                    case .segmentsWanted(_, token, let wish): wanted = min(wish.count, limit)
                    case .segmentOver(let report) where report.token == token: over += 1
                    case .finished(let report) where report.token == token: return .ended(report)
                    default: break
                    }
                }
                let free = wanted - (before - over)
                return free > 0 ? .grant(free) : nil
            }
            switch step {
            case .ended(let report): return report
            case .grant(let count):
                sent += count
                for _ in 0..<count { send(.openSegment(token: order.token)) }
            }
        }
    }

    func dividedOrder(
        _ url: String, most: Int = 4, _ change: (inout TransferOrder) -> Void = { _ in }
    ) throws -> TransferOrder {
        try order(url) {
            $0.segments = SegmentRules(most: most, isAsked: true)
            change(&$0)
        }
    }
}

/// A file of 8 MiB at about 6 MB/s a connection, and what a test makes of its answers.
private struct DividedServer {
    static let body = pattern(8 << 20)
    let server: ScriptedServer

    init(
        etag: String? = "\"v1\"", takesRanges: Bool = true,
        _ change: @escaping @Sendable (ScriptedRequest, inout ScriptedReply) -> Void = { _, _ in }
    ) throws {
        server = try ScriptedServer()
        var file = ScriptedFile(Self.body, etag: etag)
        file.takesRanges = takesRanges
        let honest = file
        server.route("/a") { request in
            var reply = honest.reply(to: request)
            reply.pace = (bytes: 64 * 1024, every: .milliseconds(10))
            change(request, &reply)
            return reply
        }
    }

    var url: String { server.url("/a") }
    /// `first-last` of each request, "" for the whole.
    var asked: [String] {
        server.requests("/a").map { request in
            request.range.map { "\($0.first)-\($0.last.map(String.init) ?? "")" } ?? ""
        }
    }
    /// Where the third of four segments begins.
    static let third = 4 << 20
}

@Suite struct SegmentTests {
    @Test func `four connections bring a quarter each, and all of it is checked as one range is`() throws {
        let host = try DividedServer()
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = bench.runDivided(try bench.dividedOrder(host.url))
        let part = try #require(report.result.part)
        #expect(part.size == 8 << 20 && part.isLengthVerified)
        #expect(bench.content() == DividedServer.body)
        #expect(
            Set(host.asked.prefix(4)) == ["", "2097152-4194303", "4194304-6291455", "6291456-8388607"])
        let segments = host.server.requests("/a").dropFirst()
        #expect(segments.allSatisfy { $0.header("if-range") == "\"v1\"" })
        #expect(Set(host.server.requests("/a").prefix(4).map(\.connection)).count == 4)
        #expect(report.newConnections >= 4)
        #expect(report.response.httpStatus == 200)
        // What was cut off beyond the first's end is all that came twice.
        #expect(report.fetchedBytes >= 8 << 20 && report.fetchedBytes < 9 << 20)
        #expect(report.timings.transfer > 0)
    }

    @Test(arguments: ["no Accept-Ranges", "a weak ETag", "a small file", "a host that lied"])
    func `without what makes it safe, or worth it, there is one connection`(kind: String) throws {
        let host = try DividedServer(
            etag: kind == "a weak ETag" ? "W/\"v1\"" : "\"v1\"", takesRanges: kind != "no Accept-Ranges")
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let order = try bench.dividedOrder(host.url) {
            if kind == "a small file" { $0.segments.leastSize = 5 << 20 }
            if kind == "a host that lied" { $0.asksRanges = false }
        }
        #expect(bench.runDivided(order).result.part?.size == 8 << 20)
        #expect(host.asked == [""])
        let wants = bench.events.contains { if case .segmentsWanted = $0 { true } else { false } }
        #expect(!wants)
    }

    @Test(arguments: ["another start", "more than asked", "another ETag", "another length", "no range field"])
    func `a lie to the third segment starts the file clean, once, on one connection`(kind: String) throws {
        let third = DividedServer.third
        let host = try DividedServer { request, reply in
            guard request.range?.first == third else { return }
            let (last, total) = (third + reply.body.count - 1, DividedServer.body.count)
            var field = "bytes \(third)-\(last)/\(total)"
            switch kind {
            case "another start": field = "bytes \(third - 1)-\(last - 1)/\(total)"
            case "more than asked": field = "bytes \(third)-\(last + 1)/\(total)"
            case "another length": field = "bytes \(third)-\(last)/\(total + 1)"
            default: break
            }
            reply.headers.removeAll { $0.name == "Content-Range" || $0.name == "ETag" }
            if kind != "no range field" { reply.headers.append(("Content-Range", field)) }
            reply.headers.append(("ETag", kind == "another ETag" ? "\"v2\"" : "\"v1\""))
        }
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = bench.runDivided(try bench.dividedOrder(host.url))
        let part = try #require(report.result.part)
        #expect(report.ranges == .lies)
        #expect(bench.content() == DividedServer.body)
        // A stored resume point of the first part must find no such file.
        #expect(part.name == PartName(of: WorkerBench.job, after: "\(WorkerBench.job).part").description)
        #expect(host.asked.count { $0 == "" } == 2)
        #expect(report.resumedBytes == 0)
    }

    @Test func `a file that changes under its segments is fetched clean`() throws {
        let new = pattern(7 << 20, seed: 5)
        let host = try DividedServer { request, reply in
            guard request.number > 2 else { return }
            reply = ScriptedFile(new, etag: "\"v2\"").reply(to: request)
        }
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = bench.runDivided(try bench.dividedOrder(host.url))
        #expect(report.result.part?.size == 7 << 20)
        #expect(report.ranges == .fair)
        #expect(bench.content() == new)
    }

    @Test
    func `a server that answers ranges with all of it is asked for no more, and the first brings the file`()
        throws
    {
        let host = try DividedServer { request, reply in
            guard request.range != nil else { return }
            reply = ScriptedFile(DividedServer.body, etag: "\"v1\"").reply(to: ScriptedRequest.plain)
        }
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = bench.runDivided(try bench.dividedOrder(host.url))
        #expect(report.result.part?.size == 8 << 20)
        #expect(report.ranges == .ignores)
        #expect(bench.content() == DividedServer.body)
        #expect(host.asked.count { $0 == "" } == 1)
    }

    @Test func `a segment that is cut is asked for again from where it was, and costs the others nothing`()
        throws
    {
        let third = DividedServer.third
        let host = try DividedServer { request, reply in
            if request.range?.first == third { reply.ending = .reset(after: 1 << 20) }
        }
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = bench.runDivided(try bench.dividedOrder(host.url))
        #expect(report.result.part?.size == 8 << 20)
        #expect(bench.content() == DividedServer.body)
        #expect(host.asked.count { $0 == "" } == 1)
        let again = host.server.requests("/a").compactMap { $0.range?.first }.filter { $0 > third }
        #expect(again.contains { $0 <= third + 1 << 20 })
        #expect(report.fetchedBytes < 10 << 20)
    }

    @Test func `the transfer's own connection may fail while others bring something`() throws {
        let host = try DividedServer { request, reply in
            if request.range == nil { reply.ending = .reset(after: 512 << 10) }
        }
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = bench.runDivided(try bench.dividedOrder(host.url))
        #expect(report.result.part?.size == 8 << 20)
        #expect(bench.content() == DividedServer.body)
        #expect(host.asked.count { $0 == "" } == 1)
    }

    @Test func `the attempt ends when nothing brings anything, and says where every range stands`() throws {
        let host = try DividedServer { request, reply in
            if request.number <= 4 {
                reply.ending = .reset(after: 1 << 20)
            } else {
                reply = ScriptedReply(500)
            }
        }
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = bench.runDivided(try bench.dividedOrder(host.url))
        let point = try #require(report.result.failure?.resume)
        #expect(point.total == 8 << 20)
        #expect(point.ranges?.count == 3)
        #expect(point.known > 2 << 20 && point.known <= report.fetchedBytes)
    }

    @Test func `what a stop left is gone on with range by range, and nothing is fetched again`() throws {
        let host = try DividedServer()
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let first = try bench.dividedOrder(host.url)
        bench.send(.start(first))
        for _ in 0..<3 { bench.send(.openSegment(token: first.token)) }
        // Granted before anybody asked: given back; the next three are what it wanted.
        bench.wait { $0.contains { if case .segmentsWanted = $0 { true } else { false } } ? true : nil }
        for _ in 0..<3 { bench.send(.openSegment(token: first.token)) }
        bench.wait { events in
            events.contains {
                guard case .progress(_, let samples) = $0 else { return false }
                return samples.contains { $0.bytes > 3 << 20 }
            } ? true : nil
        }
        bench.send(.cancel(token: first.token, keepsPart: true))
        guard case .cancelled(let kept?) = bench.report(first.token).result else {
            Issue.record("nothing was kept")
            return
        }
        #expect(kept.ranges?.count == 3)
        host.server.forgetRequests()
        let second = bench.run(try bench.dividedOrder(host.url, most: 1) { $0.resume = kept })
        #expect(second.result.part?.size == 8 << 20)
        #expect(second.resumedBytes == kept.known)
        #expect(second.fetchedBytes == (8 << 20) - kept.known)
        #expect(bench.content() == DividedServer.body)
        // Exactly the gaps, one after the other.
        var gaps: [String] = []
        var place = kept.bytes
        for range in (kept.ranges ?? []) + [ByteRange(8 << 20, 8 << 20)]
        where range.start > place || gaps.isEmpty {
            gaps.append("\(place)-\(range.start - 1)")
            place = range.end
        }
        #expect(host.asked == gaps)
    }

    @Test func `a map of ranges is worth nothing once the file is another`() throws {
        let host = try DividedServer { request, reply in
            if request.number <= 4 { reply.ending = .reset(after: 1 << 20) }
            if request.number > 4 { reply = ScriptedReply(500) }
        }
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try #require(bench.runDivided(try bench.dividedOrder(host.url)).result.failure?.resume)
        let new = pattern(3 << 20, seed: 9)
        host.server.route("/a", ScriptedFile(new, etag: "\"v2\""))
        let report = bench.run(try bench.dividedOrder(host.url, most: 1) { $0.resume = point })
        #expect(report.result.part?.size == 3 << 20)
        #expect(report.resumedBytes == 0)
        #expect(bench.content() == new)
    }

    @Test func `connections that are wanted elsewhere end, and their ranges are fetched all the same`() throws
    {
        let host = try DividedServer()
        defer { host.server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let order = try bench.dividedOrder(host.url)
        bench.send(.start(order))
        bench.wait { $0.contains { if case .segmentsWanted = $0 { true } else { false } } ? true : nil }
        for _ in 0..<3 { bench.send(.openSegment(token: order.token)) }
        bench.wait { events in
            events.contains {
                guard case .progress(_, let samples) = $0 else { return false }
                return samples.contains { $0.bytes > 2 << 20 }
            } ? true : nil
        }
        bench.send(.closeSegments(token: order.token, count: 3, places: [0]))
        let report = bench.report(order.token)
        #expect(report.result.part?.size == 8 << 20)
        #expect(bench.content() == DividedServer.body)
        let over = bench.events.count { if case .segmentOver = $0 { true } else { false } }
        #expect(over == 3)
    }
}
