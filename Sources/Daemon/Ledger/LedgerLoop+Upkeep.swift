// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit

/// What the ledger's files need: pages given back when nothing else is to be done, a write-ahead log that stays short.
extension LedgerLoop {
    struct Upkeep {
        var packing = FilePacking()
        var log = LogBound()
        /// Since the file was last looked at.
        var hasWorked = true
        /// When a log that is too long is tried again.
        var nextTry = MonotonicTime(nanoseconds: 0)
    }
    static let logInterval: Duration = .milliseconds(100)

    /// Nothing to do: waits for the bell. After some seconds of silence free pages are given back, a step at a time, and the
    /// log is written home; the bell ends it between two steps. False: the ledger is broken.
    mutating func rest() -> Bool {
        let isHeld = upkeep.log.hold > .nothing
        let limit = upkeep.packing.isUnderWay ? .zero : isHeld ? Self.logInterval : LoopPulse.interval
        guard !bell.wait(atMost: limit), !isHeld, upkeep.hasWorked else { return true }
        heartbeat.enter("SQLite incremental vacuum")
        defer { heartbeat.leave() }
        do throws(LedgerError) {
            let pages = upkeep.packing.next(try store.gauge())
            if pages > 0 {
                try store.giveBack(pages: pages)
            } else {
                upkeep.hasWorked = false
                // With it the file gets its new length. The log's file stays: the next commit finds it made.
                try store.checkpoint()
            }
        } catch {
            // Whoever is in the way now will be gone after the next work.
            upkeep.packing = FilePacking()
            upkeep.hasWorked = false
            if !error.isTransient {
                ports.broken(error)
                return false
            }
        }
        return true
    }

    /// Once a turn. False: the ledger is broken.
    mutating func lookAtLog() -> Bool {
        var bytes = store.logBytes
        let now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        if bytes > LogBound.admissionBytes, upkeep.nextTry <= now {
            upkeep.nextTry = now + Self.logInterval
            do throws(LedgerError) { try store.emptyLog() } catch {
                if !error.isTransient {
                    ports.broken(error)
                    return false
                }
            }
            bytes = store.logBytes
        }
        if upkeep.log.measured(bytes) { ports.dispatch.send(.ledger(.longLog(upkeep.log.hold))) }
        return true
    }
}
