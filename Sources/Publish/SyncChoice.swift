// SPDX-License-Identifier: Apache-2.0

/// Whether a group of files is made durable by one syncfs or by an fsync of each. Pure: durations come in.
///
/// On a journalling file system one syncfs costs about what one fsync costs, for each is a commit of the journal: from
/// two files up it is the cheaper one. But it also waits for what others have written to the file system, and that
/// has no bound. So both are measured: while a syncfs takes longer than the fsyncs would, groups are synced one by
/// one, and its remembered time is halved with each such group, so that it is tried again before long.
struct SyncChoice: Sendable, Hashable {
    /// A syncfs above it is not repeated before it is known what an fsync takes.
    static let slow: Duration = .milliseconds(100)

    /// Files from which on a syncfs is considered.
    let threshold: Int
    /// What one syncfs takes, by the last ones.
    private(set) var together: Duration?
    /// What the fsync of one file takes, by the last ones.
    private(set) var alone: Duration?

    init(threshold: Int) { self.threshold = threshold }

    func isTogether(_ count: Int) -> Bool {
        guard count >= threshold else { return false }
        guard let together else { return true }
        guard let alone else { return together < Self.slow }
        return together <= alone * count
    }

    /// A syncfs has come back.
    mutating func tookTogether(_ duration: Duration) { together = Self.mixed(together, duration) }

    /// Each of so many files was synced by itself.
    mutating func tookAlone(_ duration: Duration, count: Int) {
        guard count > 0 else { return }
        alone = Self.mixed(alone, duration / count)
        if count >= threshold, let known = together { together = known / 2 }
    }

    /// Half of what was known, half of what is new: three groups forget one odd one.
    private static func mixed(_ known: Duration?, _ fresh: Duration) -> Duration {
        known.map { ($0 + fresh) / 2 } ?? fresh
    }
}
