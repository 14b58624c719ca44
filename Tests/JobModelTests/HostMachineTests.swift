// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct HostMachineTests {
    private static func time(_ seconds: Double) -> MonotonicTime {
        MonotonicTime(nanoseconds: Int64(seconds * 1_000_000_000))
    }
    private let now = Self.time(100)

    private func machine(connections: Int = 6, streams: Int = 32, pace: Double? = nil) -> HostMachine {
        HostMachine(caps: .init(connections: connections, streams: streams, requestsPerSecond: pace))
    }

    @Test func `a cold host gets one transfer until it has answered`() {
        var host = machine()
        #expect(host.verdict(now: now) == .start)
        host.started(now: now)
        #expect(host.stage == .scouting)
        #expect(host.verdict(now: now) == .full(.hostLimit))
        host.connected(isHTTP2: false)
        #expect(host.verdict(now: now) == .start)
        #expect(host.capacity == 6)
    }

    @Test func `a scout without an answer leaves the host cold`() {
        var host = machine()
        host.started(now: now)
        host.finished()
        #expect(host.stage == .cold)
        #expect(host.active == 0)
        #expect(host.verdict(now: now) == .start)
    }

    @Test func `the connection cap holds on HTTP 1`() {
        var host = machine(connections: 2)
        host.started(now: now)
        host.connected(isHTTP2: false)
        host.started(now: now)
        #expect(host.verdict(now: now) == .full(.hostLimit))
        host.finished()
        #expect(host.verdict(now: now) == .start)
    }

    @Test func `each connection carries its streams on HTTP 2`() {
        var host = machine(connections: 2, streams: 3)
        host.started(now: now)
        host.connected(isHTTP2: true)
        for _ in 1..<6 {
            #expect(host.verdict(now: now) == .start)
            host.started(now: now)
        }
        #expect(host.verdict(now: now) == .full(.hostLimit))
    }

    @Test func `caps below one count as one`() {
        var host = machine(connections: 0, streams: -1)
        host.started(now: now)
        host.connected(isHTTP2: true)
        #expect(host.capacity == 1)
    }

    @Test func `an earlier end never shortens a hold`() {
        var host = machine()
        host.hold(until: Self.time(200), reason: "http_429")
        host.hold(until: Self.time(150), reason: "connect")
        #expect(host.verdict(now: now) == .wait(until: Self.time(200), .hostHeld))
        #expect(host.holdReason == "http_429")
        host.hold(until: Self.time(300), reason: "http_503")
        #expect(host.verdict(now: now) == .wait(until: Self.time(300), .hostHeld))
    }

    @Test func `a hold ends with its time, and is forgotten with the next start`() {
        var host = machine()
        host.hold(until: Self.time(150), reason: "http_429")
        #expect(host.verdict(now: Self.time(150)) == .start)
        host.started(now: Self.time(150))
        #expect(host.heldUntil == nil)
        #expect(host.holdReason == nil)
    }

    @Test func `a released host starts at once`() {
        var host = machine()
        host.hold(until: Self.time(150), reason: "http_429")
        host.release()
        #expect(host.verdict(now: now) == .start)
    }

    @Test func `a pace spreads starts without bursts`() {
        var host = machine(pace: 4)
        host.started(now: now)
        host.connected(isHTTP2: false)
        #expect(host.verdict(now: now) == .wait(until: Self.time(100.25), .rateLimit))
        #expect(host.verdict(now: Self.time(100.25)) == .start)
        // A long pause is no credit: two starts are still a quarter of a second apart.
        host.started(now: Self.time(110))
        #expect(host.verdict(now: Self.time(110)) == .wait(until: Self.time(110.25), .rateLimit))
    }

    @Test func `a pace of nothing is no pace`() {
        var host = machine(pace: 0)
        host.started(now: now)
        host.connected(isHTTP2: false)
        #expect(host.verdict(now: now) == .start)
    }

    @Test func `a failed connection sends the host back to scouting`() {
        var host = machine()
        host.started(now: now)
        host.connected(isHTTP2: false)
        host.started(now: now)
        host.finished()
        host.connectionFailed()
        #expect(host.stage == .scouting)
        #expect(host.verdict(now: now) == .full(.hostLimit))
        host.finished()
        host.connectionFailed()
        #expect(host.stage == .cold)
        #expect(host.failures == 2)
        host.started(now: now)
        host.connected(isHTTP2: false)
        #expect(host.failures == 0)
    }

    @Test func `a GOAWAY sends the host back to scouting until its streams have ended`() {
        var host = machine()
        for _ in 0..<3 {
            host.started(now: now)
            host.connected(isHTTP2: true)
        }
        host.finished()
        host.connectionClosed()
        #expect(host.stage == .scouting)
        #expect(host.verdict(now: now) == .full(.hostLimit))
        host.finished()
        host.finished()
        #expect(host.stage == .cold)
        #expect(host.failures == 0)
        #expect(host.verdict(now: now) == .start)
    }

    @Test func `one more end than starts does no harm`() {
        var host = machine()
        host.finished()
        #expect(host.active == 0)
    }

    @Test func `only an idle host without a hold or a pace ahead is forgettable`() {
        var host = machine(pace: 1)
        #expect(host.isForgettable(now: now))
        host.started(now: now)
        #expect(!host.isForgettable(now: now))
        host.finished()
        #expect(!host.isForgettable(now: now), "its pace would be forgotten")
        #expect(host.isForgettable(now: Self.time(101)))
        host.hold(until: Self.time(200), reason: "http_429")
        #expect(!host.isForgettable(now: Self.time(101)))
        #expect(host.isForgettable(now: Self.time(200)))
    }
}
