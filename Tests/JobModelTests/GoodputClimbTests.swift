// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct GoodputClimbTests {
    @Test func `it starts low and is never above the host's cap`() {
        let climb = GoodputClimb()
        #expect(climb.level(of: 64) == 6)
        #expect(climb.level(of: 4) == 4)
        #expect(climb.level(of: 1) == 1 && climb.level(of: 0) == 1)
    }

    /// One more with each answer, as it once was, took a line of 100 ms a second to have 64 out.
    @Test func `the first answer allows sixteen, and each further one adds three until the cap`() {
        var climb = GoodputClimb()
        var levels: [Int] = []
        for _ in 0..<6 {
            climb.answered(ceiling: 24)
            levels.append(climb.level(of: 24))
        }
        #expect(levels == [16, 19, 22, 24, 24, 24])
        #expect(!climb.isOpening)
    }

    @Test(arguments: [(8, 64, 16), (32, 64, 32), (100, 64, 32), (32, 16, 16), (32, 4, 4)])
    func `a host that multiplexes has what one connection carries with its first answer`(
        streams: Int, ceiling: Int, first: Int
    ) {
        var climb = GoodputClimb()
        climb.answered(ceiling: ceiling, streams: streams)
        #expect(climb.level(of: ceiling) == first)
        climb.answered(ceiling: ceiling, streams: streams)
        #expect(climb.level(of: ceiling) == min(first + 3, ceiling))
        let before = climb.level(of: ceiling)
        climb.troubled()
        climb.answered(ceiling: ceiling, streams: streams)
        #expect(climb.level(of: ceiling) <= before, "it has shown something else since")
    }

    /// Rounds of as many ends as there were transfers when the round began, 100 ms each.
    private func open(
        _ climb: inout GoodputClimb, rounds: Int, wait: Duration, bytes: (_ round: Int) -> Int64
    ) {
        var now = MonotonicTime(nanoseconds: 0)
        climb.ended(bytes: 1, wait: .milliseconds(10), inFlight: 6, ceiling: 64, now: now)
        for round in 0..<rounds where climb.isOpening {
            let count = climb.level(of: 64)
            now = now + .milliseconds(100)
            for _ in 0..<count {
                climb.answered(ceiling: 64)
                climb.ended(
                    bytes: bytes(round) / Int64(count), wait: wait, inFlight: count, ceiling: 64, now: now)
            }
        }
    }

    /// The number has grown faster than twofold by then: half of what the round began with, not of what it is.
    @Test func `answers that wait and bring no more end the opening at half of what the round began with`() {
        var climb = GoodputClimb()
        open(&climb, rounds: 3, wait: .milliseconds(46)) { _ in 1_000_000 }
        #expect(!climb.isOpening && climb.level(of: 64) == 8)
        climb.answered(ceiling: 64)
        #expect(climb.level(of: 64) == 8)
    }

    @Test func `after a late answer nothing is added in the first round, then one an answer`() {
        var climb = GoodputClimb()
        var now = MonotonicTime(nanoseconds: 0)
        var levels: [Int] = []
        for (round, wait) in [10, 10, 900, 900].enumerated() {
            climb.answered(ceiling: 64)
            climb.ended(
                bytes: 1_000_000 << Int64(round), wait: .milliseconds(wait), inFlight: 64, ceiling: 64,
                now: now)
            now = now + .milliseconds(10)
            levels.append(climb.level(of: 64))
        }
        climb.answered(ceiling: 64)
        #expect(levels == [16, 19, 22, 22] && climb.level(of: 64) == 22)
    }

    /// The answers over sixty new connections came in one moment; what their second files brought looked like a decline, and
    /// the number was halved.
    @Test(arguments: [true, false])
    func `a round in which connections came is compared with nothing`(isTold: Bool) {
        var climb = GoodputClimb()
        var now = MonotonicTime(nanoseconds: 0)
        climb.answered(ceiling: 1000, streams: 32)
        climb.ended(bytes: 1, wait: .milliseconds(10), inFlight: 32, ceiling: 1000, now: now)
        if isTold { climb.connected() }
        for (bytes, wait) in [(50_000, 10), (10_000, 46)] {
            now = now + .milliseconds(100)
            for _ in 0..<32 {
                climb.ended(
                    bytes: Int64(bytes), wait: .milliseconds(wait), inFlight: 32, ceiling: 1000, now: now)
            }
        }
        #expect(climb.isOpening == isTold && climb.level(of: 1000) == (isTold ? 32 : 16))
    }

    @Test func `waits as long as our own threads may take end nothing`() {
        var climb = GoodputClimb()
        open(&climb, rounds: 4, wait: .milliseconds(44)) { _ in 1_000_000 }
        #expect(climb.level(of: 64) == 64)
    }

    /// Many streams share one connection that is still slow: each waits for the bytes of the others. Once the first late
    /// answer kept such a host at six.
    @Test func `answers that wait and bring more go on`() {
        var climb = GoodputClimb()
        open(&climb, rounds: 4, wait: .milliseconds(900)) { 1_000_000 << Int64($0) }
        #expect(climb.level(of: 64) == 64)
    }

    @Test func `trouble ends the opening at half of it`() {
        var climb = GoodputClimb()
        for _ in 0..<6 { climb.answered(ceiling: 64) }
        climb.troubled()
        #expect(!climb.isOpening && climb.level(of: 64) == 15)
        climb.troubled()
        #expect(climb.level(of: 64) == 15, "from here on the halving is the other's")
    }

    @Test func `what is not full of transfers says nothing about their number`() {
        var climb = GoodputClimb()
        for _ in 0..<60 { climb.answered(ceiling: 64) }
        for step in 0..<10_000 {
            let now = MonotonicTime(nanoseconds: Int64(step) * 1_000_000)
            climb.ended(bytes: 1000, wait: .milliseconds(1), inFlight: 3, ceiling: 64, now: now)
        }
        #expect(climb.level(of: 64) == 64)
    }

    @Test func `transfers that do not end are compared by what has arrived of them`() {
        var climb = GoodputClimb()
        for _ in 0..<60 { climb.answered(ceiling: 64) }
        // The same bytes a second whatever the number: one line that is full.
        for step in 0..<400 {
            let now = MonotonicTime(nanoseconds: Int64(step) * 250_000_000)
            climb.progressed(10_000_000, inFlight: climb.level(of: 64), ceiling: 64, now: now)
        }
        #expect(climb.level(of: 64) < 12)
    }

    /// A host that answers after a round trip and serves so many at a time; the others wait in its queue.
    @Test(arguments: [(room: 3, seed: 1), (8, 2), (12, 3), (20, 4), (40, 5), (200, 6)])
    func `against a host that serves so many at a time it settles near that`(room: Int, seed: Int) {
        var world = ClimbWorld(seed: UInt64(seed), room: room, roundTrip: 0.1, service: 0.3)
        world.run(seconds: 30)
        let levels = world.levels(last: 240)
        let wanted = min(64, max(GoodputClimb.least, room))
        #expect(levels.allSatisfy { $0 <= min(64, wanted + max(3, wanted / 2)) }, "\(room): \(levels)")
        #expect(levels.allSatisfy { $0 >= min(wanted * 5 / 8, wanted - 2) }, "\(room): \(levels)")
        // A quarter less now and then to look: on the whole nothing is lost.
        let best = Double(min(64, room)) / (room >= 64 ? 0.4 : 0.3)
        #expect(world.servedPerSecond >= best * 0.8, "\(room): \(world.servedPerSecond) of \(best)")
    }

    @Test func `a fast host has its whole cap within tens of milliseconds`() {
        var world = ClimbWorld(seed: 7, room: 1000, roundTrip: 0.0002, service: 0.0003)
        world.run(seconds: 0.02)
        #expect(world.climb.level(of: 64) >= 48)
    }

    @Test func `on a long line the cap is reached in a few round trips`() {
        var world = ClimbWorld(seed: 8, room: 1000, roundTrip: 0.1, service: 0.3)
        world.run(seconds: 1)
        #expect(world.climb.level(of: 64) == 64)
    }
}

/// A host in simulated time: the first byte comes a round trip after a place is free, the last one `service` later, a
/// tenth more or less. Always more to fetch.
private struct ClimbWorld {
    private enum Step { case head, end }
    private struct Event {
        let time: Double
        let step: Step
        let wait: Double
    }
    var climb = GoodputClimb()
    private var random: WalkRandom
    private let room: Int
    private let roundTrip: Double
    private let service: Double
    private var time = 0.0
    private var events: [Event] = []
    private var queue: [Double] = []
    private var inFlight = 0
    private var serving = 0
    private var served = 0
    private var seen: [(time: Double, level: Int)] = []

    init(seed: UInt64, room: Int, roundTrip: Double, service: Double) {
        random = WalkRandom(seed: seed)
        self.room = room
        self.roundTrip = roundTrip
        self.service = service
    }

    var servedPerSecond: Double { Double(served) / time }
    func levels(last count: Int) -> [Int] { seen.suffix(count).map(\.level) }

    mutating func run(seconds: Double) {
        ask()
        while time < seconds, let index = events.indices.min(by: { events[$0].time < events[$1].time }) {
            let event = events.remove(at: index)
            time = event.time
            let now = MonotonicTime(nanoseconds: Int64(time * 1e9))
            switch event.step {
            case .head: climb.answered(ceiling: 64)
            case .end:
                climb.ended(
                    bytes: 100_000, wait: .seconds(event.wait), inFlight: inFlight, ceiling: 64, now: now)
                inFlight -= 1
                serving -= 1
                served += 1
            }
            serve()
            ask()
            seen.append((time, climb.level(of: 64)))
        }
    }

    private mutating func ask() {
        while inFlight < climb.level(of: 64) {
            inFlight += 1
            queue.append(time)
            serve()
        }
    }

    private mutating func serve() {
        while serving < room, !queue.isEmpty {
            let asked = queue.removeFirst()
            serving += 1
            let spread = Double.random(in: 0.9...1.1, using: &random)
            let head = time + roundTrip * (room < 64 ? 0 : 1) + 0.001
            events.append(Event(time: head, step: .head, wait: 0))
            events.append(Event(time: head + service * spread, step: .end, wait: head - asked))
        }
    }
}
