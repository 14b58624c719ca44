// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Publish
import SumPool
import Testing

@testable import Daemon
@testable import Transfer

private func first(_ rig: DispatchRig) throws -> TransferOrder { try #require(rig.orders.first) }

private func stored(_ changes: [JobChange]) -> [Int64] {
    changes.compactMap { if case .checkpoint(_, _, let resume) = $0 { resume.bytes } else { nil } }
}

private func reach(_ rig: DispatchRig, _ order: TransferOrder, _ bytes: Int64) {
    var point = DispatchRig.resume
    point.bytes = bytes
    let item = TransferCheckpoint(
        token: order.token, checkpoint: Checkpoint(resume: point, fetchedBytes: bytes))
    rig.loop.transferReported(.checkpoint(worker: 0, [item]))
    rig.turn()
}

/// Checkpoints, kept parts and whole parts as the dispatcher sees them.
@Suite struct PartDispatchTests {
    @Test func `a checkpoint is synced first, stored then, and waited for by nobody`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        let order = try first(rig)
        reach(rig, order, 10)
        reach(rig, order, 20)
        reach(rig, order, 30)
        #expect(rig.checkpoints.map(\.token) == [order.token])
        #expect(stored(rig.changes).isEmpty)
        rig.publish(.checkpointed(JobSeq(1), token: order.token, .stored))
        #expect(stored(rig.changes) == [10])
        #expect(rig.checkpoints.count == 2)
        rig.publish(.checkpointed(JobSeq(1), token: order.token, .stored))
        #expect(stored(rig.changes) == [10, 30])
        #expect(rig.cancels.isEmpty)
    }

    @Test func `a checkpoint that comes late has no effect`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        let order = try first(rig)
        reach(rig, order, 10)
        rig.end(order, .complete(DispatchRig.part), status: 200)
        rig.publish(.checkpointed(JobSeq(1), token: order.token, .stored))
        #expect(stored(rig.changes).isEmpty)
        rig.publish(.checkpointed(JobSeq(9), token: 99, .lost))
        #expect(stored(rig.changes).isEmpty)
    }

    @Test func `after a sync that failed the part is thrown away and nothing is charged`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1, resume: DispatchRig.resume))
        let order = try first(rig)
        reach(rig, order, 15)
        rig.publish(.checkpointed(JobSeq(1), token: order.token, .lost))
        rig.turn()
        #expect(rig.cancels == [order.token])
        // It was whole before the word to stop came: it is not published all the same.
        rig.end(order, .complete(DispatchRig.part), status: 200)
        #expect(rig.discarded == ["0000000000000001.part"])
        guard case .requeued(_, let attempts, _, _, nil) = rig.changes.last else {
            Issue.record("\(String(describing: rig.changes.last))")
            return
        }
        #expect(attempts == 0)
    }

    @Test func `a job that fails leaves what it had, synced, for a later one`() throws {
        let rig = DispatchRig { $0.retry.maxAttempts = 1 }
        rig.arrive(DispatchRig.job(1))
        rig.end(try first(rig), DispatchRig.failure(.stalled, resume: DispatchRig.resume))
        #expect(rig.kept == ["0000000000000001.part"])
        #expect(stored(rig.changes).isEmpty)
        rig.publish(.kept(JobSeq(1), .stored))
        #expect(rig.discarded.isEmpty)
        guard case .ended(_, let outcome)? = rig.changes.last else {
            Issue.record("\(rig.changes)")
            return
        }
        #expect(outcome.state == .failed)
        #expect(stored(rig.changes) == [10])
    }

    @Test func `a part whose disk went away is gone on with from its last checkpoint`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1, resume: DispatchRig.resume))
        let order = try first(rig)
        var further = DispatchRig.resume
        further.bytes = 18
        rig.end(order, DispatchRig.failure(.stalled, resume: further))
        rig.publish(.kept(JobSeq(1), .missed))
        guard case .waiting(_, _, _, _, _, _, let resume)? = rig.changes.last else {
            Issue.record("\(rig.changes)")
            return
        }
        #expect(resume == DispatchRig.resume)
        #expect(rig.discarded.isEmpty)
    }

    @Test func `a part whose sync failed goes at once`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1, resume: DispatchRig.resume))
        rig.end(try first(rig), DispatchRig.failure(.stalled, resume: DispatchRig.resume))
        rig.publish(.kept(JobSeq(1), .lost))
        guard case .waiting(_, _, _, _, _, _, nil)? = rig.changes.last else {
            Issue.record("\(rig.changes)")
            return
        }
        #expect(rig.discarded == ["0000000000000001.part"])
    }

    @Test func `with no retention the part of a failed job goes`() throws {
        let rig = DispatchRig {
            $0.retry.maxAttempts = 1
            $0.retention.parts = .zero
        }
        rig.arrive(DispatchRig.job(1))
        rig.end(try first(rig), DispatchRig.failure(.stalled, resume: DispatchRig.resume))
        #expect(rig.discarded == ["0000000000000001.part"])
    }

    @Test func `a whole part with a digest needs no request, and a wrong digest fetches it from zero`() throws
    {
        var whole = DispatchRig.resume
        whole.bytes = 20
        var options = JobOptions()
        options.checksum = Checksum("sha-256=" + String(repeating: "0", count: 64))
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1, attempts: 2, resume: whole, options: options))
        #expect(rig.orders.isEmpty)
        let wrong = try #require(Checksum("sha-256=" + String(repeating: "1", count: 64)))
        rig.loop.sumReported(.digested(JobSeq(1), wrong, SumTimings(queued: 0, run: 0, cpu: 0, worker: 0)))
        rig.turn()
        #expect(rig.discarded == ["0000000000000001.part"])
        guard case .waiting(_, _, let attempts, _, _, let error, nil) = rig.changes.last else {
            Issue.record("\(String(describing: rig.changes.last))")
            return
        }
        #expect(attempts == 2)
        #expect(error.code == .digestMismatch)
        // The removal is still on its way: the next part has another name.
        rig.commit()
        var again = DispatchRig.job(1, attempts: 2, options: options)
        again.mismatches = 1
        rig.arrive(again)
        #expect(try first(rig).partName == "0000000000000001.1.part")
    }

    @Test(arguments: [false, true])
    func `the second wrong digest ends the job with both values, its file kept where asked for`(
        keeps: Bool
    ) throws {
        var whole = DispatchRig.resume
        whole.bytes = 20
        var options = JobOptions()
        options.checksum = Checksum("sha-256=" + String(repeating: "0", count: 64))
        var job = DispatchRig.job(1, attempts: 2, resume: whole, options: options, path: "d/a.iso")
        job.mismatches = 1
        let rig = DispatchRig { $0.digest.keepsBad = keeps }
        rig.arrive(job)
        let wrong = try #require(Checksum("sha-256=" + String(repeating: "1", count: 64)))
        rig.loop.sumReported(.digested(JobSeq(1), wrong, SumTimings(queued: 0, run: 0, cpu: 0, worker: 0)))
        rig.turn()
        guard case .ended(_, let outcome) = rig.changes.last, let error = outcome.error else {
            Issue.record("\(String(describing: rig.changes.last))")
            return
        }
        #expect(error.code == .digestMismatch)
        #expect(
            error.message.contains("expected sha256:0000") && error.message.contains("received sha256:1111"))
        #expect(error.message.contains(".dld/quarantine/0000000000000001.a.iso") == keeps)
        #expect(rig.quarantined == (keeps ? ["0000000000000001.a.iso"] : []))
        #expect(rig.discarded == (keeps ? [] : ["0000000000000001.part"]))
    }

    @Test func `a whole part without a digest of the list is asked about`() throws {
        var whole = DispatchRig.resume
        whole.bytes = 20
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1, attempts: 1, resume: whole))
        #expect(try first(rig).resume == whole)
        #expect(try first(rig).partName == "0000000000000001.1.part")
    }

    @Test func `no range is asked of a host that lied, and the ledger knows it`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1, resume: DispatchRig.resume))
        let order = try first(rig)
        #expect(order.asksRanges)
        var report = TransferReport(
            token: order.token, seq: order.seq, worker: 0, result: DispatchRig.failure(.stalled))
        report.ranges = .lies
        rig.loop.transferReported(.finished(report))
        rig.turn()
        let isNoted = rig.ledger.contains {
            if case .rangeConduct(DispatchRig.host, lies: true) = $0 { true } else { false }
        }
        #expect(isNoted)
        #expect(!rig.loop.ranges.asksRanges(of: DispatchRig.host))
        rig.command(.resume, .host(DispatchRig.host))
        #expect(rig.loop.ranges.asksRanges(of: DispatchRig.host))
    }

    @Test func `old parts are looked for at the start, and in batches`() {
        let rig = DispatchRig()
        rig.turn()
        let looks = { rig.ledger.count { if case .expireParts = $0 { true } else { false } } }
        #expect(looks() == 1)
        rig.turn()
        #expect(looks() == 1)
        rig.loop.ledgerReplied(
            .expired(
                ["a", "b"].map { ExpiredPart(name: "\($0).part", path: OutputPath(trusted: $0)) },
                isLast: false))
        #expect(rig.loop.nextPartLook <= rig.loop.now + .seconds(1))
        rig.loop.nextPartLook = rig.loop.now
        rig.turn()
        #expect(rig.discarded == ["a.part", "b.part"])
        #expect(looks() == 2)
    }
}
