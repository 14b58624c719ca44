// SPDX-License-Identifier: Apache-2.0

/// How far a growing part is known to be worth storing: reached, synced, stored. Of one transfer.
public struct Checkpoint: Sendable, Hashable {
    /// With the kernel when it is reached, on the disk when it is synced.
    public var resume: ResumePoint
    /// Body bytes that this transfer had received by then.
    public var fetchedBytes: Int64
    public init(resume: ResumePoint, fetchedBytes: Int64) {
        self.resume = resume
        self.fetchedBytes = fetchedBytes
    }
}

/// The checkpoints of one job: at most one is on its way to the disk; of those reached meanwhile the last counts.
///
/// Pure. What belongs to an earlier transfer of the job has no effect: the token tells.
public struct Checkpoints: Sendable, Hashable {
    private var token: UInt64?
    private var syncing: Checkpoint?
    private var next: Checkpoint?
    public init() {}

    /// A transfer has handed this much to the kernel. Returns what is to be synced now, if nothing is.
    public mutating func reached(_ checkpoint: Checkpoint, token: UInt64) -> Checkpoint? {
        if self.token != token {
            self = Checkpoints()
            self.token = token
        }
        guard syncing == nil else {
            next = checkpoint
            return nil
        }
        syncing = checkpoint
        return checkpoint
    }

    /// The sync of that transfer's part came back. `stored`: what the ledger may be told; `sync`: what is next.
    public mutating func synced(token: UInt64) -> (stored: Checkpoint?, sync: Checkpoint?) {
        guard self.token == token, let stored = syncing else { return (nil, nil) }
        syncing = next
        next = nil
        return (stored, syncing)
    }

    /// The part is not to be trusted, or is no more: nothing of it is stored.
    public mutating func forget() { self = Checkpoints() }
}
