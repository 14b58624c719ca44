// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Transfer

/// Jobs that were under way in crashes, once one of them has two: one of them at a time (`QuarantinePolicy`). Those
/// that wait their turn are still `queued` in the ledger, and no more than were under way at once.
struct Suspects {
    /// After a crash a transfer starts only once its `active` is committed: the job that takes the daemon down in its
    /// first millisecond is known at the next start. A poisoned job shows itself soon; then starts need not wait.
    static let carefulFor = Duration.seconds(600)

    private let mostCrashes: Int
    private let carefulUntil: MonotonicTime?
    private var running: JobSeq?
    private var waiting: [LaneBoard.Pick] = []
    private var numbers: Set<JobSeq> = []

    init(mostCrashes: Int, carefulUntil: MonotonicTime?) {
        self.mostCrashes = mostCrashes
        self.carefulUntil = carefulUntil
    }

    func isCareful(_ now: MonotonicTime) -> Bool { carefulUntil.map { now < $0 } ?? false }
    func isWaiting(_ seq: JobSeq) -> Bool { numbers.contains(seq) }

    /// Whether the job may enter the window now; one that may not is kept for later. One that may must enter: the next
    /// one's turn comes when it has left.
    mutating func admits(_ pick: LaneBoard.Pick) -> Bool {
        guard QuarantinePolicy.runsAlone(crashes: pick.job.crashes, most: mostCrashes) else { return true }
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

    /// The first whose turn can come now, if nobody's has: one whose host is held does not keep the others waiting.
    mutating func next(where mayStart: (LaneBoard.Pick) -> Bool) -> LaneBoard.Pick? {
        guard running == nil, let index = waiting.firstIndex(where: mayStart) else { return nil }
        numbers.remove(waiting[index].job.seq)
        return waiting.remove(at: index)
    }

    /// Of a list that is paused: its lane is read again when it goes on.
    mutating func forget(_ list: ListID) {
        for pick in waiting where pick.job.lane.list == list { numbers.remove(pick.job.seq) }
        waiting.removeAll { $0.job.lane.list == list }
    }
}

extension DispatchLoop {
    /// The next suspect, when the one before it has ended and its host has room.
    mutating func startSuspect() {
        var suspects = Suspects(mostCrashes: 0, carefulUntil: nil)
        swap(&suspects, &self.suspects)
        let pick = suspects.next { pick in
            if case .start = verdict(for: pick.host) { true } else { false }
        }
        swap(&suspects, &self.suspects)
        if let pick { begin(pick) }
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
