// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit

extension DispatchLoop {
    mutating func ledgerReplied(_ reply: LedgerReply) {
        switch reply {
        case .lanes(let list, let rows, let isLast):
            lanesArrived(list, rows, isLast: isLast)
        case .jobs(let lane, let generation, let entries, let isLast):
            // A job in the window is still queued in the ledger until its `active` is in: it is not read twice.
            let cursor = entries.last.map { LaneCursor(rank: $0.job.rank, seq: $0.job.seq) }
            board.jobsArrived(
                lane, generation: generation, entries.filter { isNew($0.job) }, cursor: cursor, isLast: isLast
            )
        case .committed(let ticket):
            sendHeld(ticket)
            for (seq, event) in commits.removeValue(forKey: ticket) ?? [] {
                guard let task = tasks[seq] else { continue }
                if event == .committed, disowned.remove(seq) != nil {
                    disown(task)
                } else {
                    act(task.machine.handle(event), on: task)
                }
            }
        case .ignored(let seqs):
            // Cancelled while a page with them was on its way here, or before their start was told: to be stopped.
            for seq in seqs {
                guard let task = tasks[seq], !ask(.cancel, of: task) else { continue }
                if case .committing = task.machine.state { disowned.insert(seq) }
            }
        case .suffix(let seq, let number):
            guard let task = tasks[seq], let base = basePath(of: task) else { return }
            task.path = base.numbered(number)
            act(task.machine.handle(.numbered), on: task)
        case .named(let seq, let claim):
            guard let task = tasks[seq] else { return }
            named(task, claim)
        case .due(let lanes, let next):
            // What was set since the question went out is not in the answer, and must not be forgotten.
            nextDue = [nextDue, next].compactMap { $0 }.min()
            for lane in lanes where !haltedLists.contains(lane.list) { board.reread(lane) }
        case .expired(let parts, let isLast): partsExpired(parts, isLast: isLast)
        case .woke(let list, let lowestRank, let lanes):
            if !haltedLists.contains(list) { board.wake(list, lowestRank: lowestRank, lanes: lanes) }
        case .reread(let lanes):
            for lane in lanes where !haltedLists.contains(lane.list) { board.reread(lane) }
        case .errands(let errands, let verb):
            for (seq, lane) in errands {
                commanded(ControlCommand(verb: verb, target: .job(seq, lane)) { _ in })
            }
        case .lists(let rows):
            for row in rows { listChanged(row) }
        case .hosts(let counts):
            for (key, counts) in counts { noteCounts(counts, of: key) }
        case .gaveUp(let key, let failed, let isComplete): gaveUp(key, failed: failed, isComplete: isComplete)
        case .pieces(let seq, let hashes): piecesArrived(seq, hashes)
        case .digestNotes(let list, let notes):
            for note in notes { remark(.notice, note, [("list", "\(list)")]) }
        case .trouble(let why):
            if why != nil, ledgerTrouble == nil {
                remark(.error, "the ledger cannot be written", [("why", why ?? "")])
            }
            if why == nil, ledgerTrouble != nil { remark(.notice, "the ledger can be written again") }
            ledgerTrouble = why
        case .longLog(let hold): logIsLong(hold)
        }
    }

    /// Its `publishing` is in no ledger, where it is cancelled: what was fetched gets no name.
    private mutating func disown(_ task: JobTask) {
        discardPart(task)
        task.outcome = cancelledOutcome(for: task)
        act(task.machine.handle(.disowned), on: task)
    }

    private func isNew(_ job: QueuedJob) -> Bool {
        tasks[job.seq] == nil && followed[job.seq] == nil && !suspects.isWaiting(job.seq)
            && !haltedLists.contains(job.lane.list)
    }

    private mutating func lanesArrived(_ list: ListID, _ rows: [LaneRow], isLast: Bool) {
        for row in rows {
            if row.barren > .zero {
                ensureHost(row.host)
                restoreBarren(row.host, row.barren)
            }
            if let until = row.heldUntil, hosts[row.host]?.machine.heldUntil == nil {
                restoreHold(row.host, until: until, reason: row.holdReason)
            }
        }
        board.lanesArrived(list, rows, isLast: isLast)
        if board.residentLanes >= board.maxLanes { evictHeld() }
    }

    private mutating func evictHeld() {
        let held = Set(hosts.filter { ($0.value.machine.heldUntil.map { $0 > now } ?? false) }.keys)
        board.evictParked { held.contains($0) }
        if board.hasEvicted, nextRelist == nil { nextRelist = now + .seconds(1) }
    }

    private mutating func listChanged(_ row: ListRow) {
        if row.state == .closed || row.state == .rejected {
            if view.closed(row) { ports.closed(row) }
            board.remove(row.id)
            haltedLists.remove(row.id)
            return
        }
        view.lists[row.id, default: ListView(row: row)].row = row
        if row.isPaused != haltedLists.contains(row.id) {
            if row.isPaused {
                // Also when news of before the pause had let it go on meanwhile.
                halt(row.id)
            } else {
                haltedLists.remove(row.id)
                board.wake(row.id)
            }
        }
    }

    /// Timers that are over: due jobs, held hosts, paces, local trouble.
    mutating func fireTimers() {
        if let due = nextDue, due <= WallTime(milliseconds: WallClock.milliseconds()) {
            nextDue = nil
            outbox.ledger.append(.releaseDue)
        }
        if hostLook <= now {
            hostLook = .distantFuture
            for key in board.parkedHosts {
                freed(key)
                considerHost(key)
            }
            for key in hostsWithHops { considerHost(key) }
            for key in Array(mirrorHosts.keys) {
                freeMirrored(by: key)
                considerHost(key)
            }
        }
        if nextPartLook <= now { expireParts() }
        if let look = nextFollowerLook, look <= now { letFollowersGo() }
        lookAtBarrenHosts()
        lookAtStaged()
        lookAtUplink()
        followClock()
        lookAtDisks()
        if let relist = nextRelist, relist <= now {
            nextRelist = nil
            board.relist()
        }
    }

    /// A host that waits for a time is looked at again then, and not every turn: there may be a thousand of them.
    mutating func considerHost(_ key: HostKey) {
        guard case .wait(let until, _) = verdict(for: key) else { return }
        hostLook = min(hostLook, max(until, now + .milliseconds(2)))
    }

    /// How long the loop may sleep.
    func untilNextTimer() -> Duration {
        var next = view.nextPublication()
        func consider(_ time: MonotonicTime?) {
            if let time, time < next { next = time }
        }
        if let due = nextDue {
            let left = max(0, due.rawValue - WallClock.milliseconds())
            consider(now + .milliseconds(left))
        }
        consider(hostLook)
        consider(barrenLook)
        consider(staging.look)
        consider(nextDiskLook())
        consider(nextRelist)
        consider(nextFollowerLook)
        consider(uplink.machine.nextLook)
        consider(nextClockLook)
        consider(nextPartLook)
        consider(starts.due)
        switch mode {
        case .draining(let until), .stopping(let until): consider(until)
        case .running, .ended: break
        }
        let left = next - MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        return left > .zero ? left : .zero
    }
}
