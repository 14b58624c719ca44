// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Transfer

/// Simulated time: what passes, by the arithmetic alone.
@Suite struct RateGateTests {
    private static func time(_ seconds: Double) -> MonotonicTime {
        MonotonicTime(nanoseconds: Int64(seconds * 1_000_000_000))
    }

    /// Askers with always more to offer; they ask when they were told to, late by up to `lag`.
    private func run(
        _ gates: inout [RateGate], seconds: Double, blocks: [Int64] = [16_384], lag: Double = 0.001
    ) -> [Int64] {
        var random = LagRandom(state: 1)
        var passed = [Int64](repeating: 0, count: gates.count)
        var due = [MonotonicTime](repeating: Self.time(0), count: gates.count)
        var late = [Double](repeating: 0, count: gates.count)
        while true {
            let index = due.indices.min { due[$0] < due[$1] } ?? 0
            let now = due[index] + .nanoseconds(Int64(late[index] * 1e9))
            guard now < Self.time(seconds) else { return passed }
            let block = blocks[index % blocks.count]
            if let next = gates[index].offer(block, now: now) {
                due[index] = next
                late[index] = Double.random(in: 0...lag, using: &random)
            } else {
                passed[index] += block
                due[index] = now
                late[index] = 0
            }
        }
    }

    private func gates(_ count: Int, own: Int64? = nil, total: Int64? = nil, host: Int64? = nil) -> [RateGate]
    {
        let now = Self.time(0)
        let shared = (
            total.map { RateLimiter(rate: $0, now: now) }, host.map { RateLimiter(rate: $0, now: now) }
        )
        return (0..<count).map { _ in RateGate(maxRate: own, host: shared.1, total: shared.0, now: now) }
    }

    @Test(arguments: [1, 16, 64], [1_000_000, 20_000_000] as [Int64])
    func `a shared rate holds within five percent over ten seconds`(count: Int, rate: Int64) {
        var gates = gates(count, total: rate)
        let passed = run(&gates, seconds: 10).reduce(0, +)
        #expect(abs(Double(passed) / Double(rate * 10) - 1) <= 0.05, "\(passed)")
    }

    @Test(arguments: [200_000, 1_000_000, 20_000_000] as [Int64])
    func `a transfer's own rate holds within five percent over ten seconds`(rate: Int64) {
        var own = gates(3, own: rate)
        for passed in run(&own, seconds: 10) { #expect(abs(Double(passed) / Double(rate * 10) - 1) <= 0.05) }
    }

    @Test(arguments: [2, 16, 64])
    func `transfers that share a bucket get the same, whoever asks first`(count: Int) {
        var shared = gates(count, total: 2_000_000)
        let passed = run(&shared, seconds: 10)
        // The burst goes to whoever is there; from then on block by block in turn.
        #expect((passed.max() ?? 0) - (passed.min() ?? 0) <= 500_000 + 2 * 16_384, "\(passed)")
        #expect((passed.min() ?? 0) >= 20_000_000 / Int64(count) / 2)
    }

    @Test func `the tightest of several limits holds`() {
        var gates = gates(4, own: 1_000_000, total: 2_000_000, host: 400_000)
        let passed = run(&gates, seconds: 10).reduce(0, +)
        #expect(abs(Double(passed) / 4_000_000 - 1) <= 0.05)
    }

    @Test func `crumbs are let through until the turn that was paid for is used up`() {
        let limiter = RateLimiter(rate: 16_384, now: Self.time(0))
        var gate = RateGate(maxRate: nil, host: nil, total: limiter, now: Self.time(0))
        #expect(gate.offer(16_384, now: Self.time(0)) == nil)
        #expect(gate.offer(8192, now: Self.time(0)) == nil)
        // Half a second of debt before it, then a whole turn.
        #expect(gate.offer(100, now: Self.time(0)) == Self.time(0.5))
        for _ in 0..<163 { #expect(gate.offer(100, now: Self.time(0.5)) == nil) }
        #expect(gate.offer(100, now: Self.time(0.5)) == Self.time(1.5))
    }

    @Test func `what a transfer paid for and did not use goes back to the others`() {
        let limiter = RateLimiter(rate: 16_384, now: Self.time(0))
        var first = RateGate(maxRate: nil, host: nil, total: limiter, now: Self.time(0))
        var second = RateGate(maxRate: nil, host: nil, total: limiter, now: Self.time(0))
        #expect(first.offer(16_384, now: Self.time(0)) == nil)
        #expect(first.offer(16_384, now: Self.time(0)) == nil)
        #expect(first.offer(10, now: Self.time(0)) == Self.time(1))
        first.close(now: Self.time(0))
        first.close(now: Self.time(0))
        #expect(second.offer(10, now: Self.time(0)) == Self.time(1))
    }

    @Test func `streams that offer blocks and streams that offer crumbs get the same`() {
        var shared = gates(8, total: 2_000_000)
        let passed = run(
            &shared, seconds: 10, blocks: [16_384, 16_384, 16_384, 16_384, 8192, 4096, 1000, 500])
        #expect((passed.min() ?? 0) >= 20_000_000 / 8 * 7 / 10, "\(passed)")
    }

    @Test func `a limit that is lifted or changed voids the waits that were told`() {
        let limiter = RateLimiter(rate: 1, now: Self.time(0))
        var gate = RateGate(maxRate: nil, host: nil, total: limiter, now: Self.time(0))
        #expect(gate.offer(1_000_000, now: Self.time(0)) == nil)
        #expect(gate.offer(16_384, now: Self.time(0)) == Self.time(1))
        #expect(gate.offer(16_384, now: Self.time(1)) == Self.time(2))
        limiter.setRate(1, now: Self.time(1))
        #expect(gate.offer(16_384, now: Self.time(2)) == Self.time(3))
        limiter.setRate(nil, now: Self.time(2))
        #expect(gate.offer(16_384, now: Self.time(3)) == nil)
        #expect(gate.offer(16_384, now: Self.time(3)) == nil)
    }
}

/// splitmix64.
private struct LagRandom: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
