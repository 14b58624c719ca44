// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import SumPool
import Testing

@testable import Daemon
@testable import Transfer

/// Files that are looked at before their server is asked, and jobs that fetch lists of digests.
@Suite struct DigestDispatchTests {
    private let zeros = Checksum(algorithm: .sha256, bytes: [UInt8](repeating: 0, count: 32))
    private let ones = Checksum(algorithm: .sha256, bytes: [UInt8](repeating: 1, count: 32))
    private let timings = SumTimings(queued: 0, run: 0, cpu: 0, worker: 0)

    private func arrive(_ rig: DispatchRig, _ seqs: ClosedRange<Int64>) {
        var options = JobOptions()
        options.checksum = zeros
        options.exists = .update
        rig.arrive(seqs.map { (DispatchRig.job($0, options: options), .granted(known: nil)) })
    }
    private func looks(_ rig: DispatchRig) -> [JobSeq] {
        rig.sums.compactMap { if case .look(let seq, _, _, _) = $0 { seq } else { nil } }
    }
    private func tell(_ rig: DispatchRig, _ event: SumEvent) {
        rig.loop.sumReported(event)
        rig.turn()
    }

    @Test func `a file in place that is right needs nothing of its host, not even one that is held`() {
        let rig = DispatchRig()
        rig.loop.hold(DispatchRig.host, for: .seconds(3600), reason: "http_429")
        arrive(rig, 1...3)
        #expect(looks(rig) == [JobSeq(1), JobSeq(2), JobSeq(3)])
        tell(rig, .found(JobSeq(1), size: 77))
        tell(rig, .digested(JobSeq(1), zeros, timings))
        guard case .ended(_, let outcome)? = rig.changes.last else {
            Issue.record("\(rig.changes)")
            return
        }
        #expect(outcome.state == .done && outcome.flags == [.unchanged])
        #expect(outcome.bytes == 77 && outcome.digest == zeros && outcome.attempts == 0)
        #expect(rig.orders.isEmpty)
    }

    @Test func `a file that is another, or is not there, is fetched without a second look`() throws {
        let rig = DispatchRig()
        arrive(rig, 1...2)
        tell(rig, .digested(JobSeq(1), ones, timings))
        let order = try #require(rig.orders.first)
        #expect(order.seq == JobSeq(1) && order.preflight == nil && order.condition == nil)
        tell(rig, .failed(JobSeq(2), JobError(.disk, "open f2: No such file or directory")))
        // The host is cold: its scout is out.
        #expect(rig.orders.count == 1)
        rig.loop.transferReported(.connected(worker: 0, token: order.token, isHTTP2: false, isUsable: true))
        rig.turn()
        #expect(rig.orders.map(\.seq) == [JobSeq(1), JobSeq(2)])
        #expect(rig.loop.tasks[JobSeq(2)]?.attempts == 1)
    }

    @Test func `no more are looked at than there are credits, and each that ends gives its own back`() {
        let rig = DispatchRig()
        rig.loop.hold(DispatchRig.host, for: .seconds(3600), reason: "http_429")
        let limit = min(CheckAhead.limit, rig.loop.plan.window / 2)
        arrive(rig, 1...Int64(limit + 50))
        #expect(looks(rig).count == limit)
        for seq in 1...Int64(20) { tell(rig, .digested(JobSeq(seq), zeros, timings)) }
        rig.commit()
        rig.turn()
        #expect(looks(rig).count == limit + 20)
        #expect(rig.loop.checks.out == limit)
    }

    @Test func `a list of digests is fetched within its limit, read and thrown away`() throws {
        let rig = DispatchRig { $0.limits.maxChecksumsSize = 1000 }
        var job = DispatchRig.job(
            -1, url: "http://h.example/SUMS", list: DigestErrand.list, path: ".dld/checksums/1")
        job.errand = DigestErrand(id: DigestListID(rawValue: 1), file: nil)
        rig.arrive(job)
        let order = try #require(rig.orders.first)
        #expect(order.maxFileSize == 1000)
        rig.end(order, .complete(DispatchRig.part), status: 200)
        let reading = try #require(rig.readings.drain().first)
        #expect(reading.directory == "/out/.dld/x" && reading.name == DispatchRig.part.name)
        #expect(reading.source == "http://h.example/SUMS" && reading.limit == 1000)
        rig.loop.digestsRead(DigestListID(rawValue: 1), .success(3))
        rig.turn()
        #expect(rig.discarded == [DispatchRig.part.name])
        guard case .ended(let seq, let outcome)? = rig.changes.last else {
            Issue.record("\(rig.changes)")
            return
        }
        #expect(seq == JobSeq(-1) && outcome.state == .done && outcome.path == nil)
    }

    @Test func `a local list of digests is read where it lies, after its own digest`() throws {
        let rig = DispatchRig { $0.spoolDir = "/spool" }
        var options = JobOptions()
        options.checksum = zeros
        var job = DispatchRig.job(
            -1, host: .files, list: DigestErrand.list, options: options, path: ".dld/checksums/1")
        job.work = .download(urls: [], path: OutputPath(trusted: ".dld/checksums/1"))
        job.errand = DigestErrand(id: DigestListID(rawValue: 1), file: "/spool/mine/SUMS")
        rig.arrive([(job, .granted(known: nil))], host: .files)
        #expect(rig.sums == [.digest(JobSeq(-1), directory: "/spool", name: "mine/SUMS", .sha256)])
        #expect(rig.loop.activeReadings == 1)
        tell(rig, .digested(JobSeq(-1), zeros, timings))
        #expect(rig.readings.drain().map(\.name) == ["mine/SUMS"])
        rig.loop.digestsRead(DigestListID(rawValue: 1), .failure(JobError(.digestMissing, "no")))
        rig.commit()
        #expect(rig.loop.activeReadings == 0)
        #expect(rig.discarded.isEmpty)
    }
}
