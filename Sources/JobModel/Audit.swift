// SPDX-License-Identifier: Apache-2.0

/// The number of an audit: decimal, from 1, never reused.
public struct AuditID: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(_ value: Int64) { rawValue = value }
    /// Decimal digits, above 0; nil for anything else.
    public init?(_ text: String) {
        guard text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }), let value = Int64(text),
            value > 0
        else { return nil }
        rawValue = value
    }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { String(rawValue) }
}

/// What came of one published file. Numbers are stored in the ledger: never renumber.
public enum AuditVerdict: Int, Sendable, Hashable, CaseIterable {
    /// Its digest is the one that is known.
    case fine = 0
    /// No digest of it is known; length and time of change are as they were published.
    case plausible = 1
    /// Another digest, another length, written to since, or no regular file any more.
    case changed = 2
    /// Nothing has its name.
    case missing = 3
    /// The system would not read it.
    case unreadable = 4

    public var name: String { "\(self)" }
    public init?(name: String) {
        guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = match
    }
    /// It is not what was published.
    public var isBad: Bool { self == .changed || self == .missing || self == .unreadable }
}

/// Where an audit stands. Numbers are stored in the ledger: never renumber.
public enum AuditState: Int, Sendable, Hashable, CaseIterable {
    case queued = 0
    case running = 1
    /// Every file has been looked at; the list that fetches the bad ones again is being made.
    case repairing = 2
    case done = 3
    case cancelled = 4

    public var name: String { "\(self)" }
    public var isTerminal: Bool { self == .done || self == .cancelled }
}

/// Files by what came of them.
public struct AuditCounts: Sendable, Hashable {
    private var counts = [Int](repeating: 0, count: AuditVerdict.allCases.count)
    /// Replaced by a job, or written to, while they were looked at: nothing is said of them.
    public var skipped = 0
    public init() {}

    public subscript(verdict: AuditVerdict) -> Int {
        get { counts[verdict.rawValue] }
        set { counts[verdict.rawValue] = newValue }
    }
    public var bad: Int { AuditVerdict.allCases.reduce(0) { $0 + ($1.isBad ? self[$1] : 0) } }
    public var total: Int { counts.reduce(skipped, +) }

    public static func += (a: inout Self, b: Self) {
        for verdict in AuditVerdict.allCases { a[verdict] += b[verdict] }
        a.skipped += b.skipped
    }
}

/// What an audit does beyond looking.
public struct AuditOptions: Sendable, Hashable {
    /// Bad files are fetched again, by a list of the audit's own.
    public var repairs = false
    /// Files without a known digest get the one that they have now, where length and time are as published.
    public var recordsDigests = false
    /// The results have a line for every file, not only for those that are bad.
    public var listsAll = false
    public init(repairs: Bool = false, recordsDigests: Bool = false, listsAll: Bool = false) {
        self.repairs = repairs
        self.recordsDigests = recordsDigests
        self.listsAll = listsAll
    }
}

/// One audit, as the ledger has it.
public struct AuditRow: Sendable, Hashable {
    public var id: AuditID
    public var scope: AuditScope
    public var options: AuditOptions
    public var state = AuditState.queued
    public var isPaused = false
    /// Everything up to here has been looked at; nil: nothing yet.
    public var cursor: AuditCursor?
    public var counts = AuditCounts()
    /// Of the files looked at.
    public var bytes: Int64 = 0
    /// Files and their bytes, counted at the start; nil before that.
    public var filesTotal: Int?
    public var bytesTotal: Int64?
    /// How much of the results file belongs to what has been looked at.
    public var resultBytes: Int64 = 0
    /// Name of the list that fetches bad files again, once it lies in the spool, and its entries.
    public var repairList: String?
    public var repairs = 0
    public var madeAt: WallTime
    public var startedAt: WallTime?
    public var endedAt: WallTime?
    public init(id: AuditID, scope: AuditScope, options: AuditOptions, madeAt: WallTime) {
        self.id = id
        self.scope = scope
        self.options = options
        self.madeAt = madeAt
    }
}

/// How far an audit has come: files have an order, and everything up to the cursor is done.
public enum AuditCursor: Sendable, Hashable {
    /// All files, or those below paths: in the order of their paths' bytes.
    case path(OutputPath)
    /// Files of a list: in the order of its lines.
    case job(JobSeq)
}

/// What one step of an audit adds to it, stored in one transaction.
public struct AuditProgress: Sendable, Hashable {
    public struct File: Sendable, Hashable {
        public var path: OutputPath
        /// Of the record that was looked at: another one has come since where it differs.
        public var publishedAt: WallTime
        public var verdict: AuditVerdict
        /// A digest to be stored with it.
        public var digest: Checksum?
        public init(path: OutputPath, publishedAt: WallTime, verdict: AuditVerdict, digest: Checksum?) {
            self.path = path
            self.publishedAt = publishedAt
            self.verdict = verdict
            self.digest = digest
        }
    }
    public var id: AuditID
    public var files: [File] = []
    public var cursor: AuditCursor?
    /// To be added.
    public var counts = AuditCounts()
    public var bytes: Int64 = 0
    /// Whole length of the results file with this step in it.
    public var resultBytes: Int64
    public init(id: AuditID, resultBytes: Int64) {
        self.id = id
        self.resultBytes = resultBytes
    }
}
