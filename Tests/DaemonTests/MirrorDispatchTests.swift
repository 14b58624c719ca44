// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Testing

@testable import Daemon
@testable import Transfer

/// Where jobs with several URLs start, and where they go on.
@Suite struct MirrorDispatchTests {
    private let second = HostKey("m.example")

    private func job(_ seq: Int64) -> QueuedJob {
        var job = DispatchRig.job(seq)
        let urls = [DispatchRig.host, second].map {
            DownloadURL(text: "http://\($0)/\(seq)", scheme: "http", host: $0)
        }
        job.work = .download(urls: urls, path: OutputPath(trusted: "f\(seq)"))
        job.mirrors = MirrorRecord()
        return job
    }
    private func mirrored(_ rig: DispatchRig) -> [(host: HostKey, record: MirrorRecord)] {
        rig.changes.compactMap {
            if case .mirrored(_, let host, let record) = $0 { (host, record) } else { nil }
        }
    }
    private func hold(_ rig: DispatchRig) {
        rig.loop.hold(DispatchRig.host, for: .seconds(60), reason: "http_429")
    }

    @Test func `a job changes its lane with the rest that follows a failure`() throws {
        let rig = DispatchRig()
        rig.arrive(job(1))
        rig.end(try #require(rig.orders.first), DispatchRig.failure(.http(404)), status: 404)
        let moved = try #require(mirrored(rig).first)
        #expect(moved.host == second && moved.record.failures.map(\.isFinal) == [true])
        guard case .requeued? = rig.changes.last else {
            Issue.record("it was not queued at once: \(rig.changes)")
            return
        }
        rig.commit()
        #expect(rig.loop.tasks.isEmpty)
    }

    @Test func `a job that goes well says nothing of its mirrors`() throws {
        let rig = DispatchRig()
        rig.arrive(job(1))
        rig.end(try #require(rig.orders.first), .complete(DispatchRig.part), status: 200)
        #expect(mirrored(rig).isEmpty)
    }

    @Test func `the lane of a held host is read for jobs that may start elsewhere`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 2 }
        hold(rig)
        // The first of the lane has to wait for its host.
        rig.arrive([DispatchRig.job(1), job(2), job(3), job(4)].map { ($0, .granted(known: nil)) })
        // A scout of the other host, and no more.
        #expect(rig.orders.map(\.url.host) == [second] && rig.orders.map(\.seq) == [JobSeq(2)])
        rig.loop.transferReported(
            .connected(worker: 0, token: rig.orders[0].token, isHTTP2: false, isUsable: true))
        rig.turn()
        #expect(rig.orders.map(\.seq) == [JobSeq(2), JobSeq(3)])
        rig.end(rig.orders[0], .complete(DispatchRig.part), status: 200)
        rig.turn()
        #expect(rig.orders.map(\.seq) == [JobSeq(3), JobSeq(4)])
        #expect(rig.loop.tasks[JobSeq(1)] == nil && rig.loop.tasks.values.allSatisfy { $0.attempts == 1 })
    }

    private func serves(_ rig: DispatchRig, _ order: TransferOrder) {
        rig.loop.transferReported(.connected(worker: 0, token: order.token, isHTTP2: false, isUsable: true))
        rig.turn()
    }

    /// Those that are out, in the order of their jobs: `1h` is the first job at its own host.
    private func out(_ rig: DispatchRig) -> [String] {
        rig.orders.sorted { $0.seq.rawValue < $1.seq.rawValue }.map {
            "\($0.seq.rawValue)\($0.url.host.rawValue.prefix(1))"
        }
    }
    private func order(_ rig: DispatchRig, _ seq: Int64) throws -> TransferOrder {
        try #require(rig.orders.first { $0.seq == JobSeq(seq) })
    }

    @Test func `a host that has all it may have lets the next job start at its mirror, and no sooner`() throws
    {
        let rig = DispatchRig { $0.hosts.defaults.connections = 2 }
        rig.arrive((1...6).map { (job($0), .granted(known: nil)) })
        // One that is being scouted may have room in a moment.
        #expect(out(rig) == ["1h"])
        serves(rig, try order(rig, 1))
        // The second and no more of the first host, and a scout of the other.
        #expect(out(rig) == ["1h", "2h", "3m"])
        serves(rig, try order(rig, 3))
        #expect(out(rig) == ["1h", "2h", "3m", "4m"])
        // Both are full: the job that waits goes where a slot comes free first.
        rig.turn()
        #expect(rig.orders.count == 4)
        rig.end(try order(rig, 4), .complete(DispatchRig.part), status: 200)
        rig.turn()
        #expect(out(rig) == ["1h", "2h", "3m", "5m"])
        rig.end(try order(rig, 1), .complete(DispatchRig.part), status: 200)
        rig.turn()
        #expect(out(rig) == ["2h", "3m", "5m", "6h"])
    }

    @Test func `of a host that is merely full one job is looked at, and those without mirrors wait`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 1 }
        rig.arrive([job(1), DispatchRig.job(2), job(3)].map { ($0, .granted(known: nil)) })
        serves(rig, rig.orders[0])
        #expect(rig.orders.map(\.seq) == [JobSeq(1)])
        rig.end(rig.orders[0], .complete(DispatchRig.part), status: 200)
        rig.turn()
        // It is the turn of the second; the third no longer waits for its host.
        #expect(out(rig) == ["2h", "3m"])
    }

    @Test func `lanes that wait for a slot are looked at again when their host is held`() throws {
        let rig = DispatchRig()
        rig.arrive([job(1), job(2)].map { ($0, .granted(known: nil)) })
        #expect(rig.orders.map(\.url.host) == [DispatchRig.host])
        hold(rig)
        rig.turn()
        #expect(rig.orders.map(\.url.host) == [DispatchRig.host, second])
    }

    @Test func `the length that one told is what the others must have`() throws {
        let rig = DispatchRig()
        var known = job(1)
        var record = MirrorRecord()
        record.size = 700
        record.measured = 1
        known.mirrors = record
        rig.arrive(known)
        #expect(rig.orders.map(\.expectedSize) == [700])
    }
}
