// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Transfer

/// Jobs that were under way in two crashes: one of them at a time (`QuarantinePolicy`). Those that wait their turn are
/// still `queued` in the ledger, and no more than were under way at once.
struct Suspects {
    /// After a crash a transfer starts only once its `active` is committed: the job that takes the daemon down in its
    /// first millisecond is known at the next start. A poisoned job shows itself soon; then starts need not wait.
    static let carefulFor = Duration.seconds(600)

    private let carefulUntil: MonotonicTime?
    private var running: JobSeq?
    private var waiting = Queue<LaneBoard.Pick>()
    private var numbers: Set<JobSeq> = []

    init(carefulUntil: MonotonicTime?) { self.carefulUntil = carefulUntil }

    func isCareful(_ now: MonotonicTime) -> Bool { carefulUntil.map { now < $0 } ?? false }
    func isWaiting(_ seq: JobSeq) -> Bool { numbers.contains(seq) }

    /// Whether the job may enter the window now; one that may not is kept for later.
    mutating func admits(_ pick: LaneBoard.Pick) -> Bool {
        guard QuarantinePolicy.runsAlone(crashes: pick.job.crashes) else { return true }
        guard running == nil || running == pick.job.seq else {
            if numbers.insert(pick.job.seq).inserted { waiting.append(pick) }
            return false
        }
        running = pick.job.seq
        return true
    }

    /// Out of the window.
    mutating func left(_ seq: JobSeq) {
        if running == seq { running = nil }
    }

    /// The one whose turn it is.
    var next: LaneBoard.Pick? { running == nil ? waiting.first : nil }

    mutating func takeNext() {
        if let pick = waiting.popFirst() { numbers.remove(pick.job.seq) }
    }
}

extension DispatchLoop {
    /// The next suspect, when the one before it has ended and its host has room.
    mutating func startSuspect() {
        guard let pick = suspects.next else { return }
        // One of a paused list is let go of: its lane is read again when the list goes on.
        if haltedLists.contains(pick.job.lane.list) { return suspects.takeNext() }
        guard case .start = verdict(for: pick.host) else { return }
        suspects.takeNext()
        begin(pick)
    }

    /// `active` of these is committed: off they go, and are stopped at once if that was asked for meanwhile.
    mutating func sendHeld(_ ticket: UInt64) {
        for (worker, order) in held.removeValue(forKey: ticket) ?? [] {
            outbox.workers[worker, default: []].append(.start(order))
            if let seq = tokens[order.token], let request = tasks[seq]?.machine.request {
                outbox.workers[worker, default: []].append(
                    .cancel(token: order.token, keepsPart: request != .cancel))
            }
        }
    }
}
