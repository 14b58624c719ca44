// SPDX-License-Identifier: Apache-2.0

/// How large the ledger's files are.
public struct LedgerGauge: Sendable, Hashable {
    /// Of the database file, and how many of them hold nothing.
    public var pages: Int
    public var freePages: Int

    public init(pages: Int, freePages: Int) {
        self.pages = pages
        self.freePages = freePages
    }
}

/// Gives pages that hold nothing back to the file system, a step at a time while nothing else is to be done.
///
/// Some are kept: the next list fills them again. It begins above twice what is kept, so that it does not run for each
/// small list that goes.
public struct FilePacking: Sendable {
    /// Pages moved in one transaction: a few milliseconds.
    public static let step = 256
    /// 4 MiB of pages of 4 KiB.
    public static let reserve = 1024

    public private(set) var isUnderWay = false

    public init() {}

    /// How many pages to give back now; 0: none.
    public mutating func next(_ gauge: LedgerGauge) -> Int {
        let kept = max(Self.reserve, gauge.pages / 16)
        isUnderWay = gauge.freePages > (isUnderWay ? kept : 2 * kept)
        return isUnderWay ? min(Self.step, gauge.freePages - kept) : 0
    }
}

/// What waits while the ledger's write-ahead log cannot be written home, because somebody reads and reads.
///
/// Reads of dld's own are short. A stranger's (a backup, a query in a shell) may take an hour, and as long no page of the
/// log can be used again: it would grow by all that is written.
public struct LogBound: Sendable {
    public enum Hold: Int, Sendable, Comparable {
        case nothing = 0
        /// No list is read on: admission is what writes most.
        case admission
        /// Nothing starts.
        case everything

        public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    /// Without a reader it is some 16 MiB, and its file never above `idleBytes` for long.
    public static let idleBytes: Int64 = 64 << 20
    public static let admissionBytes: Int64 = 256 << 20
    public static let everythingBytes: Int64 = 1 << 30

    public private(set) var hold = Hold.nothing

    public init() {}

    /// The log's length as it is now. True: what waits has changed.
    public mutating func measured(_ bytes: Int64) -> Bool {
        let before = hold
        hold =
            bytes > Self.everythingBytes ? .everything : bytes > Self.admissionBytes ? .admission : .nothing
        return hold != before
    }
}
