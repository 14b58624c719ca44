// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Testing

@testable import Daemon
@testable import Transfer

/// Who gets the slots of a mirror's host for a share in a file that another host is bringing.
@Suite struct HelperDispatchTests {
    private let first = DispatchRig.host
    private let second = HostKey("m.example")

    private func job(
        _ seq: Int64, split: Int? = nil, _ change: (inout JobOptions) -> Void = { _ in }
    ) -> QueuedJob {
        var options = JobOptions()
        options.split = split
        change(&options)
        var job = DispatchRig.job(seq, options: options)
        let urls = [first, second].map {
            DownloadURL(text: "http://\($0)/\(seq)", scheme: "http", host: $0)
        }
        job.work = .download(urls: urls, path: OutputPath(trusted: "f\(seq)"))
        job.mirrors = MirrorRecord()
        return job
    }
    private func wish(_ count: Int, most: Int = 16, weights: [Int] = [10, 10]) -> SegmentWish {
        SegmentWish(
            count: count,
            sources: weights.enumerated().map { .init(place: $0.offset, most: most, weight: $0.element) })
    }
    /// The job's transfer is out, its host has answered, and it could use so many more.
    private func divided(_ rig: DispatchRig, _ job: QueuedJob, _ wish: SegmentWish) throws -> TransferOrder {
        rig.arrive(job)
        let order = try #require(rig.orders.last)
        rig.loop.transferReported(.connected(worker: 0, token: order.token, isHTTP2: false, isUsable: true))
        rig.loop.transferReported(.segmentsWanted(worker: 0, token: order.token, wish))
        rig.turn()
        return order
    }
    private func answered(_ rig: DispatchRig, _ order: TransferOrder, isUsable: Bool = true) {
        rig.loop.transferReported(
            .helperConnected(worker: 0, token: order.token, place: 1, isUsable: isUsable))
        rig.turn()
    }
    private func over(
        _ rig: DispatchRig, _ order: TransferOrder, _ change: (inout SegmentReport) -> Void = { _ in }
    ) throws {
        let busy = rig.loop.workerLoads.indices.first { rig.loop.workerLoads[$0].active > 0 }
        var report = SegmentReport(token: order.token, worker: try #require(busy), place: 1)
        change(&report)
        rig.loop.transferReported(.segmentOver(report))
        rig.turn()
    }
    private func segments(_ rig: DispatchRig, _ key: HostKey) -> Int {
        rig.loop.hosts[key]?.machine.segments ?? 0
    }
    private func load(_ rig: DispatchRig) -> Int { rig.loop.workerLoads.reduce(0) { $0 + $1.active } }

    @Test func `a mirror's host is scouted by one connection, and never has more than its cap`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 3 }
        let order = try divided(rig, job(1, split: 16), wish(15))
        #expect(order.place == 0 && order.helpers == [1])
        #expect(rig.helpers.map(\.place) == [1] && rig.helpers.map(\.order.url.host) == [second])
        #expect(segments(rig, first) == 1 && segments(rig, second) == 1)
        answered(rig, order)
        #expect(segments(rig, first) == 2 && segments(rig, second) == 3 && load(rig) == 6)
        rig.turn()
        #expect(load(rig) == 6 && rig.loop.hosts[second]?.machine.room == 0)
        rig.end(order, .complete(DispatchRig.part), status: 200)
        #expect(segments(rig, first) == 0 && segments(rig, second) == 0 && load(rig) == 0)
    }

    @Test func `the faster one gets more connections`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 16 }
        let order = try divided(rig, job(1, split: 9), wish(8, weights: [2, 10]))
        answered(rig, order)
        #expect(segments(rig, first) == 0 && segments(rig, second) == 8)
    }

    @Test func `a host that is held, has failed, or lies about ranges is not asked`() throws {
        for kind in 0..<3 {
            let rig = DispatchRig { $0.hosts.defaults.connections = 2 }
            rig.loop.ensureHost(second)
            switch kind {
            case 0: rig.loop.hold(second, for: .seconds(60), reason: "http_429")
            case 1: _ = rig.loop.hosts[second]?.machine.connectionFailed(.scout, now: rig.loop.now)
            default: rig.loop.noteRanges(.lies, host: second)
            }
            _ = try divided(rig, job(1, split: 16), wish(15))
            #expect(rig.helpers.isEmpty && segments(rig, first) == 1)
        }
    }

    @Test func `jobs that wait for the mirror's host get its slots back`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 2 }
        let order = try divided(rig, job(1), wish(2))
        answered(rig, order)
        #expect(segments(rig, second) == 1)
        // A lane of the other host, with more than there is room for.
        let lane = LaneKey(list: DispatchRig.list, host: HostID(rawValue: 2))
        let others = (2...3).map { seq in
            var job = DispatchRig.job(Int64(seq), url: "http://m.example/\(seq)", host: second)
            job.lane = lane
            return (job, PathClaim.granted(known: nil))
        }
        rig.loop.board.relist()
        rig.answerLanes(lane, host: second, others)
        rig.turn()
        #expect(rig.orders.count == 2 && rig.closed == [order.token])
        try over(rig, order)
        #expect(rig.orders.count == 3 && segments(rig, second) == 0)
    }

    @Test
    func `a mirror without the file is remembered, one that is refused holds its host, none is charged`()
        throws
    {
        let rig = DispatchRig { $0.hosts.defaults.connections = 2 }
        let order = try divided(rig, job(1, split: 4), wish(3))
        try over(rig, order) { $0.trouble = .init(error: JobError(.http(404), "gone")) }
        let task = try #require(rig.loop.tasks[JobSeq(1)])
        #expect(task.mirrors?.record.failures.map(\.isFinal) == [true])
        #expect(task.mirrors?.next == 0 && task.attempts == 1 && task.machine.state == .transferring)

        let other = DispatchRig { $0.hosts.defaults.connections = 2 }
        let slow = try divided(other, job(1, split: 4), wish(3))
        answered(other, slow, isUsable: false)
        try over(other, slow) {
            $0.load = .trouble
            $0.trouble = .init(error: JobError(.http(429), "busy"))
        }
        #expect(other.loop.hosts[second]?.machine.isHeld(now: other.loop.now) == true)
        #expect(other.loop.tasks[JobSeq(1)]?.mirrors?.record.failures.isEmpty == true)
    }

    @Test func `a dead mirror's scout leaves its host to its own jobs`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 2 }
        let order = try divided(rig, job(1, split: 4), wish(3))
        try over(rig, order) {
            $0.load = .trouble
            $0.trouble = .init(error: JobError(.connect, "refused"), isConnectFailure: true)
        }
        #expect(rig.loop.hosts[second]?.machine.failures == 1 && rig.helpers.count == 1)
        #expect(rig.loop.verdict(for: second) == .start)
    }

    @Test func `what a list has for its mirrors goes along to each, and a credential to its own origin`()
        throws
    {
        let rig = DispatchRig()
        let order = try divided(
            rig,
            job(1, split: 4) {
                $0.headers = [HeaderField(name: "X-Of", value: "list")]
                $0.checksum = nil
            }, wish(1))
        let helper = try #require(rig.helpers.first).order
        #expect(helper.headers == order.headers && helper.token == order.token && helper.place == 1)
        #expect(helper.url.text == "http://m.example/1")
    }

    @Test func `what a list allows a server holds for each, and split for all`() throws {
        let rig = DispatchRig()
        rig.arrive(job(1) { $0.connectionsPerServer = 1 })
        #expect(rig.orders.last?.segments == SegmentRules(most: 2, perSource: 1))
        let other = DispatchRig()
        other.arrive(job(2, split: 3) { $0.connectionsPerServer = 2 })
        let rules = other.orders.last?.segments
        #expect(rules == SegmentRules(most: 3, isAsked: true, perSource: 2))
    }
}
