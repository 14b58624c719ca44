// SPDX-License-Identifier: Apache-2.0

/// Which jobs are kept from taking the daemon down again and again.
///
/// A job that was under way in three crashes is quarantined: failed, with that reason. One that reached a checkpoint in
/// between got on all the same and begins anew. Others that happened to be under way beside it are counted too, so once a
/// job has two crashes to its name, all that have any run one at a time: then the third crash is charged to the one that
/// was at work, and the innocent end and are cleared. All that have any, because the guilty one may be one behind: in the
/// first crash it may have died before it was noted as under way.
public enum QuarantinePolicy {
    /// So many crashes end a job.
    public static let limit = 3

    public enum Verdict: Sendable, Hashable {
        /// Queued again, with this many crashes to its name.
        case queue(crashes: Int)
        case quarantine(crashes: Int)
    }

    /// - Parameters:
    ///   - crashes: counted before, since the job's last checkpoint or attempt that ended.
    ///   - isCrash: whether this stop counts (`isCrash`).
    public static func verdict(crashes: Int, isCrash: Bool) -> Verdict {
        guard isCrash else { return .queue(crashes: crashes) }
        let now = min(max(crashes, 0), limit) + 1
        return now >= limit ? .quarantine(crashes: now) : .queue(crashes: now)
    }

    /// Whether a job runs alone among those that any crash is charged to.
    /// - Parameter most: the highest count that any job had at this start.
    public static func runsAlone(crashes: Int, most: Int) -> Bool { crashes >= 1 && most >= limit - 1 }

    /// Whether the last run died by itself: of a signal that only a crash brings, in this boot, and not by the watchdog (a
    /// dead disk stops a thread; no job does). `kill -9` and a power cut come from outside: no job is to blame.
    /// - Parameters:
    ///   - note: what the last run left in the ledger: the boot it ran in; nil after a clean stop.
    ///   - boot: this boot's id; nil where it is not known.
    ///   - diedOfSignal: it noted a fatal signal of its own.
    public static func isCrash(note: String?, boot: String?, diedOfSignal: Bool, byWatchdog: Bool) -> Bool {
        note != nil && note == boot && diedOfSignal && !byWatchdog
    }

    /// What the job's error says.
    public static func reason(crashes: Int) -> JobError {
        JobError(
            .quarantined,
            "it was under way in \(crashes) crashes of dld, so it is not tried again by itself; "
                + "the list's .failed.jsonl does, once the cause is known")
    }
}
