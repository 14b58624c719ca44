// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import TestKit
import Testing

@testable import Daemon
@testable import Transfer

/// Orders that a worker has before it may begin them, as the dispatcher gives them out and takes them back.
@Suite struct StagingDispatchTests {
    private let host = DispatchRig.host

    /// A host at its cap of 3 whose files are short, with 60 jobs, on one worker.
    private func busy(
        count: Int64 = 60, options: JobOptions = JobOptions(),
        _ configure: (inout Configuration) -> Void = { _ in }
    ) throws -> DispatchRig {
        let rig = DispatchRig(workers: 1) {
            $0.hosts.defaults.connections = 3
            configure(&$0)
        }
        rig.arrive((1...count).map { (DispatchRig.job($0, options: options), .granted(known: nil)) })
        let scout = try #require(rig.orders.first)
        rig.loop.transferReported(.connected(worker: 0, token: scout.token, isHTTP2: false, isUsable: true))
        rig.bring(scout)
        rig.turn()
        return rig
    }
    private func starts(_ rig: DispatchRig) -> Int {
        rig.changes.count { if case .active = $0 { true } else { false } }
    }
    private func requeues(_ rig: DispatchRig) -> [Int] {
        rig.changes.compactMap { if case .requeued(_, let attempts, _, _, _) = $0 { attempts } else { nil } }
    }

    @Test func `a worker gets the next small files ahead, in their order, and they own nothing`() throws {
        let rig = try busy()
        #expect(rig.orders.count == 3)
        #expect(rig.staged.count == 24)
        #expect(rig.staged.map(\.seq.rawValue) == Array(5...28))
        #expect(rig.loop.workerLoads[0].active == 3)
        #expect(rig.loop.hosts[host]?.machine.active == 3)
        #expect(starts(rig) == 4, "what is staged is not told to the ledger")
    }

    @Test func `one that took the place of another has its slot and its attempt`() throws {
        let rig = try busy()
        let next = try #require(rig.staged.first)
        rig.bring(rig.orders[0])
        let task = try #require(rig.loop.tasks[next.seq])
        #expect(task.machine.state == .transferring)
        #expect(task.attempts == 1 && task.slot == host && task.startedAt != nil)
        #expect(rig.loop.hosts[host]?.machine.active == 3)
        rig.turn()
        #expect(rig.staged.count == 24, "and another is staged")
        #expect(rig.orders.count == 3)
    }

    @Test func `time that it waited with its worker counts as queued, not as run`() throws {
        let rig = try busy()
        let next = try #require(rig.staged.first)
        let first = rig.orders[0]
        rig.orders.removeAll { $0.token == first.token }
        let begun = MonotonicTime(nanoseconds: rig.loop.now.nanoseconds - 3_000_000_000)
        let wall = WallClock.milliseconds()
        var report = TransferReport(
            token: first.token, seq: first.seq, worker: 0, result: .complete(DispatchRig.part))
        report.response.httpStatus = 200
        report.successor = Successor(token: next.token, begun: begun)
        rig.loop.transferReported(.finished(report))
        let task = try #require(rig.loop.tasks[next.seq])
        #expect(task.attemptStarted == begun)
        let started = try #require(task.startedAt).rawValue
        #expect(started >= wall - 3000 && started <= WallClock.milliseconds() - 3000)
    }

    @Test func `a place that nobody took goes to the oldest that is staged`() throws {
        let rig = try busy()
        let next = try #require(rig.staged.first)
        rig.bring(rig.orders[0], isSucceeded: false)
        #expect(rig.loop.hosts[host]?.machine.active == 2)
        rig.turn()
        #expect(rig.begun == [next.token])
        #expect(rig.loop.hosts[host]?.machine.active == 3)
        #expect(rig.orders.count == 3)
    }

    @Test func `a report that crosses our word to begin counts the order once`() throws {
        let rig = try busy()
        let next = try #require(rig.staged.first)
        rig.bring(rig.orders[0], isSucceeded: false)
        rig.turn()
        let other = rig.orders[0]
        rig.orders.removeAll { $0.token == other.token }
        var report = TransferReport(
            token: other.token, seq: other.seq, worker: 0, result: .complete(DispatchRig.part))
        report.response.httpStatus = 200
        report.successor = Successor(token: next.token, begun: rig.loop.now)
        rig.loop.transferReported(.finished(report))
        #expect(rig.loop.tasks[next.seq]?.attempts == 1)
        #expect(rig.loop.hosts[host]?.machine.active == 2)
        #expect(rig.loop.workerLoads[0].active == 2)
    }

    @Test(arguments: [503, 429])
    func `a refusal takes back what is staged, with no attempt counted`(status: Int) throws {
        let rig = try busy()
        let gate = try #require(rig.staged[0].gate)
        rig.end(rig.orders[0], DispatchRig.failure(.http(status)), status: status)
        #expect(!gate.isOpen)
        rig.turn()
        #expect(rig.cancels.isEmpty)
        #expect(rig.unstaged == rig.staged.map(\.token))
        rig.giveBackStaged()
        rig.commit()
        #expect(requeues(rig) == Array(repeating: 0, count: 24))
        #expect(rig.loop.hosts[host]?.staged.count == 0)
        #expect(starts(rig) == 4)
    }

    @Test func `a lost connection closes the gate of its host`() throws {
        let rig = try busy()
        let gate = try #require(rig.staged[0].gate)
        rig.end(rig.orders[0], DispatchRig.failure(.truncated))
        #expect(!gate.isOpen)
        rig.turn()
        #expect(rig.unstaged.count == 24)
        let later = rig.loop.gate(of: host)
        #expect(later !== gate && later?.isOpen == true)
    }

    @Test func `a list that is paused has its staged jobs back in the queue`() throws {
        let rig = try busy()
        rig.command(.pause, .list(DispatchRig.list))
        #expect(rig.cancels.count == 27)
        rig.giveBackStaged()
        rig.commit()
        #expect(requeues(rig) == Array(repeating: 0, count: 24))
    }

    @Test func `a list that is cancelled finds its staged jobs started, and ends them here`() throws {
        let rig = try busy()
        let before = starts(rig)
        rig.command(.cancel, .list(DispatchRig.list))
        #expect(starts(rig) - before == 24, "the ledger would end them by itself")
        rig.giveBackStaged()
        let ends = rig.changes.compactMap { change -> Outcome? in
            if case .ended(_, let outcome) = change { outcome } else { nil }
        }
        #expect(ends.count == 24)
        #expect(ends.allSatisfy { $0.state == .cancelled && $0.attempts == 0 && $0.startedAt == nil })
    }

    @Test func `one that begins before it hears that it is taken back is stopped, uncharged`() throws {
        let rig = try busy()
        let next = try #require(rig.staged.first)
        rig.command(.pause, .list(DispatchRig.list))
        rig.bring(rig.orders[0])
        #expect(rig.loop.tasks[next.seq]?.machine.state == .transferring)
        rig.end(next, .cancelled(resume: nil))
        rig.giveBackStaged()
        rig.commit()
        #expect(requeues(rig) == Array(repeating: 0, count: 24))
    }

    @Test func `a drain and a stop take back what is staged`() throws {
        let draining = try busy()
        draining.loop.mode = .draining(until: .distantFuture)
        draining.loop.withdrawStaged()
        draining.turn()
        #expect(draining.unstaged.count == 24 && draining.cancels.isEmpty)
        let stopping = try busy()
        stopping.loop.stopTransfers(within: .seconds(1))
        stopping.turn()
        #expect(stopping.cancels.count == 27)
    }

    @Test func `what waits too long behind a long file is taken back, and no more is staged`() throws {
        let rig = try busy()
        let past = MonotonicTime(nanoseconds: rig.loop.now.nanoseconds + 300_000_000)
        rig.loop.now = past
        rig.loop.lookAtStaged()
        rig.loop.startJobs()
        rig.turn()
        #expect(rig.unstaged.count == 24)
        rig.giveBackStaged()
        rig.commit()
        rig.turn()
        #expect(rig.staged.isEmpty)
    }

    @Test func `nothing is staged of what is large, divided, resumed, slowed or timed`() throws {
        var large = JobOptions()
        large.size = 2 << 20
        #expect(try busy(options: large).staged.isEmpty)
        var divided = JobOptions()
        divided.split = 4
        #expect(try busy(options: divided).staged.isEmpty)
        var slow = JobOptions()
        slow.maxRate = 1000
        #expect(try busy(options: slow).staged.isEmpty)
        #expect(try busy { $0.timeouts.attempt = .seconds(60) }.staged.isEmpty)
        #expect(try busy { $0.hosts.defaults.requestsPerSecond = 100_000 }.staged.isEmpty)
    }
}
