// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// What a further connection costs, and what that does to the ramp of one file. Simulated lines.
@Suite struct SegmentLineTests {
    private let start = MonotonicTime(nanoseconds: 0)

    /// A file of which a measured owner brings 100 MB a second over 100 ms: a new connection takes 1.2 s to do as much.
    private func plan(_ total: Int64) -> SegmentPlan {
        var plan = SegmentPlan(
            total: total, known: [], leastSize: 1 << 20,
            cost: ConnectionStart(roundTrip: .milliseconds(100)))
        plan.adopt(0, at: 0, reach: total)
        plan.measured(0, bytesPerSecond: 100e6)
        return plan
    }

    @Test func `a new connection gets less, by what the other brings until it is under way`() {
        var plan = plan(300_000_000)
        #expect(plan.assign(1, leastTime: .seconds(1)) == ByteRange(210_000_000, 300_000_000))
    }

    @Test func `an end that comes sooner than a new connection could help is not stolen`() {
        var plan = plan(210_000_000)
        #expect(plan.capacity(leastTime: .seconds(1)) == 1)
        #expect(plan.assign(1, leastTime: .seconds(1)) == nil)
    }

    @Test func `a connection that is there already costs one round trip`() {
        var plan = plan(210_000_000)
        #expect(plan.capacity(leastTime: .seconds(1), isOpen: true) == 2)
        #expect(
            plan.assign(1, leastTime: .seconds(1), isOpen: true) == ByteRange(110_000_000, 210_000_000))
    }

    @Test func `one that has just begun is taken to bring what the others do`() {
        var plan = plan(600_000_000)
        #expect(plan.assign(1, leastTime: .seconds(1)) == ByteRange(360_000_000, 600_000_000))
        for id in 2...4 { #expect(plan.assign(id, leastTime: .seconds(1)) != nil) }
        #expect(plan.assign(5, leastTime: .seconds(1)) == nil)
    }

    @Test(arguments: [(trip: 100, size: 256, wanted: 3), (100, 20, 0), (2, 256, 0), (0, 4096, 0)])
    func `over a long line a large file begins with four, else with one`(trip: Int, size: Int, wanted: Int) {
        let machine = SegmentMachine(
            total: Int64(size) << 20, known: [], rules: SegmentRules(most: 16),
            cost: ConnectionStart(roundTrip: .milliseconds(trip)), now: start)
        #expect(machine.wanted(now: start) == wanted)
    }

    @Test func `on a fast short line a second one is tried once, and given back`() {
        var world = SegmentWorld(total: 8 << 30, roundTrip: 0.0001, perConnection: 1e9, all: 1e9)
        world.run()
        #expect(world.counts == [1, 2, 1])
    }

    @Test func `over 100 ms four find a fast line's speed, and none is opened for the end`() {
        var world = SegmentWorld(total: 256 << 20, roundTrip: 0.1, perConnection: 1e9, all: 250e6)
        world.run()
        #expect(world.opened == 4)
        // As soon as the bytes that were missing could come: no connection idles before.
        #expect(world.time < 2.6, "\(world.time)")
    }

    @Test func `over 100 ms a server that limits each connection is given all that may be`() {
        var world = SegmentWorld(total: 1 << 30, roundTrip: 0.1, perConnection: 2e6, all: 250e6)
        world.run()
        #expect(world.counts.prefix(3) == [4, 8, 16] && world.counts.max() == 16)
        #expect(world.time < 1.15 * Double(1 << 30) / (16 * 2e6), "\(world.time)")
    }

    @Test func `over 100 ms a line that one fills is given back all but one, where the file is long`() {
        var world = SegmentWorld(total: 8 << 30, roundTrip: 0.1, perConnection: 1e9, all: 250e6)
        world.run()
        #expect(world.counts.prefix(4) == [4, 8, 2, 1])
    }

    @Test func `over 100 ms a line that three fill keeps four`() {
        var world = SegmentWorld(total: 2 << 30, roundTrip: 0.1, perConnection: 10e6, all: 30e6)
        world.run()
        #expect(world.counts.prefix(4) == [4, 8, 2, 4])
    }

    @Test func `over 100 ms a server that takes three is asked for no fourth again`() {
        var world = SegmentWorld(total: 1 << 30, roundTrip: 0.1, perConnection: 10e6, all: 250e6, room: 3)
        world.run()
        #expect(world.refused == 1 && world.counts.max() == 3)
    }
}

/// One file, its machine, and a line: connections begin after two round trips with ten segments and bring twice as much
/// with each further one, up to what the server gives each; all together have what the line has, in proportion.
private struct SegmentWorld {
    private struct Connection {
        var position: Int64
        /// When its first byte comes.
        var from: Double
        var rate: Double
    }
    private var machine: SegmentMachine
    private let roundTrip: Double
    private let perConnection: Double
    private let all: Double
    private let room: Int
    private var connections: [Int: Connection] = [:]
    private var kept: [Double] = []
    private(set) var time = 0.0
    private(set) var opened = 1
    private(set) var refused = 0
    /// Connections at once, each change of the number that stood for half a second.
    private(set) var counts: [Int] = []
    private var since = (count: 1, time: 0.0)

    init(total: Int64, roundTrip: Double, perConnection: Double, all: Double, room: Int = 100) {
        machine = SegmentMachine(
            total: total, known: [], rules: SegmentRules(most: 16),
            cost: ConnectionStart(roundTrip: .seconds(roundTrip)), now: MonotonicTime(nanoseconds: 0))
        self.roundTrip = roundTrip
        self.perConnection = perConnection
        self.all = all
        self.room = room
        machine.adopt(at: 0, reach: total, now: MonotonicTime(nanoseconds: 0))
        connections[SegmentMachine.first] = Connection(position: 0, from: 0, rate: firstRate)
    }

    private var firstRate: Double { min(perConnection, 14_600 / roundTrip) }
    private var now: MonotonicTime { MonotonicTime(nanoseconds: Int64(time * 1e9)) }

    mutating func run() {
        let step = 0.01
        var look = 0.25
        while !machine.plan.isWhole, time < 10_000 {
            open()
            time += step
            move(step)
            if time >= look {
                look += 0.25
                let bytes = machine.plan.total - machine.plan.missing
                for id in machine.sample(connections.mapValues(\.position), bytes: bytes, now: now) {
                    connections[id] = nil
                    machine.over(id)
                }
            }
            count()
        }
    }

    private mutating func open() {
        if connections[SegmentMachine.first] == nil, let range = machine.openFirst(now: now) {
            begin(SegmentMachine.first, range)
        }
        while connections.count - 1 < machine.wanted(now: now, isOpen: !kept.isEmpty),
            let (id, range) = machine.open(isOpen: !kept.isEmpty, now: now)
        {
            guard connections.count < room else {
                refused += 1
                machine.failed(id, hadBytes: false, now: now)
                continue
            }
            begin(id, range)
        }
    }

    private mutating func begin(_ id: Int, _ range: ByteRange) {
        if let rate = kept.popLast() {
            connections[id] = Connection(position: range.start, from: time + roundTrip, rate: rate)
        } else {
            opened += 1
            connections[id] = Connection(position: range.start, from: time + 2 * roundTrip, rate: firstRate)
        }
    }

    private mutating func move(_ step: Double) {
        let running = connections.filter { $0.value.from <= time }
        let wanted = running.values.reduce(0) { $0 + $1.rate }
        let share = min(1, all / max(wanted, 1))
        for id in running.keys.sorted() {
            guard var connection = connections[id], let rest = machine.plan.rest(of: id) else { continue }
            connection.position = min(rest.end, connection.position + Int64(connection.rate * share * step))
            // What is queued on a full line makes nobody faster.
            if share == 1 {
                connection.rate = min(perConnection, connection.rate * (1 + step / roundTrip))
            }
            connections[id] = connection
            machine.reached(id, connection.position)
            guard connection.position == rest.end else { continue }
            connections[id] = nil
            machine.over(id)
            if id != SegmentMachine.first { kept.append(connection.rate) }
        }
    }

    private mutating func count() {
        if connections.count != since.count { since = (connections.count, time) }
        if time - since.time >= 0.5, counts.last != since.count { counts.append(since.count) }
    }
}
