// SPDX-License-Identifier: Apache-2.0

/// How many batches of lists share one transaction of the ledger.
///
/// A commit writes each page once that its rows have touched: the row, the lane and the index of each host that the
/// lines name. Where a thousand hosts take turns those of eight hundred lines are dearer than the lines, and those of
/// six thousand hardly dearer than those of eight hundred. But whoever comes meanwhile waits for the commit. So a
/// transaction ends as soon as anybody waits, the next one may be half as large, and that of a list that begins is
/// small: its first jobs are wanted. A large one waits a moment for lines that are still being read: many small commits
/// would take the processor from those who read them.
public struct AdmissionPace: Sendable, Hashable {
    /// Entries: one batch.
    public static let least = 500
    /// Entries. Twice as many bring a tenth.
    public static let most = 6_000
    /// How long a transaction stays open for batches that are still being read.
    public static let patience: Duration = .milliseconds(30)

    private var limit = Self.least
    private var taken = 0
    private var isCutShort = false

    /// As for a list that begins.
    public init() {}

    /// A transaction begins. `othersWait`: requests that are not admission's are part of it.
    public mutating func begin(othersWait: Bool) {
        if othersWait || isCutShort {
            limit = max(Self.least, limit / 2)
        } else if taken >= limit {
            limit = min(2 * limit, Self.most)
        }
        taken = 0
        isCutShort = othersWait
    }

    /// A batch went in. Whether one more that has come may share its transaction.
    public mutating func goesOn(after entries: Int, othersWait: Bool) -> Bool {
        taken += max(0, entries)
        isCutShort = isCutShort || othersWait
        return !isCutShort && taken < limit
    }

    /// No further batch is there. For how long one may be waited for inside the transaction; zero: not at all.
    /// - Parameters:
    ///   - age: of the transaction.
    ///   - isLast: the list of the last batch has ended with it.
    ///   - othersWait: as for `goesOn`.
    public func wait(age: Duration, isLast: Bool, othersWait: Bool) -> Duration {
        guard limit > Self.least, taken > 0, !isLast, !isCutShort, !othersWait else { return .zero }
        return max(.zero, Self.patience - age)
    }
}

/// What the spool may have sent to the ledger and not had confirmed, over all lists: enough for the transaction that is
/// being written and the next, and bounded in memory whatever the lines hold.
public struct AdmissionCredit: Sendable, Hashable {
    /// Entries beyond which only one batch a list goes out.
    public static let entries = AdmissionPace.most + 1_000
    /// The same, in bytes of text.
    public static let bytes: Int64 = 4 << 20
    /// So many batches always may.
    public static let batches = 2

    /// What one batch takes of it, from its sending to its commit.
    public struct Share: Sendable, Hashable {
        public let entries: Int
        public let bytes: Int64
        public init(entries: Int, bytes: Int64) {
            self.entries = max(0, entries)
            self.bytes = max(0, bytes)
        }
        /// Of a batch: its text, and what its entries' options and digests weigh beside it.
        public init(_ batch: AdmissionBatch) {
            var bytes = max(0, batch.to.offset - batch.from.offset)
            for entry in batch.entries where entry.hasRare {
                bytes += Int64(MemoryLayout<JobOptions>.size + (entry.pieces?.bytes.count ?? 0))
            }
            self.init(entries: batch.entries.count, bytes: bytes)
        }
    }

    private var batches = 0
    private var entries = 0
    private var bytes: Int64 = 0

    public init() {}

    /// Whether a batch may be sent for a list that has this many unconfirmed: the first of each may, so that a long list
    /// does not keep a short one waiting.
    public func allows(listHas unconfirmed: Int) -> Bool {
        unconfirmed == 0 || batches < Self.batches || (entries < Self.entries && bytes < Self.bytes)
    }

    public mutating func take(_ share: Share) {
        batches += 1
        entries += share.entries
        bytes += share.bytes
    }

    public mutating func giveBack(_ share: Share) {
        batches -= 1
        entries -= share.entries
        bytes -= share.bytes
    }
}
