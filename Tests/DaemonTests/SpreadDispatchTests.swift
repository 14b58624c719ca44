// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import TestKit
import Testing

@testable import Daemon
@testable import Transfer

/// A host that speaks HTTP/2 on several workers, as the dispatcher carries it out.
@Suite struct SpreadDispatchTests {
    /// Two workers with four transfers each, four connections with two streams each.
    private func rig(_ jobs: Int64 = 20) throws -> DispatchRig {
        let rig = DispatchRig {
            $0.transfersPerWorker = 4
            $0.hosts.defaults.connections = 4
            $0.hosts.defaults.streams = 2
        }
        rig.arrive(
            (1...jobs).map { (DispatchRig.job($0, url: "https://h.example/a"), .granted(known: nil)) })
        answer(rig, 0, on: 0, Self.sight(1, 0))
        return rig
    }
    private static func sight(_ connections: Int, _ streams: Int) -> StreamSight {
        StreamSight(connections: connections, answered: connections, streams: streams)
    }
    /// All that both workers take.
    private func fill(_ rig: DispatchRig) {
        answer(rig, 2, on: 0, Self.sight(2, 1))
        answer(rig, 1, on: 0, Self.sight(2, 2))
        answer(rig, 4, on: 1, Self.sight(1, 0))
        answer(rig, 6, on: 1, Self.sight(2, 2))
    }
    private func answer(_ rig: DispatchRig, _ index: Int, on worker: Int, _ sight: StreamSight) {
        rig.loop.transferReported(
            .connected(
                worker: worker, token: rig.orders[index].token, isHTTP2: true, isUsable: true, sight: sight))
        rig.turn()
    }
    private func loads(_ rig: DispatchRig) -> [Int] { rig.loop.workerLoads.map(\.active) }

    @Test
    func `the second worker begins with one transfer once the first is full and its streams are proven`()
        throws
    {
        let rig = try rig()
        #expect(loads(rig) == [3, 0], "one opens the second connection")
        #expect(rig.orders.map(\.mayShareConnection) == [true, true, true])
        #expect(rig.orders.map(\.waitsForMultiplex) == [false, true, true])
        answer(rig, 2, on: 0, Self.sight(2, 1))
        #expect(loads(rig) == [4, 0], "one stream at a time is less than is counted on")
        answer(rig, 1, on: 0, Self.sight(2, 2))
        #expect(loads(rig) == [4, 1])
        answer(rig, 4, on: 1, Self.sight(1, 0))
        #expect(loads(rig) == [4, 3])
        answer(rig, 6, on: 1, Self.sight(2, 2))
        #expect(loads(rig) == [4, 4])
        #expect(rig.loop.hosts[DispatchRig.host]?.machine.connectionsInUse == 4)
        let opening = rig.orders.indices.filter { rig.orders[$0].opensConnection }
        #expect(opening == [4, 6], "on the second worker; before the proof it is libcurl's affair")
    }

    @Test func `what the jobs fill is opened as soon as the streams are proven, before their answers`() throws
    {
        let rig = try rig()
        #expect(rig.orders.map(\.streamsToProve) == [nil, 2, 2])
        var counts = StateCounts()
        (counts.queued, counts.active) = (17, 3)
        rig.loop.ledgerReplied(.hosts([DispatchRig.host: counts]))
        answer(rig, 2, on: 0, Self.sight(2, 1))
        #expect(loads(rig) == [4, 0])
        rig.loop.transferReported(
            .carried(worker: 0, token: rig.orders[1].token, sight: Self.sight(2, 2)))
        rig.turn()
        #expect(loads(rig) == [4, 2], "two open a connection each, and others wait for them")
        #expect(rig.orders.map(\.opensConnection) == [false, false, false, false, true, true])
        #expect(rig.loop.hosts[DispatchRig.host]?.machine.connectionsInUse == 4)
        answer(rig, 5, on: 1, Self.sight(1, 0))
        #expect(loads(rig) == [4, 3])
        #expect(rig.orders.last?.streamsToProve == nil)
    }

    @Test func `a host that is reached over HTTP 1 is not looked at for streams`() throws {
        let rig = DispatchRig()
        rig.arrive((1...8).map { (DispatchRig.job($0), .granted(known: nil)) })
        rig.loop.transferReported(
            .connected(worker: 0, token: rig.orders[0].token, isHTTP2: false, isUsable: true))
        rig.turn()
        #expect(rig.orders.count == 6)
        #expect(rig.orders.allSatisfy { !$0.mayShareConnection && !$0.waitsForMultiplex })
        #expect(loads(rig) == [3, 3])
    }

    @Test func `a connection that goes away on one worker sends one job first, the other worker's go on`()
        throws
    {
        let rig = try rig()
        fill(rig)
        #expect(loads(rig) == [4, 4])
        var gone = TransferFailure(JobError(.truncated, "x"))
        gone.isUncharged = true
        for order in rig.orders.suffix(2) { rig.end(order, .failed(gone)) }
        rig.turn()
        #expect(loads(rig).reduce(0, +) == 7, "one scout")
        #expect(rig.orders.count == 7)
        let scout = rig.orders.count - 1
        #expect(!rig.orders[scout].waitsForMultiplex)
        answer(rig, scout, on: 1, Self.sight(2, 2))
        #expect(loads(rig) == [4, 4])
    }
}
