// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// One entry of a list as its grammar gives it, before its URLs are parsed.
public struct ListEntry: Sendable, Hashable {
    public enum Body: Sendable, Hashable {
        /// Mirrors of one file, as given.
        case urls([String])
        case sum(SumRange)
        case bad(JobError)
    }
    /// Number of its first line, from 1.
    public var line: Int
    public var body: Body
    public private(set) var sharedOptions: SharedOptions
    /// aria2's `gid`.
    public var gid: JobID?
    /// Digests of the file's pieces; `options.pieces` tells of them.
    public var pieces: PieceHashes?
    public init(line: Int, body: Body, options: SharedOptions = .none, gid: JobID? = nil) {
        self.line = line
        self.body = body
        sharedOptions = options
        self.gid = gid
    }

    /// Its own options, without the list's defaults.
    public var options: JobOptions {
        get { sharedOptions.value }
        set { sharedOptions = SharedOptions(newValue) }
    }

    static func bad(_ line: Int, _ code: ErrorCode, _ message: String) -> ListEntry {
        ListEntry(line: line, body: .bad(JobError(code, "line \(line): \(message)")))
    }
}

/// Something a grammar has to say that costs no entry.
public struct ListRemark: Sendable, Hashable {
    public var level: SpoolLevel
    public var line: Int
    public var message: String
    public init(level: SpoolLevel, line: Int, message: String) {
        self.level = level
        self.line = line
        self.message = message
    }
}

/// What feeding a grammar one line, or the end, brings out.
public struct ListYield: Sendable, Hashable {
    /// Entries that are complete now, in the order of their lines.
    public var entries: [ListEntry] = []
    public var remarks: [ListRemark] = []
    public init() {}
}

/// Where reading may start again: the begin of the first entry that has not come out yet.
public struct ListMark: Sendable, Hashable {
    /// Bytes of the unpacked text before it.
    public var offset: Int64
    /// Lines before it.
    public var line: Int
    public init(offset: Int64, line: Int) {
        self.offset = offset
        self.line = line
    }
}

/// A list that cannot be taken at all, with the reason for its user.
public struct ListRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}

/// Text from a list, cut to a size that fits a message, and made fit to be shown.
func excerpt(_ text: String) -> String {
    let limit = 60
    return Masking.text(text.count > limit ? text.prefix(limit) + "..." : text)
}
