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

    /// Runs an order, and gives it every connection that it wants, to where it wants it.
    func runShared(_ order: TransferOrder, _ helpers: [Int: TransferOrder]) -> TransferReport {
        send(.start(order))
        var given: [Int] = []
        while true {
            let (token, before) = (order.token, given)
            let step: Step = wait { events in
                var wish = SegmentWish.none
                var held = before
                for event in events {
                    switch event {
                    case .segmentsWanted(_, token, let told): wish = told
                    case .segmentOver(let report) where report.token == token:
                        if let index = held.firstIndex(of: report.place) { held.remove(at: index) }
                    case .finished(let report) where report.token == token: return .ended(report)
                    default: break
                    }
                }
                guard wish.count > held.count else { return nil }
                let connections = Dictionary((held + [0]).map { ($0, 1) }) { $0 + $1 }
                return wish.order(connections).first.map { .grant($0) }
            }
            switch step {
            case .ended(let report): return report
            case .grant(let place):
                given.append(place)
                let helper = helpers[place].map { HelperOrder(place: place, order: $0) }
                send(.openSegment(token: order.token, helper: helper))
            }
        }
    }

    func overs() -> [SegmentReport] {
        events.compactMap { if case .segmentOver(let report) = $0 { report } else { nil } }
    }
}

/// One file at two servers, each at a pace of its own, and what a test makes of the second's answers.
private struct Pair {
    static let size = 12 << 20
    static let body = pattern(size)
    let first: ScriptedServer
    let second: ScriptedServer

    init(
        etags: (String, String) = ("\"a\"", "\"b\""), body: [UInt8] = Pair.body, pace: Int = 32,
        _ change: @escaping @Sendable (ScriptedRequest, inout ScriptedReply) -> Void = { _, _ in }
    ) throws {
        first = try ScriptedServer()
        second = try ScriptedServer(address: "127.0.0.2")
        let files = (ScriptedFile(Self.body, etag: etags.0), ScriptedFile(body, etag: etags.1))
        first.route("/a") { request in
            var reply = files.0.reply(to: request)
            reply.pace = (bytes: 32 * 1024, every: .milliseconds(pace))
            return reply
        }
        second.route("/a") { request in
            var reply = files.1.reply(to: request)
            reply.pace = (bytes: 32 * 1024, every: .milliseconds(4))
            change(request, &reply)
            return reply
        }
    }

    func stop() {
        first.stop()
        second.stop()
    }

    func run(_ bench: WorkerBench, most: Int = 2, hasDigest: Bool = true) throws -> TransferReport {
        let order = try bench.order(first.url("/a")) {
            $0.segments = SegmentRules(most: most, isAsked: true, perSource: max(1, most / 2))
            $0.helpers = [1]
            $0.hasDigest = hasDigest
        }
        var helper = try bench.order(second.url("/a")) {
            $0.place = 1
            $0.hasDigest = hasDigest
        }
        helper.token = order.token
        return bench.runShared(order, [1: helper])
    }
}

@Suite struct SharedTransferTests {
    @Test func `two servers bring one file, and the faster brings more of it`() throws {
        let pair = try Pair()
        defer { pair.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try pair.run(bench)
        #expect(report.result.part?.size == Int64(Pair.size) && report.result.part?.isLengthVerified == true)
        #expect(bench.content() == Pair.body)
        #expect(report.isShared && report.helpers == [1])
        // What was sent too much is what was cut off.
        #expect(pair.second.sentBodyBytes > 6 << 20)
        #expect(pair.first.mostOpenConnections == 1 && pair.second.mostOpenConnections <= 2)
        #expect(pair.first.requests("/a").dropFirst().allSatisfy { $0.header("if-range") == "\"a\"" })
        // A mirror is judged by its head: its validators are its own.
        #expect(pair.second.requests("/a").allSatisfy { $0.range != nil && $0.header("if-range") == nil })
    }

    @Test(arguments: ["another ETag", "the same ETag", "the same time", "a time without a date"])
    func `without a digest only what shows the same version is mixed`(kind: String) throws {
        let time = "Wed, 01 Jan 2025 00:00:00 GMT"
        let pair = try Pair(etags: ("\"a\"", kind == "the same ETag" ? "\"a\"" : "\"b\"")) { _, reply in
            reply.headers.append(
                ("Last-Modified", kind == "another ETag" ? "Thu, 02 Jan 2025 00:00:00 GMT" : time))
            if kind != "a time without a date" {
                reply.headers.append(("Date", "Fri, 03 Jan 2025 00:00:00 GMT"))
            }
        }
        defer { pair.stop() }
        pair.first.route("/a") { request in
            var reply = ScriptedFile(Pair.body, etag: "\"a\"", lastModified: time).reply(to: request)
            reply.headers.append(("Date", "Fri, 03 Jan 2025 00:00:00 GMT"))
            reply.pace = (bytes: 32 * 1024, every: .milliseconds(8))
            return reply
        }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try pair.run(bench, hasDigest: false)
        #expect(report.result.part?.size == Int64(Pair.size) && bench.content() == Pair.body)
        let isSame = kind == "the same ETag" || kind == "the same time"
        #expect(report.isShared == isSame)
        #expect(bench.overs().contains { $0.trouble != nil } == !isSame)
        if !isSame { #expect(pair.second.count("/a") == 1) }
    }

    @Test(arguments: [
        "another length", "404", "the whole file", "another range", "a reset", "a redirect", "a new version",
    ])
    func `a mirror that is of no use is let go of, and the file comes from the first`(kind: String) throws {
        let isLong = kind == "another length"
        let other = isLong ? pattern(13 << 20, seed: 3) : Pair.body
        let pair = try Pair(body: other, pace: kind == "a new version" ? 32 : 6) { request, reply in
            switch kind {
            case "404": reply = ScriptedReply(404)
            case "the whole file":
                reply = ScriptedFile(Pair.body, etag: "\"b\"").reply(to: ScriptedRequest.plain)
            case "another range":
                reply.headers.removeAll { $0.name == "Content-Range" }
                reply.headers.append(("Content-Range", "bytes 0-\(reply.body.count - 1)/\(Pair.body.count)"))
            case "a reset": reply.ending = .reset(after: 1 << 18)
            case "a redirect": reply = ScriptedReply(302, headers: [("Location", "/elsewhere")])
            case "a new version":
                guard request.number > 1 else { return }
                reply.headers.removeAll { $0.name == "ETag" }
                reply.headers.append(("ETag", "\"c\""))
            default: break
            }
        }
        defer { pair.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try pair.run(bench)
        #expect(report.result.part?.size == Int64(Pair.size) && bench.content() == Pair.body)
        // Not one attempt more, nothing of the first's again, and no word against the first.
        #expect(pair.first.requests("/a").count { $0.range == nil } == 1 && report.ranges == .fair)
        let troubles = bench.overs().compactMap(\.trouble)
        #expect(troubles.count == 1)
        switch kind {
        case "another length": #expect(troubles.first?.error.code == .badLength)
        case "404": #expect(troubles.first?.error.code == .http(404))
        case "the whole file": #expect(troubles.first?.ranges == .ignores)
        case "another range": #expect(troubles.first?.ranges == .lies)
        default: break
        }
        let served = ["a reset", "a new version"].contains(kind)
        #expect(report.isShared == served && report.helpers == (served ? [1] : []))
        #expect(pair.second.count("/a") == (kind == "a new version" ? 2 : 1))
    }

    @Test func `the first breaks for good, and the file comes from the other`() throws {
        let pair = try Pair()
        defer { pair.stop() }
        pair.first.route("/a") { request in
            var reply = ScriptedFile(Pair.body, etag: "\"a\"").reply(to: request)
            reply.pace = (bytes: 32 * 1024, every: .milliseconds(32))
            if request.number == 1 { reply.ending = .reset(after: 1 << 20) }
            return request.number == 1 ? reply : ScriptedReply(500)
        }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try pair.run(bench)
        #expect(report.result.part?.size == Int64(Pair.size) && bench.content() == Pair.body)
    }

    @Test func `a resume point says that several had a share in it, and whose validators hold`() throws {
        let pair = try Pair { request, reply in
            reply.ending = .reset(after: 1 << 20)
        }
        defer { pair.stop() }
        pair.first.route("/a") { request in
            var reply = ScriptedFile(Pair.body, etag: "\"a\"").reply(to: request)
            reply.pace = (bytes: 32 * 1024, every: .milliseconds(32))
            reply.ending = .reset(after: 1 << 20)
            return request.number == 1 ? reply : ScriptedReply(500)
        }
        let bench = WorkerBench()
        defer { bench.close() }
        let point = try #require(try pair.run(bench).result.failure?.resume)
        #expect(point.isShared == true && point.etag == "\"a\"" && point.url == pair.first.url("/a"))
        #expect(point.known > 1 << 20 && point.ranges?.isEmpty == false)
        pair.first.route("/a", ScriptedFile(Pair.body, etag: "\"a\""))
        let report = try bench.run(pair.first.url("/a")) { $0.resume = point }
        #expect(report.isShared && report.resumedBytes == point.known && bench.content() == Pair.body)
    }
}
