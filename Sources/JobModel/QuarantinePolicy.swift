// SPDX-License-Identifier: Apache-2.0

/// Which jobs are kept from taking the daemon down again and again.
///
/// A job that was under way in three crashes is quarantined: failed, with that reason. One that reached a checkpoint in
/// between got on all the same and begins anew: a long download outlives any number of kills. Others that happened to be under
/// way beside it are counted too, so from the second crash on each suspect runs alone among the suspects: then the third
/// crash is charged to the one that was at work, and the innocent end and are cleared.
public enum QuarantinePolicy {
    /// So many crashes end a job.
    public static let limit = 3
    /// From so many on it runs alone among its like.
    public static let suspectFrom = 2

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

    public static func runsAlone(crashes: Int) -> Bool { crashes >= suspectFrom }

    /// Whether the last run died by itself: no clean stop, the machine is still up, and it was not the watchdog's doing
    /// (a dead disk stops a thread; no job does).
    /// - Parameters:
    ///   - note: what the last run left in the ledger: the boot it ran in; nil after a clean stop.
    ///   - boot: this boot's id; nil where it is not known.
    public static func isCrash(note: String?, boot: String?, byWatchdog: Bool) -> Bool {
        note != nil && note == boot && !byWatchdog
    }

    /// What the job's error says.
    public static func reason(crashes: Int) -> JobError {
        JobError(
            .quarantined,
            "it was under way in \(crashes) crashes of dld, so it is not tried again by itself; "
                + "the list's .failed.jsonl does, once the cause is known")
    }
}
