// SPDX-License-Identifier: Apache-2.0

/// What a dropped file is, by its name (design 4.3).
public enum ListFormat: Int, Sendable, Codable {
    case text = 0
    case jsonLines = 1
    /// Version 4 (RFC 5854).
    case metalink = 2
}

/// What the ledger keeps of a list file when its admission begins.
public struct ListFile: Sendable, Hashable {
    /// The name it was dropped under.
    public var name: String
    /// The name it gets in `accepted/` (the id goes before the extension where NAME is taken): known before the
    /// move, so that a restart finds the file on either side of it. Empty: the ledger fills in by the id.
    public var acceptedName: String
    public var format: ListFormat
    public var isGzip: Bool
    public var device: UInt64
    public var inode: UInt64
    /// Bytes on disk.
    public var size: Int64
    public var modified: WallTime
    public init(
        name: String, acceptedName: String, format: ListFormat, isGzip: Bool, device: UInt64, inode: UInt64,
        size: Int64, modified: WallTime
    ) {
        self.name = name
        self.acceptedName = acceptedName
        self.format = format
        self.isGzip = isGzip
        self.device = device
        self.inode = inode
        self.size = size
        self.modified = modified
    }
}

/// How far a list has been read: stored in the same transaction as the entries before it.
public struct ListPosition: Sendable, Hashable {
    /// Bytes of the unpacked text consumed: where the next entry begins.
    public var offset: Int64 = 0
    /// Lines consumed.
    public var line: Int = 0
    /// Entries admitted.
    public var entries: Int = 0
    public init(offset: Int64 = 0, line: Int = 0, entries: Int = 0) {
        self.offset = offset
        self.line = line
        self.entries = entries
    }
}

/// One entry on its way into the ledger.
public struct AdmittedEntry: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case download(urls: [DownloadURL], path: OutputPath)
        case sum(SumRange)
        /// Costs this line, not the list: goes in as a failed job.
        case bad(JobError)
    }
    public var seq: JobSeq
    /// Number of the entry's first line, from 1.
    public var line: Int
    public var kind: Kind
    /// aria2's `gid`: the id asked for. Taken by a live job: the ledger turns the entry into a bad line.
    public var gid: JobID?
    /// Own priority or the default's: higher first.
    public var priority: Int
    public var startsPaused: Bool
    /// What few entries have, behind one word: thousands of entries are on their way at a time.
    private indirect enum Rare: Sendable, Hashable {
        case nothing
        case some(SharedOptions, DigestListWish?, PieceHashes?)
    }
    private var rare = Rare.nothing
    public init(
        seq: JobSeq, line: Int, kind: Kind, options: SharedOptions, gid: JobID? = nil, priority: Int = 0,
        startsPaused: Bool = false
    ) {
        self.seq = seq
        self.line = line
        self.kind = kind
        self.gid = gid
        self.priority = priority
        self.startsPaused = startsPaused
        setRare(options, nil, nil)
    }

    /// Whether it has options of its own, a list of digests or digests of pieces.
    public var hasRare: Bool { rare != .nothing }
    /// The entry's own options, without the list's defaults.
    public var options: JobOptions {
        get { sharedOptions.value }
        set { setRare(SharedOptions(newValue), digestList, pieces) }
    }
    /// The list of digests that a download is checked by: it waits for that.
    public var digestList: DigestListWish? {
        get { if case .some(_, let wish, _) = rare { wish } else { nil } }
        set { setRare(sharedOptions, newValue, pieces) }
    }
    /// Digests of the file's pieces; `options.pieces` tells of them.
    public var pieces: PieceHashes? {
        get { if case .some(_, _, let pieces) = rare { pieces } else { nil } }
        set { setRare(sharedOptions, digestList, newValue) }
    }

    private var sharedOptions: SharedOptions {
        if case .some(let options, _, _) = rare { options } else { .none }
    }

    private mutating func setRare(_ options: SharedOptions, _ wish: DigestListWish?, _ pieces: PieceHashes?) {
        let isEmpty = wish == nil && pieces == nil && options == .none
        rare = isEmpty ? .nothing : .some(options, wish, pieces)
    }
}

/// Some entries of one list, committed in one transaction. Bounded: at most 1,000 entries or 1 MiB of text.
public struct AdmissionBatch: Sendable {
    public var list: ListID
    /// Where the first entry begins; a batch that does not continue the stored position is not applied again.
    public var from: ListPosition
    /// Where the reader stands after it.
    public var to: ListPosition
    /// The list's defaults, once known (first batch only).
    public var defaults: JobOptions?
    public var entries: [AdmittedEntry]
    /// The list's text ends here: nothing more of it is on its way.
    public var isLast: Bool
    public init(
        list: ListID, from: ListPosition, to: ListPosition, defaults: JobOptions?, entries: [AdmittedEntry],
        isLast: Bool = false
    ) {
        self.list = list
        self.from = from
        self.to = to
        self.defaults = defaults
        self.entries = entries
        self.isLast = isLast
    }
}
