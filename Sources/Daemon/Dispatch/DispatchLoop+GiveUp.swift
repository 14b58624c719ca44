// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit

// `hosts.*.give_up`: a host that gave nothing usable for so long while jobs waited for it. Its time is counted by a
// `BarrenClock`; when it is up the ledger fails its jobs in slices, and other work goes on between them.
extension DispatchLoop {
    /// How often the time is stored, and looked at where nothing else asks for it.
    static var barrenPeriod: Duration { .seconds(60) }
    /// Hops wait in the window for a hold that is nearly over; for a longer one their jobs rest.
    static var longestHopWait: Duration { .seconds(5) }

    /// The host gave nothing usable.
    mutating func fruitless(_ key: HostKey, why: String) {
        guard let host = hosts[key] else { return }
        host.lastTrouble = why
        if pauseReason == nil { host.barren.run(now: now) }
        barrenHosts.insert(key)
        // Not at once: its jobs are on their way to where they wait.
        let limit = plan.giveUp(for: key) ?? Self.barrenPeriod
        barrenLook = min(barrenLook, now + min(.seconds(1), limit / 4))
    }

    /// It gave something: a file, a redirect, a 404. The time begins anew.
    mutating func fruitful(_ key: HostKey) {
        guard barrenHosts.remove(key) != nil, let host = hosts[key] else { return }
        callTurns(key, host)
        host.barren.reset()
        host.hasGivenUp = false
        storeBarren(key)
    }

    /// What an earlier run counted.
    mutating func restoreBarren(_ key: HostKey, _ time: Duration) {
        guard time > .zero, let host = hosts[key], !barrenHosts.contains(key) else { return }
        host.barren = BarrenClock(stored: time)
        host.hasTurnsWaiting = true
        barrenHosts.insert(key)
        barrenLook = min(barrenLook, now + .seconds(1))
    }

    /// With a hold, and every minute: a restart goes on from there, also where nothing has been counted yet.
    mutating func storeBarren(_ key: HostKey) {
        guard let host = hosts[key] else { return }
        let least: Duration = barrenHosts.contains(key) ? .milliseconds(1) : .zero
        let before = host.barren.stored
        host.barren.noteStored(now: now, atLeast: least)
        if host.barren.stored != before { outbox.ledger.append(.barren(key, host.barren.stored)) }
    }

    /// Jobs that were its scouts, and rest until others had their turn, are queued again.
    mutating func callTurns(_ key: HostKey, _ host: HostEntry) {
        guard host.hasTurnsWaiting else { return }
        host.hasTurnsWaiting = false
        outbox.ledger.append(.hurry(key))
    }

    /// Counts, stores, gives up. Called every turn; looks only when it is time.
    mutating func lookAtBarrenHosts() {
        let isPaused = pauseReason != nil
        if isPaused != wasPaused, !barrenHosts.isEmpty { barrenLook = now }
        wasPaused = isPaused
        guard barrenLook <= now else { return }
        barrenLook = .distantFuture
        let parked = Set(board.parkedHosts)
        let read = board.hostsWithJobs
        for key in barrenHosts {
            look(at: key, isPaused: isPaused, isParked: parked.contains(key), hasJobs: read.contains(key))
        }
    }

    private mutating func look(at key: HostKey, isPaused: Bool, isParked: Bool, hasJobs: Bool) {
        guard let host = hosts[key] else {
            barrenHosts.remove(key)
            return
        }
        if host.hasGivenUp, !hasOpenJobs(key) {
            // The next list for it has the whole time again.
            fruitful(key)
            return
        }
        let limit = plan.giveUp(for: key)
        let period = min(Self.barrenPeriod, max(limit ?? Self.barrenPeriod, .milliseconds(100)))
        if !isPaused, jobsWait(for: key, host, isParked: isParked) {
            host.barren.run(now: now)
        } else {
            host.barren.stop(now: now)
        }
        // The others were cancelled, or have ended: nobody is left to scout but those that had their turn.
        if !isParked, host.machine.active == 0, !host.machine.isHeld(now: now), !hasJobs {
            callTurns(key, host)
        }
        let total = host.barren.total(now: now)
        if total - host.barren.stored >= Self.barrenPeriod { storeBarren(key) }
        var next = period
        if let limit, host.barren.isRunning, !host.isGivingUp {
            if total >= limit {
                giveUp(key, host, after: total)
            } else {
                next = min(next, limit - total)
            }
        }
        barrenLook = min(barrenLook, now + max(next, .milliseconds(10)))
    }

    private func hasOpenJobs(_ key: HostKey) -> Bool {
        guard let counts = view.hostCounts[key] else { return false }
        return counts.open > counts.paused
    }

    /// Jobs of paused lists do not: their lanes are not on the board.
    private func jobsWait(for key: HostKey, _ host: HostEntry, isParked: Bool) -> Bool {
        if isParked || host.machine.active > 0 || !host.hops.isEmpty { return true }
        if let awaited = host.awaitedUntil, awaited > now { return true }
        guard let counts = view.hostCounts[key] else { return false }
        return counts.waiting > 0 || (board.hasEvicted && counts.queued > 0)
    }

    private mutating func giveUp(_ key: HostKey, _ host: HostEntry, after total: Duration) {
        host.isGivingUp = true
        host.failedJobs = 0
        let time = DurationText.format(.seconds(Int64(total.secondsDouble)))
        let why = host.lastTrouble.map { " (\($0))" } ?? ""
        let error = JobError(.hostUnavailable, "\(key) gave nothing usable for \(time)\(why)")
        remark(
            .error, "host given up",
            [("host", key.rawValue), ("after", time), ("reason", host.lastTrouble ?? "")])
        outbox.ledger.append(.giveUp(key, error))
        hostsWithHops.remove(key)
        while let seq = host.hops.popFirst() {
            guard let task = tasks[seq] else { continue }
            switch task.machine.state {
            case .hopping, .ready: exhaust(task, error)
            default: continue
            }
        }
    }

    /// A slice of its jobs has failed.
    mutating func gaveUp(_ key: HostKey, failed: Int, isComplete: Bool) {
        view.gaveUp(failed)
        guard let host = hosts[key] else { return }
        host.failedJobs += failed
        guard isComplete else { return }
        host.isGivingUp = false
        host.hasGivenUp = true
        board.reread(host: key)
        freed(key)
        // What was admitted meanwhile, or was under way, ends by the next one.
        if host.failedJobs > 0 { barrenLook = min(barrenLook, now + .seconds(1)) }
    }

    /// Whether a hop may wait in the window for its host. One that would wait long rests instead, uncharged: window
    /// and credit are for jobs that can run.
    mutating func mayWait(_ task: JobTask, for key: HostKey) -> Bool {
        guard let host = hosts[key], let until = host.machine.heldUntil, until > now + Self.longestHopWait
        else { return true }
        host.awaitedUntil = until + .seconds(60)
        let limit = plan.giveUp(for: key)
        let reason = host.machine.holdReason ?? "held"
        let error = JobError(.hostUnavailable, "\(key), where it was redirected to, is held (\(reason))")
        task.error = error
        if let limit, host.barren.total(now: now) >= limit {
            exhaust(task, error)
        } else {
            judge(task, error, .awaited(until - now), host: nil)
        }
        return false
    }
}
