// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Publish

@testable import Daemon
@testable import Transfer

/// A dispatcher among stand-ins that answer late and at random: ledger, workers, publisher.
///
/// The ledger's stand-in keeps its promises only: requests are served in order, replies arrive in order.
final class DispatchSimulation {
    private enum Asked {
        case apply([JobChange], [(JobSeq, JobMachine.Event)])
        case request(LedgerRequest)
    }
    private enum Row { case queued, active, waiting(due: WallTime), publishing, ended }

    let rig: DispatchRig
    var random: SeededRandom
    private var jobs: [JobSeq: QueuedJob] = [:]
    private var order: [JobSeq] = []
    private var rows: [JobSeq: Row] = [:]
    private var asked: [Asked] = []
    private var published: [(JobSeq, isRename: Bool)] = []
    private var kept: [JobSeq] = []
    private(set) var ends: [JobSeq: Int] = [:]
    private(set) var mostActive: [HostKey: Int] = [:]
    private var hostOf: [UInt64: HostKey] = [:]
    /// Staged orders that have begun in the place of one that ended.
    private(set) var successions = 0
    static let connections = 3

    init(seed: UInt64, jobs count: Int) {
        random = SeededRandom(seed: seed)
        rig = DispatchRig {
            $0.hosts.defaults.connections = Self.connections
            $0.retry = RetryPolicy(maxAttempts: 3, baseDelay: .milliseconds(1), maxDelay: .milliseconds(2))
        }
        for number in 1...Int64(count) {
            let host = HostKey("h\(number % 5).example")
            var job = DispatchRig.job(
                number, url: "http://\(host)/\(number)", host: host, list: ListID(number % 2 + 1))
            job.lane = LaneKey(list: job.lane.list, host: HostID(rawValue: number % 5 + 1))
            jobs[job.seq] = job
            order.append(job.seq)
            rows[job.seq] = .queued
        }
        for list in 1...2 as ClosedRange<Int64> { rig.loop.board.wake(ListID(list)) }
    }

    var isDone: Bool { ends.count == jobs.count && rig.loop.tasks.isEmpty && asked.isEmpty }
    var doubles: Int { ends.values.count { $0 > 1 } }

    func step() {
        rig.loop.now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        rig.loop.fireTimers()
        rig.loop.startJobs()
        collect()
        for _ in 0..<Int.random(in: 0...3, using: &random) where !asked.isEmpty { serve(asked.removeFirst()) }
        if Bool.random(using: &random) { endTransfer() }
        if Bool.random(using: &random) { giveBack() }
        if Bool.random(using: &random) { publish() }
        if let seq = kept.popLast() { rig.loop.publishReported(.kept(seq, .stored)) }
    }

    private func collect() {
        let box = rig.loop.outbox
        rig.loop.outbox = DispatchLoop.Outbox()
        if !box.changes.isEmpty { asked.append(.apply(box.changes, box.commits)) }
        asked += box.ledger.map { .request($0) }
        for request in rig.loop.board.takeRequests() {
            switch request {
            case .lanes(let list, let after, let limit, let held):
                asked.append(.request(.lanes(list, after: after, limit: limit, includesHeld: held)))
            case .jobs(let lane, let generation, let after, let limit):
                asked.append(.request(.jobs(lane, generation: generation, after: after, limit: limit)))
            }
        }
        for command in box.workers.values.flatMap({ $0 }) {
            switch command {
            case .start(let order): begin(order)
            case .stage(let order): rig.staged.append(order)
            case .begin(let token): if let order = rig.takeStaged(token) { begin(order) }
            case .cancel(let token, _): cancelled.append((token, true))
            case .unstage(let token): cancelled.append((token, false))
            default: break
            }
        }
        published += box.sync.values.flatMap { $0 }.map { ($0.seq, false) }
        published += box.rename.values.flatMap { $0 }.map { ($0.seq, true) }
        for command in box.publish.values.flatMap({ $0 }) {
            if case .keep(let seq, _, _) = command { kept.append(seq) }
        }
    }

    private func begin(_ order: TransferOrder) {
        rig.orders.append(order)
        hostOf[order.token] = order.url.host
        let active = rig.orders.count { $0.url.host == order.url.host }
        mostActive[order.url.host] = max(mostActive[order.url.host] ?? 0, active)
    }

    /// A worker hears of a cancel late: until then what it is told to give back may begin.
    private func giveBack() {
        guard !cancelled.isEmpty else { return }
        let (token, isCancel) = cancelled.removeFirst()
        let running = isCancel ? rig.orders.first { $0.token == token } : nil
        guard let order = rig.takeStaged(token) ?? running else { return }
        rig.orders.removeAll { $0.token == token }
        rig.loop.transferReported(
            .finished(
                TransferReport(token: token, seq: order.seq, worker: 0, result: .cancelled(resume: nil))))
    }

    /// What a worker does with staged orders at an end.
    private func succeed(_ order: TransferOrder, _ report: inout TransferReport) {
        guard let gate = order.gate else { return }
        switch report.stageVerdict {
        case .closes: gate.close()
        case .stays: break
        case .succeeds:
            guard gate.isOpen, let next = rig.staged.first(where: { $0.gate === gate }),
                let taken = rig.takeStaged(next.token)
            else { return }
            successions += 1
            report.successor = Successor(token: taken.token, begun: rig.loop.now)
            begin(taken)
        }
    }

    private func serve(_ asked: Asked) {
        switch asked {
        case .apply(let changes, let commits):
            for change in changes { apply(change) }
            let ticket = rig.loop.nextTicket
            rig.loop.nextTicket += 1
            rig.loop.commits[ticket] = commits
            rig.loop.ledgerReplied(.committed(ticket: ticket))
        case .request(.lanes(let list, _, _, _)):
            let lanes = Set(
                order.filter { isQueued($0) }.compactMap { jobs[$0]?.lane }.filter { $0.list == list })
            let found = lanes.sorted { $0.host < $1.host }.map { lane in
                LaneRow(
                    key: lane, host: HostKey("h\(lane.host.rawValue - 1).example"), queued: 1, heldUntil: nil,
                    holdReason: nil)
            }
            rig.loop.ledgerReplied(.lanes(list, found, isLast: true))
        case .request(.jobs(let lane, let generation, let after, let limit)):
            let page = order.filter { $0 > after.seq && isQueued($0) && jobs[$0]?.lane == lane }.prefix(limit)
            let entries = page.compactMap { jobs[$0] }.map {
                LaneBoard.Entry(job: $0, claim: .granted(known: nil))
            }
            rig.loop.ledgerReplied(.jobs(lane, generation: generation, entries, isLast: page.count < limit))
        case .request(.releaseDue): releaseDue()
        case .request(.hurry(let host)): hurry(host)
        case .request: break
        }
    }

    private func isQueued(_ seq: JobSeq) -> Bool { if case .queued? = rows[seq] { true } else { false } }

    private func apply(_ change: JobChange) {
        if case .ended? = rows[change.seq] { return }
        switch change {
        case .active: rows[change.seq] = .active
        case .requeued(_, let attempts, _, _, _):
            rows[change.seq] = .queued
            jobs[change.seq]?.attempts = attempts
        case .waiting(_, let due, let attempts, _, _, _, let resume):
            rows[change.seq] = .waiting(due: due)
            jobs[change.seq]?.attempts = attempts
            jobs[change.seq]?.resume = resume
        case .paused, .checkpoint, .mirrored: break
        case .publishing: rows[change.seq] = .publishing
        case .ended:
            rows[change.seq] = .ended
            ends[change.seq, default: 0] += 1
        }
    }

    private func releaseDue() {
        let now = WallTime(milliseconds: WallClock.milliseconds())
        var lanes: Set<LaneKey> = []
        var next: WallTime?
        for seq in order {
            guard case .waiting(let due)? = rows[seq] else { continue }
            if due <= now {
                rows[seq] = .queued
                if let lane = jobs[seq]?.lane { lanes.insert(lane) }
            } else {
                next = [next, due].compactMap { $0 }.min()
            }
        }
        rig.loop.ledgerReplied(.due(Array(lanes), next: next))
    }

    /// Scouts that had their turn are queued again.
    private func hurry(_ host: HostKey) {
        var lanes: Set<LaneKey> = []
        for seq in order {
            guard case .waiting? = rows[seq], let job = jobs[seq], case .download(let urls, _) = job.work,
                urls.first?.host == host
            else { continue }
            rows[seq] = .queued
            lanes.insert(job.lane)
        }
        if !lanes.isEmpty { rig.loop.ledgerReplied(.reread(Array(lanes))) }
    }

    private func endTransfer() {
        guard let index = rig.orders.indices.randomElement(using: &random) else { return }
        let order = rig.orders.remove(at: index)
        let target = "http://h\(Int.random(in: 0..<5, using: &random)).example/r"
        let outcome = Int.random(in: 0..<12, using: &random)
        var status: Int?
        let result: TransferResult
        switch outcome {
        case 0: result = DispatchRig.failure(.connect, isConnect: true)
        case 1: result = DispatchRig.failure(.stalled, resume: DispatchRig.resume)
        case 2:
            var failure = TransferFailure(JobError(.protocol, "GOAWAY"))
            failure.isUncharged = true
            result = .failed(failure)
        case 3...4: (result, status) = (.redirect(location: target), 302)
        case 5: (result, status) = (DispatchRig.failure(.http(503)), 503)
        default: (result, status) = (.complete(DispatchRig.part), 200)
        }
        if Bool.random(using: &random) {
            rig.loop.transferReported(
                .connected(worker: 0, token: order.token, isHTTP2: false, isUsable: status != 503))
        }
        var report = TransferReport(token: order.token, seq: order.seq, worker: 0, result: result)
        report.response.httpStatus = status
        if case .complete = result { (report.timings.firstByte, report.timings.transfer) = (300_000, 10_000) }
        succeed(order, &report)
        rig.loop.transferReported(.finished(report))
    }

    private func publish() {
        guard !published.isEmpty else { return }
        let (seq, isRename) = published.removeFirst()
        switch (isRename, Int.random(in: 0..<10, using: &random)) {
        case (true, 0): rig.loop.publishReported(.nameTaken(seq))
        case (true, _): rig.loop.publishReported(.renamed([seq]))
        case (false, 0):
            rig.loop.publishReported(.syncFailed(seq, PublishTrouble(JobError(.pathConflict, "x"))))
        case (false, _): rig.loop.publishReported(.synced([seq]))
        }
        // The ledger answers a question for a number like any other, but needs no row of its own here.
        for request in rig.loop.outbox.ledger {
            if case .suffix(let seq, _) = request { numbers.append(seq) }
        }
        for seq in numbers { rig.loop.ledgerReplied(.suffix(seq, 1)) }
        numbers = []
    }
    private var numbers: [JobSeq] = []
    /// Whether what has begun is stopped too.
    private var cancelled: [(token: UInt64, isCancel: Bool)] = []
}
