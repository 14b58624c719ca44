// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// A host of HTTP/2 in random lives, with a libcurl that chooses as the real one does: of a worker's connections the
/// first that stands and has a stream free, else a new one.
@Suite struct WorkerSpreadWalkTests {
    private struct Connection {
        let name: Int
        let worker: Int
        var stands = false
        var riders = 0
    }
    private struct Flight {
        let worker: Int
        var role: HostMachine.Role
        /// The connection's name.
        let ride: Int
        var hasAnswer = false
    }
    private struct World {
        var random: WalkRandom
        var machine: HostMachine
        var now = MonotonicTime(nanoseconds: 0)
        var connections: [Connection] = []
        var flights: [Flight] = []
        var tallies: [StreamTally<Int>]
        var jobs = 0
        var most = 0
        /// Connections that were being opened at the same time, at most.
        var mostOpening = 0
        /// Streams that the server grants.
        let granted: Int

        mutating func draw(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }
    }
    private static let caps = HostMachine.Caps(
        connections: 6, streams: 4, requestsPerSecond: nil, workers: 3, perWorker: 8)

    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func `connections are never more than the cap, however many are opened at once`(seed: UInt64) {
        var world = World(
            random: WalkRandom(seed: seed), machine: HostMachine(caps: Self.caps),
            tallies: Array(repeating: StreamTally(), count: Self.caps.workers),
            granted: seed.isMultiple(of: 2) ? 4 : 128)
        world.jobs = 200
        for turn in 0..<3000 {
            if turn.isMultiple(of: 100) { world.jobs = world.draw(0..<200) }
            step(&world)
            #expect(world.connections.count <= Self.caps.connections)
            #expect(world.connections.allSatisfy { $0.riders <= 4 })
        }
        #expect(world.machine.spread.isProven)
        #expect(world.mostOpening > 1, "never at once")
    }

    @Test func `a list that is long enough has all transfers of its connections out`() {
        var world = World(
            random: WalkRandom(seed: 7), machine: HostMachine(caps: Self.caps),
            tallies: Array(repeating: StreamTally(), count: Self.caps.workers), granted: 128)
        world.jobs = 1_000_000
        for _ in 0..<3000 { step(&world) }
        #expect(world.most == 24)
    }

    private func step(_ world: inout World) {
        world.now = world.now + .milliseconds(10)
        start(&world)
        world.most = max(world.most, world.flights.count)
        world.mostOpening = max(world.mostOpening, world.connections.count { !$0.stands })
        switch world.draw(0..<4) {
        case 0: connect(&world)
        case 1, 2: answer(&world)
        default: end(&world)
        }
    }

    private func start(_ world: inout World) {
        world.machine.jobs = world.jobs
        while world.flights.count < world.jobs, case .start = world.machine.verdict(now: world.now) {
            let active = (0..<Self.caps.workers).map { world.machine.spread.active(on: $0) }
            let chosen =
                world.machine.stage == .http2
                ? world.machine.worker { active[$0] } : 0
            guard let worker = chosen else { return }
            let role = world.machine.started(now: world.now, on: worker)
            let isFresh = role == .opener && world.machine.spread.isProven
            let ride = isFresh ? open(on: worker, &world) : ride(on: worker, &world)
            world.flights.append(Flight(worker: worker, role: role, ride: ride))
        }
    }

    private func ride(on worker: Int, _ world: inout World) -> Int {
        let room = min(world.granted, Self.caps.streams)
        let index = world.connections.firstIndex { $0.worker == worker && $0.stands && $0.riders < room }
        guard let index else { return open(on: worker, &world) }
        world.connections[index].riders += 1
        world.tallies[worker].rode(world.connections[index].name)
        return world.connections[index].name
    }

    private func open(on worker: Int, _ world: inout World) -> Int {
        let name = world.connections.count
        world.connections.append(Connection(name: name, worker: worker, riders: 1))
        return name
    }

    private func connect(_ world: inout World) {
        let indices = world.connections.indices.filter { !world.connections[$0].stands }
        guard !indices.isEmpty else { return }
        let index = indices[world.draw(0..<indices.count)]
        world.connections[index].stands = true
        world.tallies[world.connections[index].worker].rode(world.connections[index].name)
    }

    /// Any that has been asked for, not the first one first.
    private func answer(_ world: inout World) {
        let indices = world.flights.indices.filter {
            !world.flights[$0].hasAnswer && world.connections[world.flights[$0].ride].stands
        }
        guard !indices.isEmpty else { return }
        let index = indices[world.draw(0..<indices.count)]
        let flight = world.flights[index]
        world.flights[index].hasAnswer = true
        world.tallies[flight.worker].answered(flight.ride)
        let sight = world.tallies[flight.worker].sight
        world.tallies[flight.worker].turned()
        world.flights[index].role = world.machine.answered(isHTTP2: true, isUsable: true, to: flight.role)
        world.machine.saw(sight, on: flight.worker, to: flight.role)
        world.machine.opened()
    }

    private func end(_ world: inout World) {
        let indices = world.flights.indices.filter { world.flights[$0].hasAnswer }
        guard !indices.isEmpty else { return }
        let flight = world.flights.remove(at: indices[world.draw(0..<indices.count)])
        world.connections[flight.ride].riders -= 1
        world.tallies[flight.worker].left(flight.ride)
        world.machine.saw(world.tallies[flight.worker].sight, on: flight.worker, to: flight.role)
        world.machine.brought(1000, wait: .milliseconds(100), now: world.now)
        world.machine.finished(flight.role, .success, on: flight.worker)
    }
}
