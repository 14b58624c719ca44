// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// Random lives of a host: it answers, refuses, dies and comes back, with holds by the policy.
@Suite struct HostMachineWalkTests {
    private struct Flight {
        let role: HostMachine.Role
        var isAnswered = false
    }
    private struct World {
        var random: WalkRandom
        var machine: HostMachine
        var now = MonotonicTime(nanoseconds: 0)
        var flights: [Flight] = []
        var isUp = true
        var starts = 0
        var startsWhileDown = 0
    }
    private static let policy = RetryPolicy(
        maxAttempts: 0, baseDelay: .seconds(1), maxDelay: .seconds(60))

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `caps, holds and the single scout are kept in every life`(seed: UInt64) {
        var world = World(
            random: WalkRandom(seed: seed),
            machine: HostMachine(caps: .init(connections: 4, streams: 8, requestsPerSecond: nil)))
        for _ in 0..<4000 { step(&world) }
        // It comes back: whatever happened before, the whole cap follows in the end.
        world.isUp = true
        for _ in 0..<6000 { step(&world, isCalm: true) }
        #expect(world.machine.capacity == 4 || world.machine.capacity == 8)
        #expect(!world.machine.isReduced && world.machine.failures == 0 && world.machine.refusals == 0)
        // A minute of hold at most between scouts: a dead host is asked seldom.
        #expect(world.startsWhileDown * 3 < world.starts)
    }

    private func step(_ world: inout World, isCalm: Bool = false) {
        world.now = world.now + .milliseconds(Int64.random(in: 1...2000, using: &world.random))
        if !isCalm, Int.random(in: 0..<200, using: &world.random) == 0 { world.isUp.toggle() }
        start(&world)
        guard !world.flights.isEmpty else { return }
        let index = Int.random(in: 0..<world.flights.count, using: &world.random)
        if world.isUp, !world.flights[index].isAnswered, Bool.random(using: &world.random) {
            world.flights[index].isAnswered = true
            world.machine.answered(isHTTP2: false, isUsable: true, to: world.flights[index].role)
            return
        }
        let flight = world.flights.remove(at: index)
        end(flight, in: &world, isCalm: isCalm)
    }

    private func start(_ world: inout World) {
        while case .start = world.machine.verdict(now: world.now) {
            #expect(!world.machine.isHeld(now: world.now))
            let scouts = world.flights.count { $0.role == .scout && !$0.isAnswered }
            let role = world.machine.started(now: world.now)
            if role == .scout { #expect(scouts == 0, "two scouts") }
            world.flights.append(Flight(role: role))
            world.starts += 1
            if !world.isUp { world.startsWhileDown += 1 }
            #expect(world.flights.count <= 4)
            #expect(world.flights.count == world.machine.active)
        }
    }

    private func end(_ flight: Flight, in world: inout World, isCalm: Bool) {
        let draw = Double.random(in: 0..<1, using: &world.random)
        if world.isUp, flight.isAnswered || isCalm {
            world.machine.answered(isHTTP2: false, isUsable: true, to: flight.role)
            let isCut = !isCalm && draw < 0.1
            world.machine.finished(flight.role, isCut ? .trouble : .success)
            return
        }
        world.machine.finished(flight.role, .trouble)
        let blame: BrokenAttempt.Blame
        if world.isUp {
            world.machine.answered(isHTTP2: false, isUsable: false, to: flight.role)
            let isFirst = world.machine.refused(flight.role, now: world.now)
            blame = .refused(.init(rounds: world.machine.refusals, isFirst: isFirst))
        } else {
            let isFirst = world.machine.connectionFailed(flight.role, now: world.now)
            blame = .unreachable(.init(rounds: world.machine.failures, isFirst: isFirst))
        }
        let broken = BrokenAttempt(JobError(.connect, "x"), blame: blame, attempts: 1)
        if let hold = Self.policy.verdict(for: broken, random: draw).hold {
            world.machine.hold(until: world.now + hold, reason: "x")
        }
    }
}
