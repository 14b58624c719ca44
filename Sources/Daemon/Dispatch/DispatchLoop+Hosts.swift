// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Transfer

/// A host in memory: its machine, the hops that wait for it, and where its connections are.
///
/// A class, so that the counts change in place. Never leaves the dispatcher's thread.
final class HostEntry {
    var machine: HostMachine
    /// Redirected transfers and second looks: they go before the host's queued jobs.
    var hops = Queue<JobSeq>()
    /// Per worker: connections that idle in its cache as far as we know.
    var idle: [Int: Int] = [:]
    var lastUsed: MonotonicTime
    /// Orders that workers have for it beyond its transfers.
    var staged = StagedTokens()
    /// Set where the config limits this host's bytes a second.
    var limiter: RateLimiter?
    /// What it is set to now, bytes a second.
    var rateLimit: Int64?
    /// Jobs that it sent away lately.
    var refused = RefusalMemory()
    /// How long it has given nothing usable, and what was wrong last.
    var barren = BarrenClock()
    var lastTrouble: String?
    /// The ledger is failing its jobs, so many by now.
    var isGivingUp = false
    var failedJobs = 0
    /// It has been given up, and jobs may be left that come back to it.
    var hasGivenUp = false
    /// Jobs that were its scouts rest until the others had their turn.
    var hasTurnsWaiting = false
    /// Jobs of other lanes, redirected to it, rest until about then.
    var awaitedUntil: MonotonicTime?

    init(machine: HostMachine, lastUsed: MonotonicTime) {
        self.machine = machine
        self.lastUsed = lastUsed
    }

    var idleTotal: Int { idle.values.reduce(0, +) }
}

/// What a worker has to do.
struct WorkerLoad {
    var active = 0
}

extension DispatchLoop {
    static var maxHosts: Int { 4096 }

    mutating func ensureHost(_ key: HostKey) {
        if hosts[key] == nil {
            if hosts.count >= Self.maxHosts { forgetHosts() }
            let entry = HostEntry(machine: HostMachine(caps: plan.caps(for: key)), lastUsed: now)
            entry.machine.jobs = view.hostCounts[key].map { $0.queued + $0.active } ?? 0
            limit(entry, key)
            hosts[key] = entry
        }
        hosts[key]?.lastUsed = now
    }

    /// A bounded memory of hosts: the quarter that was used longest ago goes, busy and held ones stay.
    private mutating func forgetHosts() {
        let idle = hosts.filter {
            $0.value.machine.isForgettable(now: now) && $0.value.hops.isEmpty && !$0.value.isGivingUp
                && $0.value.staged.count == 0
        }
        .sorted { $0.value.lastUsed < $1.value.lastUsed }
        for (key, _) in idle.prefix(Self.maxHosts / 4) {
            storeBarren(key)
            barrenHosts.remove(key)
            hosts[key] = nil
        }
    }

    func verdict(for key: HostKey) -> HostMachine.Verdict {
        if key == .none { return activeSums < Self.maxSums ? .start : .full(.window) }
        if key == .files { return activeReadings < Self.maxReadings ? .start : .full(.window) }
        if uplink.machine.isSuspect(key), let look = uplink.machine.nextLook {
            return .wait(until: look, .network)
        }
        guard let host = hosts[key] else { return .start }
        return host.isGivingUp ? .full(.hostHeld) : host.machine.verdict(now: now)
    }

    /// The worker with a warm connection to the host while it has room, else the least loaded; nil: none may.
    ///
    /// Idle connections in other workers' caches count as open ones: a new one is made only while the host's cap
    /// has room for it. Where those of an HTTP/2 host go, its machine says.
    func chooseWorker(for key: HostKey) -> Int? {
        let room = plan.slotsPerWorker
        guard let host = hosts[key] else { return leastLoaded(room: room) }
        if host.machine.stage == .http2 { return host.machine.worker { workerLoads[$0].active } }
        let warm = host.idle.filter { $0.value > 0 && workerLoads[$0.key].active < room }
        if let best = warm.min(by: { workerLoads[$0.key].active < workerLoads[$1.key].active }) {
            return best.key
        }
        let open = host.machine.active + host.machine.segments + host.idleTotal
        if host.machine.stage == .http1, open >= host.machine.caps.connections { return nil }
        return leastLoaded(room: room)
    }

    /// So many jobs of the host the ledger knows now: they may fill more connections.
    mutating func noteCounts(_ counts: StateCounts, of key: HostKey) {
        view.note(counts, of: key)
        guard let host = hosts[key] else { return }
        host.machine.jobs = counts.queued + counts.active
        if host.machine.stage == .http2 { freed(key) }
    }

    private func leastLoaded(room: Int) -> Int? {
        var best: Int?
        for index in workerLoads.indices where workerLoads[index].active < room {
            if best == nil || workerLoads[index].active < workerLoads[best!].active { best = index }
        }
        return best
    }

    /// A transfer takes a slot of its host on that worker.
    mutating func takeSlot(_ task: JobTask, host key: HostKey, worker: Int) {
        task.role = hosts[key]?.machine.started(now: now, on: worker) ?? .ordinary
        if let idle = hosts[key]?.idle[worker], idle > 0 { hosts[key]?.idle[worker] = idle - 1 }
        workerLoads[worker].active += 1
        task.slot = key
        task.worker = worker
    }

    /// Gives the slot back. `keptConnection`: the worker's cache now holds one more idle connection.
    mutating func freeSlot(_ task: JobTask, keptConnection: Bool, end: AdaptiveCap.End) {
        guard let key = task.slot, let worker = task.worker else { return }
        task.slot = nil
        workerLoads[worker].active -= 1
        guard let host = hosts[key] else { return }
        host.machine.finished(task.role, end, on: worker)
        if keptConnection, host.machine.stage != .http2 { host.idle[worker, default: 0] += 1 }
        if host.machine.stage == .http2 { host.idle = host.machine.active == 0 ? [worker: 1] : [:] }
        slotFreed(key)
    }

    /// A slot of the host, and of a worker, is there for others.
    mutating func slotFreed(_ key: HostKey) {
        hosts[key]?.lastUsed = now
        freed(key)
        for starved in starvedHosts { freed(starved) }
        starvedHosts.removeAll()
    }

    /// Lets parked lanes of the host back in, as many as it has room for.
    mutating func freed(_ key: HostKey) {
        freeMirrored(by: key)
        guard key != .none else {
            board.hostFreed(key, slots: Self.maxSums - activeSums)
            return
        }
        guard key != .files else {
            board.hostFreed(key, slots: Self.maxReadings - activeReadings)
            return
        }
        guard let machine = hosts[key]?.machine else {
            board.hostFreed(key, slots: 1)
            return
        }
        switch verdict(for: key) {
        case .start: board.hostFreed(key, slots: machine.room + stageRoom(key))
        // Its lanes were parked because it was full: without this nobody would look again when the time has come.
        case .wait: considerHost(key)
        case .full: board.hostFreed(key, slots: stageRoom(key))
        }
    }

    mutating func hold(_ key: HostKey, for delay: Duration, reason: String) {
        guard delay > .zero else { return }
        ensureHost(key)
        let before = hosts[key]?.machine.heldUntil
        hosts[key]?.machine.hold(until: now + delay, reason: reason)
        // The ledger keeps what was told last: never the shorter of two.
        guard hosts[key]?.machine.heldUntil != before else { return }
        withdrawStaged(at: key)
        // Their jobs may have mirrors.
        board.hostFreed(key, slots: board.parkedCount(at: key))
        let until = WallTime(milliseconds: WallClock.milliseconds()) + delay
        outbox.ledger.append(.hold(key, until: until, reason: reason))
        storeBarren(key)
        remark(
            .notice, "host held",
            [
                ("host", key.rawValue), ("seconds", "\(Int(delay.secondsDouble.rounded(.up)))"),
                ("reason", reason),
            ])
    }

    /// What an earlier run noted. Wall time from the ledger, monotonic from here on, never further off than a day.
    mutating func restoreHold(_ key: HostKey, until: WallTime, reason: String?) {
        let wall = WallTime(milliseconds: WallClock.milliseconds())
        guard until > wall else { return }
        ensureHost(key)
        let left = Duration.milliseconds(min(until.rawValue - wall.rawValue, 86_400_000))
        hosts[key]?.machine.hold(until: now + left, reason: reason ?? "held")
    }

    /// Somebody says that it serves again: hold and breaker are over, its waiting jobs are queued, a scout goes at
    /// once, and the time until it is given up begins anew. False: never heard of it.
    mutating func releaseHost(_ key: HostKey) -> Bool {
        let hadLied = ranges.forget(key)
        if hadLied { outbox.ledger.append(.rangeConduct(key, lies: false)) }
        let isKnown = hadLied || hosts[key] != nil || view.hostCounts[key] != nil
        hosts[key]?.machine.release()
        fruitful(key)
        // A hold of an earlier run may lie in the ledger only.
        outbox.ledger.append(.hold(key, until: nil, reason: nil))
        outbox.ledger.append(.hurry(key))
        freed(key)
        // Its lanes may have been left out while it was held.
        board.relist()
        return isKnown
    }
}
