// SPDX-License-Identifier: Apache-2.0

/// The row number of a list of digests in the ledger.
public struct DigestListID: RawRepresentable, Hashable, Sendable, Comparable {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Where a list of digests is to be had (`checksums`).
public enum DigestSource: Sendable, Hashable {
    case url(DownloadURL)
    /// Absolute, without `..`, below the output or the spool.
    case file(String)

    /// As the ledger keeps it: the normalised URL, or the path.
    public var text: String {
        switch self {
        case .url(let url): url.text
        case .file(let path): path
        }
    }

    /// The word of an entry that wants none of its list's default.
    public static let none = "none"
}

/// What an entry says of the list of digests that it is checked by.
public struct DigestListWish: Sendable, Hashable {
    public var source: DigestSource
    /// What the list itself must have.
    public var checksum: Checksum?
    /// For fetching it: of the entry that names it first, its secrets only where the origin is the same.
    public var options: JobOptions
    public init(source: DigestSource, checksum: Checksum?, options: JobOptions) {
        self.source = source
        self.checksum = checksum
        self.options = options
    }
}

/// What a job of dld's own is for: to fetch a list of digests and read it into the ledger. It belongs to no list of a
/// user's (its list has the number 0), and no results show it.
public struct DigestErrand: Sendable, Hashable {
    public var id: DigestListID
    /// A local file, which is read where it lies; nil: it is fetched.
    public var file: String?
    public init(id: DigestListID, file: String?) {
        self.id = id
        self.file = file
    }
    /// The list that such jobs belong to.
    public static let list = ListID(0)
    /// Its number: below zero, so that the runs of no list have a gap.
    public var seq: JobSeq { JobSeq(-id.rawValue) }
}

extension HostKey {
    /// The lane of errands that read a local file: there is no host.
    public static let files = HostKey("file:")
}

/// A list of digests to be read into the ledger.
public struct DigestReading: Sendable, Hashable {
    public var id: DigestListID
    /// The file: relative to the directory, no links below it are followed.
    public var directory: String
    public var name: String
    /// URL or path, for its hint at the algorithm and for messages.
    public var source: String
    /// Bytes; a longer file is refused.
    public var limit: Int64?
    public init(id: DigestListID, directory: String, name: String, source: String, limit: Int64?) {
        self.id = id
        self.directory = directory
        self.name = name
        self.source = source
        self.limit = limit
    }
}

/// Some lines of a list of digests on their way into the ledger.
public struct DigestBatch: Sendable, Hashable {
    public struct Line: Sendable, Hashable {
        /// See `DigestNames.normalized`; empty: the digest of whatever is checked by this list.
        public var name: String
        public var checksum: Checksum
        public init(name: String, checksum: Checksum) {
            self.name = name
            self.checksum = checksum
        }
    }
    public var id: DigestListID
    /// What an earlier reading brought counts no more.
    public var isFirst: Bool
    public var lines: [Line]
    public init(id: DigestListID, isFirst: Bool, lines: [Line]) {
        self.id = id
        self.isFirst = isFirst
        self.lines = lines
    }
}

extension DigestAlgorithm {
    /// Which of two digests of one name is taken: the higher. Stored in the ledger: never renumber.
    public var strength: UInt8 {
        let order = ["crc32c", "md5", "sha-1", "sha-224", "sha-256", "sha-384", "blake2b", "sha-512"]
        return UInt8(order.firstIndex(of: rawValue).map { $0 + 1 } ?? 0)
    }
    /// Of a stored strength.
    public init?(strength: UInt8) {
        guard let match = Self.allCases.first(where: { $0.strength == strength }) else { return nil }
        self = match
    }
}
