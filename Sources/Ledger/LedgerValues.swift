// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// How much a commit promises (`durability` of the config).
public enum LedgerDurability: String, Sendable, Hashable {
    /// PRAGMA synchronous=FULL: a commit survives a power cut.
    case full
    /// PRAGMA synchronous=OFF: a commit survives a crash of the program, not of the machine.
    case none
}

/// What became of a batch.
public struct AdmitResult: Sendable, Hashable {
    /// Where the list stands now: the batch's `to`, or the stored position when the batch did not continue
    /// it.
    public var position: ListPosition
    /// false: the batch began elsewhere than the stored position and nothing of it went in.
    public var isApplied: Bool
    /// Entries that became bad lines here because a live job holds the `gid` they asked for.
    public var gidConflicts: Int
    /// Of those that may be read ahead; nil: none may. Their lanes are among the group's (`takeAdmittedLanes`).
    public var lowestRank: Int?
    /// All fields, in order.
    public init(position: ListPosition, isApplied: Bool, gidConflicts: Int, lowestRank: Int? = nil) {
        self.position = position
        self.isApplied = isApplied
        self.gidConflicts = gidConflicts
        self.lowestRank = lowestRank
    }
}

/// What one step over a whole list did. Called again until `isComplete`, with other work in between.
public struct Slice: Sendable, Hashable {
    /// Rows this step changed.
    public var changed: Int
    /// No row of the list is left that the verb could change.
    public var isComplete: Bool
    /// Of those changed: jobs that go on at another mirror.
    public var passedOn = 0
    /// The first two fields, in order.
    public init(changed: Int, isComplete: Bool) {
        self.changed = changed
        self.isComplete = isComplete
    }
}

/// What the ledger did about a verb on one job.
public enum JobVerdict: Sendable, Hashable {
    /// Done; the state before.
    case changed(from: JobState)
    /// Already as asked, or a state the verb has no meaning for: nothing was changed.
    case unchanged(JobState)
    /// `active` or `publishing`: the dispatcher has the job and must do it, then report the change.
    case inFlight(JobState)
    /// No such job, a bad line, or its list is closed (retry).
    case refused(String)
}

/// What a restart found.
public struct Recovery: Sendable, Hashable {
    /// Jobs that were `active` and are `queued` again.
    public var requeued: Int
    /// Jobs still `publishing`: the caller looks at the disk and reports `.ended` or `.requeued` for each.
    public var publishes: [InterruptedPublish]
    /// Jobs that were `active` in their third crash and have failed.
    public var quarantined: Int
    /// The most crashes that a job which goes on has to its name.
    public var mostCrashes: Int
    /// All fields, in order.
    public init(
        requeued: Int, publishes: [InterruptedPublish], quarantined: Int = 0, mostCrashes: Int = 0
    ) {
        self.mostCrashes = mostCrashes
        self.requeued = requeued
        self.publishes = publishes
        self.quarantined = quarantined
    }
}

/// A host as `/v1/hosts` and the snapshot see it.
public struct HostRow: Sendable, Hashable {
    /// Row number, the second half of a lane's key.
    public var id: HostID
    /// Lower-case name, with the port where it is not the usual one; empty for sums.
    public var host: HostKey
    /// Jobs by state, over all lists in the ledger.
    public var counts: StateCounts
    /// When the hold ends; it may lie in the past.
    public var heldUntil: WallTime?
    /// Why it is held, for people.
    public var holdReason: String?
    /// All fields, in order.
    public init(id: HostID, host: HostKey, counts: StateCounts, heldUntil: WallTime?, holdReason: String?) {
        self.id = id
        self.host = host
        self.counts = counts
        self.heldUntil = heldUntil
        self.holdReason = holdReason
    }
}

/// A job as `/v1/jobs` sees it: what results show, and what is known of one that has not ended.
public struct JobRow: Sendable, Hashable {
    /// What results show of it.
    public var record: ResultRecord
    /// Lower-case name, with the port where it is not the usual one; empty for sums.
    public var host: HostKey
    /// Where the file goes (or went); nil for sums and bad lines.
    public var path: OutputPath?
    /// Attempts charged so far.
    public var attempts: Int
    /// Body bytes received in attempts so far.
    public var fetchedBytes: Int64
    /// When it went in, or was begun anew.
    public var admittedAt: WallTime
    /// When its first attempt began.
    public var startedAt: WallTime?
    /// When a waiting job goes on.
    public var due: WallTime?
    /// It waits for a list of digests.
    public var isGated = false
    /// Why the last attempt of a waiting job broke.
    public var lastError: JobError?
    /// What is kept of an unfinished download.
    public var resume: ResumePoint?
    /// All fields, in order.
    public init(
        record: ResultRecord, host: HostKey, path: OutputPath?, attempts: Int, fetchedBytes: Int64,
        admittedAt: WallTime, startedAt: WallTime?, due: WallTime?, lastError: JobError?, resume: ResumePoint?
    ) {
        self.record = record
        self.host = host
        self.path = path
        self.attempts = attempts
        self.fetchedBytes = fetchedBytes
        self.admittedAt = admittedAt
        self.startedAt = startedAt
        self.due = due
        self.lastError = lastError
        self.resume = resume
    }
}
