// SPDX-License-Identifier: Apache-2.0

import JobModel
import TestKit
import Testing

@testable import Transfer

@Suite struct RateTests {
    @Test func `a limited transfer takes its time and loses nothing`() throws {
        let body = pattern(200_000)
        let server = SocketServer { _ in ok(body) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let begin = Clock.now()
        let report = try bench.run(server.url("/a")) { $0.maxRate = 400_000 }
        let elapsed = Clock.now() - begin
        #expect(report.result.part?.size == 200_000)
        #expect(bench.content() == body)
        // A quarter of a second's worth is free at the start; the last block's debt is not waited for.
        #expect(elapsed > .milliseconds(150))
    }

    @Test func `the shared limits hold for all transfers together`() throws {
        let body = pattern(100_000)
        let server = SocketServer { _ in ok(body) }
        defer { server.stop() }
        let bench = WorkerBench(totalLimiter: RateLimiter(rate: 1_000_000, now: Clock.now()))
        defer { bench.close() }
        let host = RateLimiter(rate: 400_000, now: Clock.now())
        let begin = Clock.now()
        let orders = try (0..<3).map { index in
            try bench.order(server.url("/\(index)")) {
                $0.partName = "\(index)"
                $0.hostLimiter = host
            }
        }
        for order in orders { bench.send(.start(order)) }
        for order in orders { #expect(bench.report(order.token).result.part?.size == 100_000) }
        #expect(Clock.now() - begin > .milliseconds(300))
        for index in 0..<3 { #expect(bench.content("\(index)") == body) }
    }

    @Test func `a limit that is lifted lets waiting transfers go`() throws {
        let body = pattern(500_000)
        let server = SocketServer { _ in ok(body) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let host = RateLimiter(rate: 1, now: Clock.now())
        let order = try bench.order(server.url("/a")) { $0.hostLimiter = host }
        bench.send(.start(order))
        bench.wait { events in
            for case .connected(_, order.token, false, true, _) in events { return true }
            return nil
        }
        host.setRate(nil, now: Clock.now())
        #expect(bench.report(order.token).result.part?.size == 500_000)
        #expect(bench.content() == body)
    }

    @Test func `a stop cancels all, and what comes after it`() throws {
        let gate = Gate()
        let server = SocketServer { _ in [.wait(gate), .close] }
        defer {
            gate.open()
            server.stop()
        }
        let bench = WorkerBench()
        let first = try bench.order(server.url("/a"))
        let late = try bench.order(server.url("/b"))
        bench.send(.start(first))
        bench.send(.stop(keepsParts: true))
        bench.send(.start(late))
        guard case .cancelled = bench.report(first.token).result else { return #expect(Bool(false)) }
        bench.wait { events in
            for case .stopped(worker: 3) in events { return true }
            return nil
        }
        bench.close()
    }
}
