// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Transfer

/// A host's orders that workers have in hand beyond its transfers, oldest first.
struct StagedTokens {
    struct Item {
        let token: UInt64
        let worker: Int
        let since: MonotonicTime
        /// Its worker is asked to give it back.
        var isLeaving = false
    }
    var gauge = StageGauge()
    /// Of what is ordered from now on.
    var gate: StageGate?
    private(set) var items: [Item] = []
    private var counts: [Int: Int] = [:]

    var count: Int { items.count }
    func count(at worker: Int) -> Int { counts[worker] ?? 0 }
    mutating func add(_ item: Item) {
        items.append(item)
        counts[item.worker, default: 0] += 1
    }
    mutating func remove(_ token: UInt64) {
        // What begins is the oldest but for a few.
        guard let index = items.firstIndex(where: { $0.token == token }) else { return }
        counts[items.remove(at: index).worker, default: 1] -= 1
    }
    /// Those that are asked for now: all, or those of before a time.
    mutating func leave(before time: MonotonicTime = .distantFuture) -> [Item] {
        var leaving: [Item] = []
        for index in items.indices where !items[index].isLeaving && items[index].since < time {
            items[index].isLeaving = true
            leaving.append(items[index])
        }
        return leaving
    }
}

/// What concerns staged orders of all hosts.
struct StageDesk {
    /// In this turn more may be staged.
    var isOpen = false
    /// Hosts that have some, or had.
    var hosts: Set<HostKey> = []
    /// When those that have waited too long are looked for.
    var look: MonotonicTime?
}

// A worker has its next small files before it has ended the last: `StageGauge` says how many, `StageGate` until when.
// In the ledger a staged job is `queued`, its attempt begins when a report says that it has begun.
extension DispatchLoop {
    /// Not while a start has to be known before its first byte, nor where an attempt's time is counted from its order.
    var mayStageAnything: Bool {
        guard case .running = mode else { return false }
        let timeouts = plan.configuration.timeouts
        return timeouts.attempt == nil && timeouts.job == nil && !suspects.isCareful(now)
            && pauseReason == nil
    }

    /// The gate of orders for a host. One that a worker has closed stays until its report says why.
    mutating func gate(of key: HostKey) -> StageGate? {
        guard let host = hosts[key], host.machine.stage == .http1 else { return nil }
        if let gate = host.staged.gate { return gate }
        let gate = StageGate()
        host.staged.gate = gate
        return gate
    }

    /// Whether the lane's next job, that may not start now, is to be staged.
    func mayStage(_ entry: LaneBoard.Entry) -> Bool {
        guard staging.isOpen, let key = entry.job.laneHost else { return false }
        return stagePlace(entry.job, entry.claim, at: key) != nil
    }

    /// The worker that the job is staged with, if it may be.
    private func stagePlace(_ job: QueuedJob, _ claim: PathClaim, at key: HostKey) -> Int? {
        guard staging.isOpen, let host = hosts[key], host.machine.room == 0,
            let worker = stageWorker(key, host), case .granted = claim,
            case .download(let urls, _) = job.work, urls.count == 1
        else { return nil }
        let options = job.options
        let isPlain =
            job.resume == nil && job.errand == nil && job.crashes == 0 && options.split == nil
            && options.maxRate == nil && options.pieces == nil
            && (options.size ?? sizes[job.seq] ?? 0) <= StageGauge.largest
        return isPlain ? worker : nil
    }

    /// How many more orders of the host may be staged.
    func stageRoom(_ key: HostKey) -> Int {
        guard board.parkedCount(at: key) > 0, let host = hosts[key], takesStaged(key, host) else { return 0 }
        return workerLoads.indices.reduce(0) { $0 + max(0, stageRoom(host, at: $1)) }
    }

    /// The worker whose transfers of the host are followed by the fewest orders for what it may have.
    private func stageWorker(_ key: HostKey, _ host: HostEntry) -> Int? {
        guard takesStaged(key, host) else { return nil }
        var best: (worker: Int, room: Int)?
        for worker in workerLoads.indices {
            let room = stageRoom(host, at: worker)
            if room > (best?.room ?? 0) { best = (worker, room) }
        }
        return best?.worker
    }

    private func stageRoom(_ host: HostEntry, at worker: Int) -> Int {
        host.staged.gauge.depth(active: host.machine.spread.active(on: worker))
            - host.staged.count(at: worker)
    }

    private func takesStaged(_ key: HostKey, _ host: HostEntry) -> Bool {
        staging.isOpen && host.staged.gauge.depth(active: 1) > 0 && host.machine.takesStaged
            && host.staged.gate?.isOpen ?? true && host.hops.isEmpty && host.limiter == nil
            && !host.isGivingUp
            && (barrenHosts.isEmpty || !barrenHosts.contains(key))
            && !uplink.machine.isSuspect(key)
    }

    /// Hands the job to a worker that has transfers of its host, to be begun when one of them has ended well.
    mutating func stage(_ task: JobTask) -> Bool {
        guard let url = task.givenURL, let worker = stagePlace(task.job, task.claim, at: url.host) else {
            return false
        }
        let order = order(for: task, url, .http1)
        guard order.gate != nil else {
            tokens[task.token] = nil
            return false
        }
        task.url = url
        task.worker = worker
        _ = task.machine.handle(.staged)
        hosts[url.host]?.staged.add(.init(token: task.token, worker: worker, since: now))
        staging.hosts.insert(url.host)
        if staging.look == nil { staging.look = now + StageGauge.patience }
        outbox.workers[worker, default: []].append(.stage(order))
        return true
    }

    /// A worker has begun it in the place of one that ended.
    mutating func succeeded(by successor: Successor) {
        // Else it was begun by our own word meanwhile, and has a slot.
        guard let task = task(of: successor.token), case .staged = task.machine.state else { return }
        beginStaged(task, at: successor.begun)
    }

    /// Where the host has room again, what is staged there goes before what is queued.
    mutating func startStaged() {
        guard case .running = mode else { return }
        for key in Array(staging.hosts) {
            guard let host = hosts[key], host.staged.count > 0 else {
                staging.hosts.remove(key)
                continue
            }
            while case .start = verdict(for: key), let task = nextStaged(host), let worker = task.worker {
                outbox.workers[worker, default: []].append(.begin(token: task.token))
                beginStaged(task, at: now)
            }
        }
    }

    /// The oldest whose worker may open, or has, a connection for it.
    private func nextStaged(_ host: HostEntry) -> JobTask? {
        guard workerLoads.reduce(0, { $0 + $1.active }) < budget.limit else { return nil }
        let mayConnect =
            host.machine.active + host.machine.segments + host.idleTotal
            < host.machine.caps.connections
        for item in host.staged.items
        where !item.isLeaving && workerLoads[item.worker].active < plan.slotsPerWorker
            && (mayConnect || host.idle[item.worker, default: 0] > 0)
        {
            if let task = task(of: item.token), task.machine.request == nil { return task }
        }
        return nil
    }

    private mutating func beginStaged(_ task: JobTask, at time: MonotonicTime) {
        guard let key = task.url?.host, let worker = task.worker else { return }
        hosts[key]?.staged.remove(task.token)
        _ = beginAttempt(task, at: time)
        task.isActiveUncommitted = false
        _ = task.machine.handle(.started)
        takeSlot(task, host: key, worker: worker)
        promiseRoom(task)
    }

    /// Its worker has given it back, not begun: nothing was charged.
    mutating func unstaged(_ task: JobTask) {
        if let key = task.url?.host { hosts[key]?.staged.remove(task.token) }
        act(task.machine.handle(.stopped(keepsPart: false)), on: task)
    }

    /// All of them, or one host's, go back to the queue. One that its worker has begun meanwhile is under way like any
    /// other.
    mutating func withdrawStaged() {
        for key in Array(staging.hosts) { withdrawStaged(at: key) }
    }

    mutating func withdrawStaged(at key: HostKey) {
        guard let host = hosts[key] else { return }
        host.staged.gate?.close()
        host.staged.gate = nil
        unstage(host.staged.leave())
    }

    private mutating func unstage(_ items: [StagedTokens.Item]) {
        for item in items { outbox.workers[item.worker, default: []].append(.unstage(token: item.token)) }
    }

    /// A staged job is `queued` in the ledger: a cancel of its list would end it there, while it may be under way here.
    mutating func noteWithdrawal(_ task: JobTask) {
        guard case .staged = task.machine.state, task.machine.request == .cancel else { return }
        let started = task.startedAt ?? WallTime(milliseconds: WallClock.milliseconds())
        outbox.changes.append(.active(task.seq, attempts: task.attempts, startedAt: started))
    }

    /// Those that have waited too long behind longer transfers are taken back.
    mutating func lookAtStaged() {
        guard let look = staging.look, look <= now else { return }
        staging.look = nil
        for key in staging.hosts {
            guard let host = hosts[key] else { continue }
            let overdue = host.staged.leave(before: now + (.zero - StageGauge.patience))
            if !overdue.isEmpty { host.staged.gauge.outwaited() }
            unstage(overdue)
            if let next = host.staged.items.first(where: { !$0.isLeaving }) {
                staging.look = min(staging.look ?? .distantFuture, next.since + StageGauge.patience)
            }
        }
    }
}
