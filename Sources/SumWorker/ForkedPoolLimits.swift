// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit

extension ForkedPool {
    /// So many workers from now on (held between 1 and 1024). More are forked with the next turn; fewer end with what
    /// they have in hand, so that no job is lost, begun anew or late for it.
    mutating func resize(to processes: Int) {
        size = min(max(processes, 1), 1024)
        let staying = slots.sorted { ($0.isRetiring ? 1 : 0, $0.index) < ($1.isRetiring ? 1 : 0, $1.index) }
        for (place, slot) in staying.enumerated() {
            slot.isRetiring = place >= size
            dealer.retire(slot.index, slot.isRetiring)
        }
        while slots.count < size {
            // The lowest free number, which is in the process's name.
            let taken = Set(slots.map(\.index))
            guard let index = (0...slots.count).first(where: { !taken.contains($0) }) else { break }
            slots.append(WorkerSlot(index: index, restart: RestartPolicy()))
        }
        hasChanged = true
    }

    /// Ends the workers that are to go and have nothing left to do. That is no death.
    mutating func retireIdle() {
        for slot in slots where slot.isRetiring && !dealer.isBusy(slot.index) {
            if slot.isUp {
                slot.kill(because: "is not needed any more")
                _ = slot.reap(waiting: true, now: 0)
                dealer.leave(slot.index)
            }
            slots.removeAll { $0 === slot }
            hasChanged = true
        }
    }
}

extension ForkedPool {
    /// When a worker that has something to do is to be killed, CLOCK_MONOTONIC ns, and why.
    func overdueAt(_ slot: WorkerSlot) -> (time: Int64, why: String) {
        let silent = slot.lastSign.addingReportingOverflow(deadline.silence.nanosecondsClamped).partialValue
        let silence = "gave no sign of life for \(deadline.silence.components.seconds) s"
        guard let since = slot.oldest?.since, let oldest = dealer.hand(of: slot.index).first else {
            return (silent, silence)
        }
        let limit = deadline.limit(bytes: oldest.work.bytes, rate: oldest.work.rate)
        let late = since.addingReportingOverflow(limit.nanosecondsClamped).partialValue
        if silent <= late { return (silent, silence) }
        return (
            late, "had not ended after \(limit.components.seconds) s, more than a file of its size may take"
        )
    }

    func killOverdue() {
        let now = Monotonic.nanoseconds()
        for slot in slots where slot.isUp && dealer.isBusy(slot.index) {
            let (time, why) = overdueAt(slot)
            if now >= time { slot.kill(because: why) }
        }
    }
}
