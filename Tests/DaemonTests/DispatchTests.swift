// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Publish
import TestKit
import Testing

@testable import Daemon
@testable import Transfer

@Suite struct DispatchTests {
    private func first(_ rig: DispatchRig) throws -> TransferOrder { try #require(rig.orders.first) }
    private func attempts(_ change: JobChange?) -> Int? {
        switch change {
        case .requeued(_, let attempts, _, _, _), .paused(_, let attempts, _, _),
            .waiting(_, _, let attempts, _, _, _, _):
            attempts
        default: nil
        }
    }

    @Test func `a job goes from its start to done, and every counter is back where it was`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        rig.end(try first(rig), .complete(DispatchRig.part), status: 200)
        rig.loop.publishReported(.synced([JobSeq(1)]))
        rig.commit()
        rig.loop.publishReported(.renamed([JobSeq(1)]))
        rig.commit()
        #expect(rig.loop.tasks.isEmpty)
        #expect(rig.loop.tokens.isEmpty)
        #expect(rig.loop.commits.isEmpty)
        #expect(rig.loop.workerLoads.allSatisfy { $0.active == 0 })
        #expect(rig.loop.hosts[DispatchRig.host]?.machine.active == 0)
        #expect(rig.loop.board.isEmpty)
        guard case .ended(_, let outcome) = rig.changes.last else {
            Issue.record("no end")
            return
        }
        #expect(outcome.state == .done)
        #expect(rig.discarded.isEmpty)
    }

    @Test func `a due time set while due jobs are being released is not forgotten`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        // The ledger is asked for due jobs; meanwhile this one breaks; the answer knows nothing of it.
        rig.end(try first(rig), DispatchRig.failure(.stalled))
        rig.commit()
        #expect(rig.loop.nextDue != nil)
        rig.loop.ledgerReplied(.due([], next: nil))
        #expect(rig.loop.nextDue != nil)
    }

    @Test func `a list that is paused does not cost its jobs an attempt`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1, attempts: 2))
        let order = try first(rig)
        rig.command(.pause, .list(DispatchRig.list))
        #expect(rig.cancels == [order.token])
        rig.end(order, .cancelled(resume: nil))
        #expect(attempts(rig.changes.last) == 2)
        rig.commit()
        rig.turn()
        #expect(rig.orders.isEmpty)
    }

    @Test func `a stop does not cost an attempt`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        let order = try first(rig)
        rig.loop.stopTransfers(within: .seconds(1))
        rig.end(order, .cancelled(resume: nil))
        #expect(attempts(rig.changes.last) == 0)
    }

    @Test func `a failure costs an attempt`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        rig.end(try first(rig), DispatchRig.failure(.stalled))
        #expect(attempts(rig.changes.last) == 1)
    }

    @Test func `the part of a job whose bytes were the fault does not stay on disk`() throws {
        let rig = DispatchRig { $0.retry.maxAttempts = 1 }
        rig.arrive(DispatchRig.job(1))
        rig.end(try first(rig), DispatchRig.failure(.tooLarge, resume: DispatchRig.resume))
        #expect(rig.discarded == ["0000000000000001.part"])
    }

    @Test func `the part of a job cancelled while it waits for a hop does not stay on disk`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1, resume: DispatchRig.resume))
        rig.loop.hosts[HostKey("other")] = nil
        rig.end(try first(rig), .redirect(location: "http://other.example/b"), status: 302)
        rig.command(.cancel, .job(JobSeq(1), nil))
        #expect(rig.discarded == ["0000000000000001.part"])
    }

    @Test func `a redirect met by a drain is followed`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        rig.loop.mode = .draining(until: .distantFuture)
        rig.end(try first(rig), .redirect(location: "http://h.example/b"), status: 302)
        rig.turn()
        #expect(rig.orders.map(\.url.text) == ["http://h.example/b"])
        rig.loop.mode = .running
    }

    @Test func `news of before a pause does not let a paused list go on`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        rig.end(try first(rig), .cancelled(resume: nil))
        rig.commit()
        rig.command(.pause, .list(DispatchRig.list))
        rig.loop.ledgerReplied(.lists([DispatchRig.row(isPaused: false)]))
        rig.answerLanes(DispatchRig.lane, [(DispatchRig.job(2), .granted(known: nil))])
        rig.turn()
        let order = try first(rig)
        rig.loop.ledgerReplied(.lists([DispatchRig.row(isPaused: true)]))
        rig.turn()
        #expect(rig.cancels.contains(order.token))
    }

    @Test func `a shorter hold does not overwrite a longer one in the ledger`() {
        let rig = DispatchRig()
        rig.loop.hold(DispatchRig.host, for: .seconds(3600), reason: "http_429")
        rig.loop.hold(DispatchRig.host, for: .seconds(1), reason: "connect")
        rig.turn()
        let holds = rig.ledger.filter { if case .hold = $0 { true } else { false } }
        #expect(holds.count == 1)
    }

    @Test func `a dead host is held longer each time, whichever job met it`() throws {
        let rig = DispatchRig { $0.retry.baseDelay = .milliseconds(20) }
        var holds: [Duration] = []
        for seq in 1...3 as ClosedRange<Int64> {
            try eventually("the hold is over") {
                rig.turn()
                return rig.loop.verdict(for: DispatchRig.host) == .start
            }
            rig.arrive(DispatchRig.job(seq))
            rig.end(try first(rig), DispatchRig.failure(.connect, isConnect: true))
            let held = rig.loop.hosts[DispatchRig.host]?.machine.heldUntil
            let until = try #require(held)
            holds.append(until - rig.loop.now)
        }
        // Drawn from the upper quarter: 15 to 20 ms, 30 to 40, 60 to 80.
        #expect(holds[1] >= .milliseconds(30))
        #expect(holds[2] >= .milliseconds(60))
    }

    @Test func `a resume of a queued job does not take it out of the read-ahead`() throws {
        let rig = DispatchRig { $0.hosts.defaults.connections = 1 }
        rig.arrive([(DispatchRig.job(1), .granted(known: nil)), (DispatchRig.job(2), .granted(known: nil))])
        rig.command(.resume, .job(JobSeq(2), DispatchRig.lane))
        rig.end(try first(rig), .complete(DispatchRig.part), status: 200)
        rig.turn()
        #expect(rig.orders.map(\.seq) == [JobSeq(2)])
    }

    @Test func `a cancelled list also ends a job that was just coming to rest`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        rig.end(try first(rig), DispatchRig.failure(.stalled))
        rig.command(.cancel, .list(DispatchRig.list))
        rig.ledger = []
        rig.commit()
        let isCancelled = rig.ledger.contains {
            if case .command(let command) = $0, case .job(JobSeq(1), _) = command.target {
                command.verb == .cancel
            } else {
                false
            }
        }
        #expect(isCancelled)
    }

    @Test func `publishes cut off by a crash wait for the output to be there`() {
        let cutOff = InterruptedPublish(
            job: DispatchRig.job(1), part: "0000000000000001.part", path: OutputPath(trusted: "f1"),
            device: 1, inode: 2, size: 20,
            outcome: DispatchRig.outcome())
        let rig = DispatchRig(publishes: [cutOff], missing: "not mounted")
        #expect(rig.loop.outbox.rename.isEmpty)
        rig.read(free: 1 << 40)
        #expect(rig.loop.outbox.rename.values.flatMap { $0 }.map(\.seq) == [JobSeq(1)])
    }

    @Test func `hosts with open jobs are counted without growing`() {
        let rig = DispatchRig()
        var counts = StateCounts()
        counts.queued = 1
        for number in 0..<10_000 {
            rig.loop.ledgerReplied(.hosts([HostKey("h\(number).example"): counts]))
        }
        #expect(rig.loop.view.hostCounts.count <= DispatchView.maxHosts)
        counts.queued = 1_000_000
        rig.loop.ledgerReplied(.hosts([HostKey("big.example"): counts]))
        #expect(rig.loop.view.hostCounts[HostKey("big.example")]?.queued == 1_000_000)
    }

    @Test func `a GOAWAY charges nothing and a refused path ends the job`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        var failure = TransferFailure(JobError(.protocol, "GOAWAY"))
        failure.isUncharged = true
        rig.end(try first(rig), .failed(failure), status: nil)
        #expect(attempts(rig.changes.last) == 0)
    }

    @Test func `a job that was cancelled while it was being read does not run on`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        let order = try first(rig)
        rig.loop.ledgerReplied(.ignored([JobSeq(1)]))
        rig.turn()
        #expect(rig.cancels == [order.token])
    }

    @Test func `a job that the ledger had cancelled before it was to be published gets no file`() throws {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        rig.end(try first(rig), .complete(DispatchRig.part), status: 200)
        rig.publish(.synced([JobSeq(1)]))
        rig.loop.ledgerReplied(.ignored([JobSeq(1)]))
        rig.commit()
        #expect(rig.discarded == [DispatchRig.part.name])
        rig.commit()
        #expect(rig.loop.tasks.isEmpty && rig.loop.disowned.isEmpty)
        #expect(rig.loop.outbox.rename.isEmpty && rig.renamed.isEmpty)
        guard case .ended(_, let outcome) = rig.changes.last else {
            Issue.record("no end")
            return
        }
        #expect(outcome.state == .cancelled)
    }
}
