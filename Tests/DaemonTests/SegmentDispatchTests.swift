// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Testing

@testable import Daemon
@testable import Transfer

/// Who gets the slots of a host that files in segments could use.
@Suite struct SegmentDispatchTests {
    private let host = DispatchRig.host

    private func asking(_ seq: Int64, split: Int) -> QueuedJob {
        var options = JobOptions()
        options.split = split
        return DispatchRig.job(seq, options: options)
    }
    /// The job's transfer is out, its host has shown what it speaks, and it could use so many more.
    private func divided(
        _ rig: DispatchRig, _ job: QueuedJob, wants: Int, isHTTP2: Bool = false
    ) throws -> TransferOrder {
        rig.arrive(job)
        let order = try #require(rig.orders.last)
        rig.loop.transferReported(
            .connected(worker: 0, token: order.token, isHTTP2: isHTTP2, isUsable: true))
        let wish = SegmentWish(count: wants, sources: [.init(place: 0, most: 16, weight: 10)])
        rig.loop.transferReported(.segmentsWanted(worker: 0, token: order.token, wish))
        rig.turn()
        return order
    }
    private func over(
        _ rig: DispatchRig, _ order: TransferOrder, _ change: (inout SegmentReport) -> Void = { _ in }
    )
        throws
    {
        var report = SegmentReport(token: order.token, worker: try worker(rig))
        change(&report)
        rig.loop.transferReported(.segmentOver(report))
        rig.turn()
    }
    private func worker(_ rig: DispatchRig) throws -> Int {
        try #require(rig.loop.workerLoads.indices.first { rig.loop.workerLoads[$0].active > 0 })
    }
    private func load(_ rig: DispatchRig) -> Int { rig.loop.workerLoads.reduce(0) { $0 + $1.active } }

    @Test func `a file alone gets what it could use, and never more than the host's cap`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 6 }
        let order = try divided(rig, DispatchRig.job(1), wants: 15)
        #expect(rig.opened == Array(repeating: order.token, count: 5))
        #expect(rig.loop.hosts[host]?.machine.segments == 5 && load(rig) == 6)
        #expect(rig.loop.hosts[host]?.machine.room == 0)
    }

    @Test func `the end of a transfer frees all that it had`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 6 }
        let order = try divided(rig, DispatchRig.job(1), wants: 3)
        #expect(rig.opened.count == 3)
        rig.end(order, .complete(DispatchRig.part), status: 200)
        #expect(rig.loop.hosts[host]?.machine.segments == 0 && load(rig) == 0)
        #expect(rig.loop.dividedJobs.isEmpty)
        // A word that comes late takes nothing from others.
        rig.loop.transferReported(.segmentOver(SegmentReport(token: order.token, worker: 0)))
        #expect(load(rig) == 0)
    }

    @Test func `jobs that wait get the slots back, one by one`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 4 }
        let order = try divided(rig, DispatchRig.job(1), wants: 15)
        #expect(rig.opened.count == 3)
        rig.arrive([(DispatchRig.job(2), .granted(known: nil)), (DispatchRig.job(3), .granted(known: nil))])
        #expect(rig.orders.count == 1 && rig.closed == [order.token])
        rig.turn()
        #expect(rig.closed.count == 1)
        try over(rig, order)
        #expect(rig.orders.count == 2)
        rig.turn()
        #expect(rig.closed.count == 2)
        try over(rig, order)
        #expect(rig.orders.count == 3 && rig.opened.count == 3)
        // Nobody waits any more: what is left is the file's.
        rig.turn()
        #expect(rig.closed.count == 2 && rig.loop.hosts[host]?.machine.segments == 1)
    }

    @Test func `files that share a host have eight connections together, and the last one what it could use`()
        throws
    {
        let rig = DispatchRig(workers: 1) { $0.hosts.defaults.connections = 64 }
        rig.arrive([(DispatchRig.job(1), .granted(known: nil)), (DispatchRig.job(2), .granted(known: nil))])
        let wish = SegmentWish(count: 15, sources: [.init(place: 0, most: 16, weight: 10)])
        rig.loop.transferReported(
            .connected(worker: 0, token: rig.orders[0].token, isHTTP2: false, isUsable: true))
        rig.turn()
        for order in rig.orders {
            rig.loop.transferReported(.segmentsWanted(worker: 0, token: order.token, wish))
        }
        rig.turn()
        #expect(rig.orders.count == 2 && rig.opened.count == 6 && Set(rig.opened).count == 2)
        let last = rig.orders[1]
        rig.end(rig.orders[0], .complete(DispatchRig.part), status: 200)
        rig.turn()
        #expect(rig.loop.hosts[host]?.machine.segments == 15 && rig.opened.last == last.token)
    }

    @Test func `a connection that is open already goes to an end that a new one could not help`() throws {
        let rig = DispatchRig(workers: 1) { $0.hosts.defaults.connections = 6 }
        rig.arrive([(DispatchRig.job(1), .granted(known: nil)), (DispatchRig.job(2), .granted(known: nil))])
        rig.loop.transferReported(
            .connected(worker: 0, token: rig.orders[0].token, isHTTP2: false, isUsable: true))
        rig.turn()
        let last = try #require(rig.orders.last)
        let wish = SegmentWish(count: 0, open: 3, sources: [.init(place: 0, most: 16, weight: 10)])
        rig.loop.transferReported(.segmentsWanted(worker: 0, token: last.token, wish))
        rig.turn()
        #expect(rig.opened.isEmpty)
        rig.loop.hosts[host]?.idle = [0: 2]
        rig.turn()
        #expect(rig.opened == [last.token, last.token])
        #expect(rig.loop.hosts[host]?.idle[0] == 0)
    }

    @Test func `what a list asked for is not taken from it`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 4 }
        let order = try divided(rig, asking(1, split: 3), wants: 2)
        #expect(rig.opened == [order.token, order.token])
        rig.arrive([(DispatchRig.job(2), .granted(known: nil)), (DispatchRig.job(3), .granted(known: nil))])
        #expect(rig.orders.count == 2 && rig.closed.isEmpty)
        // One that ends is asked for again before the job that waits is started.
        try over(rig, order) { $0.load = .success }
        #expect(rig.opened.count == 3 && rig.orders.count == 2)
    }

    @Test func `on HTTP 2 segments are connections beside the one that is shared`() throws {
        let rig = DispatchRig {
            $0.hosts.defaults.connections = 3
            $0.hosts.defaults.streams = 8
        }
        _ = try divided(rig, DispatchRig.job(1), wants: 15, isHTTP2: true)
        #expect(rig.opened.count == 2)
        rig.arrive([(DispatchRig.job(2), .granted(known: nil)), (DispatchRig.job(3), .granted(known: nil))])
        #expect(rig.orders.count == 3 && rig.closed.isEmpty)
    }

    @Test func `trouble of a segment halves the host's cap, and no job is charged`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 8 }
        let order = try divided(rig, DispatchRig.job(1), wants: 7)
        #expect(rig.opened.count == 7)
        try over(rig, order) { $0.load = .trouble }
        #expect(rig.loop.hosts[host]?.machine.capacity == 4)
        #expect(rig.loop.tasks[JobSeq(1)]?.machine.state == .transferring)
        #expect(rig.opened.count == 7)
    }

    @Test func `a segment that is told to wait holds its host`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 4 }
        let order = try divided(rig, DispatchRig.job(1), wants: 3)
        try over(rig, order) {
            $0.load = .trouble
            $0.retryAfter = .seconds(30)
        }
        #expect(rig.loop.hosts[host]?.machine.isHeld(now: rig.loop.now) == true)
        #expect(rig.opened.count == 3)
    }

    @Test func `a pace counts for segments too`() throws {
        let rig = DispatchRig {
            $0.hosts.defaults.connections = 8
            $0.hosts.defaults.requestsPerSecond = 0.001
        }
        _ = try divided(rig, DispatchRig.job(1), wants: 7)
        #expect(rig.opened.isEmpty)
    }

    @Test(
        arguments: [
            (nil, nil, nil, 16, false), (nil, nil, 4, 4, false), (nil, 2, nil, 2, false),
            (8, nil, nil, 8, true),
            (8, 4, nil, 4, true), (8, nil, 3, 3, true), (1, nil, nil, 1, true), (nil, nil, 1, 1, false),
        ] as [(Int?, Int?, Int?, Int, Bool)])
    func `what a list asks for counts within what the config allows a file`(
        split: Int?, perServer: Int?, perFile: Int?, most: Int, isAsked: Bool
    ) throws {
        var options = JobOptions()
        options.split = split
        options.connectionsPerServer = perServer
        let rig = DispatchRig { $0.segments.perFile = perFile }
        rig.arrive(DispatchRig.job(1, options: options))
        let rules = try #require(rig.orders.first).segments
        #expect(rules == SegmentRules(most: most, leastSize: 1 << 20, isAsked: isAsked))
    }
}
