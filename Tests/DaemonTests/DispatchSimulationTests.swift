// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Testing

@testable import Daemon

@Suite struct DispatchSimulationTests {
    @Test(arguments: [21, 22, 23, 24] as [UInt64])
    func `whatever breaks, every job ends once and nothing stays behind`(seed: UInt64) {
        let simulation = DispatchSimulation(seed: seed, jobs: 120)
        let deadline = Monotonic.nanoseconds() + 60_000_000_000
        while !simulation.isDone, Monotonic.nanoseconds() < deadline { simulation.step() }
        #expect(simulation.isDone)
        #expect(simulation.ends.count == 120)
        #expect(simulation.doubles == 0)
        let loop = simulation.rig
        #expect(loop.loop.workerLoads.allSatisfy { $0.active == 0 })
        let active = loop.loop.hosts.values.reduce(0) { $0 + $1.machine.active }
        #expect(active == 0)
        #expect(loop.loop.tokens.isEmpty)
        #expect(loop.loop.commits.isEmpty)
        #expect(simulation.successions > 0)
        #expect(loop.staged.isEmpty)
        #expect(loop.loop.hosts.values.allSatisfy { $0.staged.count == 0 })
        #expect(loop.loop.hostsWithHops.isEmpty)
        #expect(loop.loop.activeSums == 0)
        #expect(simulation.mostActive.values.allSatisfy { $0 <= DispatchSimulation.connections })
    }
}
