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
    /// A host whose scout is out and has been answered.
    private func warm(_ host: HostMachine, isHTTP2: Bool = false) -> HostMachine {
        var host = host
        let answer1 = host.started(now: now)
        #expect(answer1 == .scout)
        host.answered(isHTTP2: isHTTP2, isUsable: true, to: .scout)
        return host
    }

    @Test func `a cold host gets one transfer until it has answered`() {
        var host = machine()
        #expect(host.verdict(now: now) == .start)
        let answer2 = host.started(now: now)
        #expect(answer2 == .scout)
        #expect(host.stage == .scouting)
        #expect(host.verdict(now: now) == .full(.hostLimit))
        host.answered(isHTTP2: false, isUsable: true, to: .scout)
        #expect(host.verdict(now: now) == .start)
        #expect(host.capacity == 6 && host.room == 5)
        let answer3 = host.started(now: now)
        #expect(answer3 == .ordinary)
    }

    @Test func `a scout without an answer leaves the host cold`() {
        var host = machine()
        _ = host.started(now: now)
        host.finished(.scout, .neutral)
        #expect(host.stage == .cold)
        #expect(host.active == 0)
        #expect(host.verdict(now: now) == .start)
    }

    @Test func `a scout that is refused opens nothing`() {
        var host = machine()
        _ = host.started(now: now)
        host.answered(isHTTP2: false, isUsable: false, to: .scout)
        #expect(host.verdict(now: now) == .full(.hostLimit))
        host.finished(.scout, .trouble)
        let answer4 = host.refused(.scout, now: now)
        #expect(answer4)
        #expect(host.room == 1)
        let answer5 = host.started(now: now)
        #expect(answer5 == .scout)
        #expect(host.room == 0)
    }

    @Test func `the connection cap holds on HTTP 1`() {
        var host = warm(machine(connections: 2))
        _ = host.started(now: now)
        #expect(host.verdict(now: now) == .full(.hostLimit))
        host.finished(.ordinary, .success)
        #expect(host.verdict(now: now) == .start)
    }

    @Test func `HTTP 2 carries its streams on as few connections as hold them, and no more than the host's`()
    {
        var host = warm(machine(connections: 2, streams: 3), isHTTP2: true)
        var connections = [host.connectionsInUse]
        for _ in 1..<6 {
            #expect(host.verdict(now: now) == .start)
            _ = host.started(now: now)
            connections.append(host.connectionsInUse)
        }
        #expect(connections == [1, 1, 1, 2, 2, 2])
        #expect(host.verdict(now: now) == .full(.hostLimit))
        #expect(host.segmentVerdict(now: now) == .full(.hostLimit))
    }

    @Test func `a host whose streams may share one connection has no more of them than that carries`() {
        var host = warm(
            HostMachine(
                caps: .init(connections: 6, streams: 3, sharedConnections: 1, requestsPerSecond: nil)),
            isHTTP2: true)
        for _ in 1..<3 { _ = host.started(now: now) }
        #expect(host.connectionsInUse == 1 && host.isAtCap)
        #expect(host.verdict(now: now) == .full(.hostLimit))
    }

    @Test func `caps below one count as one`() {
        let host = warm(machine(connections: 0, streams: -1), isHTTP2: true)
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
        _ = host.started(now: Self.time(150))
        #expect(host.heldUntil == nil)
        #expect(host.holdReason == nil)
    }

    @Test func `after a hold one scout goes first, also beside transfers that run on`() {
        var host = warm(machine())
        for _ in 0..<2 { _ = host.started(now: now) }
        host.hold(until: Self.time(150), reason: "http_429")
        let later = Self.time(150)
        #expect(host.room == 1)
        let answer6 = host.started(now: later)
        #expect(answer6 == .scout)
        #expect(host.verdict(now: later) == .full(.hostLimit))
        host.answered(isHTTP2: false, isUsable: true, to: .ordinary)
        #expect(host.room == 0, "an old one's answer opens nothing")
        host.answered(isHTTP2: false, isUsable: true, to: .scout)
        #expect(host.room == 2)
    }

    @Test func `a released host starts at once, with a scout`() {
        var host = machine()
        for _ in 0..<4 {
            _ = host.started(now: now)
            host.finished(.scout, .trouble)
            let answer7 = host.connectionFailed(.scout, now: now)
            #expect(answer7)
        }
        host.hold(until: Self.time(150), reason: "connect")
        #expect(host.isBreakerOpen)
        host.release()
        #expect(host.verdict(now: now) == .start && !host.isBreakerOpen)
        let answer8 = host.started(now: now)
        #expect(answer8 == .scout)
    }

    @Test func `a pace spreads starts without bursts`() {
        var host = warm(machine(pace: 4))
        #expect(host.verdict(now: now) == .wait(until: Self.time(100.25), .rateLimit))
        #expect(host.verdict(now: Self.time(100.25)) == .start)
        // A long pause is no credit: two starts are still a quarter of a second apart.
        _ = host.started(now: Self.time(110))
        #expect(host.verdict(now: Self.time(110)) == .wait(until: Self.time(110.25), .rateLimit))
    }

    @Test func `a pace of nothing is no pace`() {
        #expect(warm(machine(pace: 0)).verdict(now: now) == .start)
    }

    @Test func `three scouts in a row that find nobody open the breaker, and an answer closes it`() {
        var host = machine()
        for round in 1...3 {
            let answer9 = host.started(now: now)
            #expect(answer9 == .scout)
            host.finished(.scout, .trouble)
            let answer10 = host.connectionFailed(.scout, now: now)
            #expect(answer10)
            #expect(host.failures == round && host.isBreakerOpen == (round == 3))
            #expect(host.stage == .cold)
        }
        let answer11 = host.started(now: now)
        #expect(answer11 == .scout)
        #expect(host.isBreakerOpen, "half-open until it is answered")
        host.answered(isHTTP2: false, isUsable: true, to: .scout)
        #expect(!host.isBreakerOpen && host.failures == 0 && host.room > 0)
    }

    @Test func `all that fail together are one failure`() {
        var host = warm(machine())
        for _ in 0..<5 { _ = host.started(now: now) }
        host.finished(.scout, .success)
        host.finished(.ordinary, .trouble)
        let answer12 = host.connectionFailed(.ordinary, now: now)
        #expect(answer12)
        host.hold(until: Self.time(101), reason: "connect")
        for late in [100.0, 100.5, 105] {
            host.finished(.ordinary, .trouble)
            let answer13 = host.connectionFailed(.ordinary, now: Self.time(late))
            #expect(!answer13)
            let answer14 = host.refused(.ordinary, now: Self.time(late))
            #expect(!answer14)
        }
        #expect(host.failures == 1 && host.refusals == 0)
    }

    @Test func `a connection that dies under its streams sends one ahead, and the others after it`() {
        var host = warm(machine(), isHTTP2: true)
        for _ in 0..<3 { _ = host.started(now: now) }
        for _ in 0..<2 {
            host.finished(.ordinary, .trouble)
            host.connectionClosed()
        }
        #expect(host.stage == .http2 && host.room == 1)
        let answer15 = host.started(now: now)
        #expect(answer15 == .scout)
        #expect(host.verdict(now: now) == .full(.hostLimit))
        host.answered(isHTTP2: true, isUsable: true, to: .scout)
        host.saw(.one, on: 0, to: .scout)
        let answer16 = host.started(now: now)
        #expect(answer16 == .ordinary)
        #expect(host.failures == 0)
    }

    @Test func `the number at once grows past one worker's as soon as the streams are proven`() {
        var host = HostMachine(
            caps: .init(connections: 6, streams: 32, requestsPerSecond: nil, workers: 2, perWorker: 64))
        host = warm(host, isHTTP2: true)
        host.saw(.one, on: 0, to: .scout)
        for _ in 0..<200 { host.opened() }
        #expect(host.capacity == 64)
        host.saw(StreamSight(connections: 2, answered: 2, streams: 32), on: 0, to: .ordinary)
        #expect(host.capacity == 128)
        // Another connection, another server: it proves it again.
        host.finished(.ordinary, .neutral)
        _ = host.connectionFailed(.ordinary, now: now)
        #expect(!host.spread.isProven)
    }

    @Test func `after trouble no connection is opened before it is needed`() {
        let caps = HostMachine.Caps(
            connections: 6, streams: 32, requestsPerSecond: nil, workers: 2, perWorker: 64)
        var host = warm(HostMachine(caps: caps), isHTTP2: true)
        host.saw(StreamSight(connections: 1, answered: 1, streams: 32), on: 0, to: .scout)
        host.opened()
        #expect(host.capacity == 32 && host.room == 31)
        host.jobs = 1000
        #expect(host.room == 34, "openers are beside those that ask the host")
        var troubled = host
        let role = host.started(now: now)
        #expect(role == .opener && host.room == 33)
        _ = troubled.started(now: now)
        troubled.finished(.ordinary, .trouble)
        let laterRole = troubled.started(now: now)
        #expect(troubled.isReduced && laterRole == .ordinary)
    }

    @Test func `segments have their connections beside those that transfers share, on all workers`() {
        var host = HostMachine(
            caps: .init(connections: 6, streams: 32, requestsPerSecond: nil, workers: 4, perWorker: 64))
        host = warm(host, isHTTP2: true)
        host.saw(StreamSight(connections: 1, answered: 1, streams: 32), on: 0, to: .scout)
        for _ in 0..<200 { host.opened() }
        #expect(host.capacity == 192)
        for _ in 0..<2 { host.segmentStarted(now: now) }
        #expect(host.capacity == 128)
        var load = [0, 0, 0, 0]
        while host.verdict(now: now) == .start, let worker = host.worker(load: { load[$0] }) {
            load[worker] += 1
            let role = host.started(now: now, on: worker)
            host.saw(StreamSight(connections: 1, answered: 6, streams: 32), on: worker, to: role)
        }
        #expect(host.active == 128 && host.connectionsInUse == 6)
        #expect(host.segmentVerdict(now: now) == .full(.hostLimit))
    }

    @Test func `a connection that dies on HTTP 1 is its own affair`() {
        var host = warm(machine())
        host.connectionClosed()
        #expect(host.room == 5)
    }

    @Test func `resets bring the cap down, and successes back up`() {
        var host = warm(machine())
        host.finished(.ordinary, .trouble)
        #expect(host.capacity == 3 && host.isReduced)
        for _ in 0..<12 {
            _ = host.started(now: now)
            host.finished(.ordinary, .success)
        }
        #expect(host.capacity == 6 && !host.isReduced)
        #expect(host.served == 12)
    }

    @Test func `one more end than starts does no harm`() {
        var host = machine()
        host.finished(.ordinary, .neutral)
        #expect(host.active == 0)
    }

    @Test func `only an idle host without a hold or a pace ahead is forgettable`() {
        var host = machine(pace: 1)
        #expect(host.isForgettable(now: now))
        _ = host.started(now: now)
        #expect(!host.isForgettable(now: now))
        host.finished(.scout, .neutral)
        #expect(!host.isForgettable(now: now), "its pace would be forgotten")
        #expect(host.isForgettable(now: Self.time(101)))
        host.hold(until: Self.time(200), reason: "http_429")
        #expect(!host.isForgettable(now: Self.time(101)))
        #expect(host.isForgettable(now: Self.time(200)))
    }
}
