// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import JobModel
import LinuxKit
import Publish
import Testing

@testable import Daemon
@testable import Transfer

/// The governor's wires in the dispatcher.
@Suite struct DispatchDiskTests {
    private static let gib: Int64 = 1 << 30
    private static let home = PartHome(Array("big".utf8))

    private func sized(_ seq: Int64, _ gib: Int64) -> QueuedJob {
        var options = JobOptions()
        options.size = gib << 30
        return DispatchRig.job(seq, options: options)
    }
    private func local(_ code: Int32, resume: ResumePoint? = nil) -> TransferResult {
        var failure = TransferFailure(JobError(.disk, "write part: refused"))
        failure.isLocal = true
        failure.systemCode = code
        failure.resume = resume
        return .failed(failure)
    }
    /// The first is the host's scout; with its answer the others may start.
    private func arrive(_ rig: DispatchRig, _ jobs: QueuedJob...) {
        rig.arrive(jobs.map { ($0, .granted(known: nil)) })
        warm(rig)
    }
    private func warm(_ rig: DispatchRig) {
        guard let scout = rig.orders.first else { return }
        rig.loop.transferReported(
            .connected(worker: 0, token: scout.token, isHTTP2: false, isUsable: true))
        rig.turn()
    }

    @Test func `a file that does not fit waits untouched and a smaller one behind it goes on`() {
        let rig = DispatchRig()
        rig.read(free: 10 * Self.gib)
        arrive(rig, sized(1, 20), sized(2, 1))
        #expect(rig.orders.map(\.seq) == [JobSeq(2)])
        #expect(rig.loop.tasks[JobSeq(1)] == nil)
        #expect(rig.loop.pauseReason == nil)
        #expect(rig.loop.diskWaits().map(\.count) == [1])
        // Room: the list is read again.
        rig.read(free: 30 * Self.gib)
        rig.answerLanes(DispatchRig.lane, [(sized(1, 20), .granted(known: nil))])
        rig.turn()
        #expect(rig.orders.map(\.seq) == [JobSeq(2), JobSeq(1)])
        #expect(rig.loop.diskWaits().isEmpty)
    }

    @Test func `promises of transfers under way count`() {
        let rig = DispatchRig()
        rig.read(free: 10 * Self.gib)
        arrive(rig, sized(1, 6), sized(2, 6), sized(3, 3))
        #expect(rig.orders.map(\.seq) == [JobSeq(1), JobSeq(3)])
    }

    @Test func `a length that the answer tells puts the job back, uncharged, and it is not asked again`()
        throws
    {
        let rig = DispatchRig()
        rig.read(free: 10 * Self.gib)
        rig.arrive(DispatchRig.job(1, attempts: 2))
        let order = try #require(rig.orders.first)
        rig.loop.transferReported(.sized(worker: 0, token: order.token, total: 20 * Self.gib))
        rig.turn()
        #expect(rig.cancels == [order.token])
        rig.end(order, .cancelled(resume: nil))
        guard case .requeued(_, let attempts, _, _, _)? = rig.changes.last else {
            Issue.record("not put back")
            return
        }
        #expect(attempts == 2)
        rig.commit()
        rig.answerLanes(DispatchRig.lane, [(DispatchRig.job(1, attempts: 2), .granted(known: nil))])
        rig.turn()
        #expect(rig.orders.isEmpty)
        #expect(rig.loop.hosts[DispatchRig.host]?.machine.active == 0)
    }

    @Test func `a length that fits is granted and promised`() throws {
        let rig = DispatchRig()
        rig.read(free: 10 * Self.gib)
        rig.arrive(DispatchRig.job(1))
        let order = try #require(rig.orders.first)
        rig.loop.transferReported(.sized(worker: 0, token: order.token, total: 6 * Self.gib))
        let granted = rig.loop.outbox.workers.values.flatMap { $0 }.contains {
            if case .granted(let token) = $0 { token == order.token } else { false }
        }
        #expect(granted)
        #expect(rig.loop.diskStatuses().first?.promised == 6 * Self.gib)
        rig.end(order, DispatchRig.failure(.stalled))
        #expect(rig.loop.diskStatuses().first?.promised == 0)
    }

    @Test func `transfers that run into a full disk at once are neither lost nor charged`() {
        let rig = DispatchRig()
        rig.read(free: 1 << 40)
        rig.arrive((1...6).map { (DispatchRig.job($0, attempts: 1), .granted(known: nil)) })
        warm(rig)
        let running = rig.orders
        #expect(running.count == 6)
        rig.end(running[0], local(28, resume: DispatchRig.resume))
        #expect(rig.loop.pauseReason?.0 == .disk)
        rig.turn()
        // The others are told to stop, their parts kept; some find out by themselves before.
        #expect(Set(rig.cancels) == Set(running.dropFirst().map(\.token)))
        for order in running[1...2] { rig.end(order, local(28, resume: DispatchRig.resume)) }
        for order in running[3...] { rig.end(order, .cancelled(resume: DispatchRig.resume)) }
        for order in running { rig.loop.publishReported(.kept(order.seq, .stored)) }
        rig.commit()
        #expect(rig.loop.tasks.isEmpty)
        let requeued = rig.changes.compactMap { change -> Int? in
            guard case .requeued(_, let attempts, _, _, let resume) = change, resume != nil else {
                return nil
            }
            return attempts
        }
        #expect(requeued == Array(repeating: 1, count: 6))
        rig.turn()
        #expect(rig.orders.isEmpty)
    }

    @Test func `EIO in fsync throws the part away and fetches it from zero, uncharged`() throws {
        let rig = DispatchRig()
        rig.read(free: 1 << 40)
        rig.arrive(DispatchRig.job(1, resume: DispatchRig.resume))
        rig.end(try #require(rig.orders.first), .complete(DispatchRig.part))
        let trouble = PublishTrouble(JobError(.disk, "fsync x: I/O error"), systemCode: 5)
        rig.loop.publishReported(.syncFailed(JobSeq(1), trouble))
        rig.turn()
        #expect(rig.discarded.count == 1)
        guard case .requeued(_, let attempts, _, _, let resume)? = rig.changes.last else {
            Issue.record("not put back")
            return
        }
        #expect(attempts == 0 && resume == nil)
        #expect(rig.loop.pauseReason == nil)
    }

    @Test func `a sync that could not be tried throws nothing away and is asked for again`() throws {
        let rig = DispatchRig()
        rig.read(free: 1 << 40)
        rig.arrive(DispatchRig.job(1))
        rig.end(try #require(rig.orders.first), .complete(DispatchRig.part))
        let trouble = PublishTrouble(JobError(.disk, "not there"), isUntried: true)
        rig.loop.publishReported(.syncFailed(JobSeq(1), trouble))
        rig.turn()
        #expect(rig.discarded.isEmpty && rig.loop.stalled == [JobSeq(1)])
        rig.loop.stalledLook = rig.loop.now
        rig.loop.disks = DiskGovernor(reserve: 0)
        rig.loop.disks.assume(.output, path: "/out")
        rig.loop.fireTimers()
        #expect(rig.loop.outbox.sync.values.flatMap { $0 }.map(\.seq) == [JobSeq(1)])
    }

    @Test func `descriptors that ran out lower the transfers and pause nothing`() throws {
        let rig = DispatchRig()
        rig.read(free: 1 << 40)
        rig.arrive(DispatchRig.job(1, attempts: 1))
        let before = rig.loop.budget.limit
        rig.end(try #require(rig.orders.first), local(24))
        #expect(rig.loop.pauseReason == nil)
        #expect(rig.loop.budget.limit < before)
        guard case .requeued(_, let attempts, _, _, _)? = rig.changes.last else {
            Issue.record("not put back")
            return
        }
        #expect(attempts == 1)
    }

    @Test func `a part goes to the mount of its final path, prepared before the first byte`() {
        let rig = DispatchRig(mounts: MountTable(homes: [Self.home]))
        rig.arrive(DispatchRig.job(1, path: "big/f"))
        #expect(rig.orders.isEmpty)
        #expect(rig.wanted.drain() == [Self.home])
        rig.read(free: 1 << 40, homes: [(Self.home, 1 << 40)])
        rig.answerLanes(DispatchRig.lane, [(DispatchRig.job(1, path: "big/f"), .granted(known: nil))])
        rig.turn()
        #expect(rig.orders.map(\.home) == [Self.home])
    }

    @Test func `a mount that is away holds its own jobs, and comes back by itself`() {
        let rig = DispatchRig(mounts: MountTable(homes: [Self.home]), missingHomes: [Self.home])
        rig.read(free: 1 << 40, missing: [Self.home])
        arrive(rig, DispatchRig.job(1, path: "big/f"), DispatchRig.job(2))
        #expect(rig.orders.map(\.seq) == [JobSeq(2)])
        #expect(rig.loop.diskWaits().map(\.reason) == [.outputMissing])
        rig.read(free: 1 << 40, homes: [(Self.home, 1 << 40)])
        rig.answerLanes(DispatchRig.lane, [(DispatchRig.job(1, path: "big/f"), .granted(known: nil))])
        rig.turn()
        #expect(rig.orders.map(\.seq) == [JobSeq(2), JobSeq(1)])
    }

    @Test func `an output that vanishes stops what runs, and says so`() throws {
        let rig = DispatchRig()
        rig.read(free: 1 << 40)
        rig.arrive(DispatchRig.job(1))
        var report = DiskReport()
        report.places = [DiskReport.Place(role: .output, path: "/out", missing: "/out: not mounted")]
        rig.loop.disksReported(report)
        rig.turn()
        #expect(rig.cancels == rig.orders.map(\.token))
        #expect(rig.loop.pauseReason?.0 == .outputMissing)
        #expect(rig.loop.diskStatuses().first?.paused == "/out: not mounted")
    }
}
