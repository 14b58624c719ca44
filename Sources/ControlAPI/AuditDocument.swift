// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// An audit of published files: `GET /v1/verify/ID`, a page of `/v1/verify`, and `audit` of the status.
public struct AuditDocument: Codable, Sendable, Hashable {
    public var id: Int64 = 0
    public var state = State.queued
    public var paused = false
    /// `all`, `list` or `paths`.
    public var scope = "all"
    @Nullable public var list: Int64?
    /// Below the output directory; empty unless the scope is `paths`.
    public var paths: [String] = []
    public var repair = false
    public var recordDigests = false
    public var listAll = false
    /// Files and bytes that it is about; nil until they have been counted.
    @Nullable public var filesTotal: Int?
    @Nullable public var bytesTotal: Int64?
    /// Looked at so far.
    public var files = 0
    public var bytes: Int64 = 0
    public var fine = 0
    public var plausible = 0
    public var changed = 0
    public var missing = 0
    public var unreadable = 0
    public var skipped = 0
    public var rate: Double = 0
    @Nullable public var secondsLeft: Double?
    /// Why it does not get on, in words.
    @Nullable public var reason: String?
    /// The list that fetches the bad files again, and its entries.
    @Nullable public var repairList: String?
    public var repairs = 0
    public var madeAt = Timestamp(WallTime(milliseconds: 0))
    @Nullable public var startedAt: Timestamp?
    @Nullable public var endedAt: Timestamp?
    public init() {}

    public enum State: String, Codable, Sendable, Hashable, CaseIterable {
        case queued, running, repairing, done, cancelled
        public var isTerminal: Bool { self == .done || self == .cancelled }
    }

    /// Files that are not what was published.
    public var bad: Int { changed + missing + unreadable }

    /// The ledger's row.
    public init(_ row: AuditRow) {
        id = row.id.rawValue
        state = State(rawValue: row.state.name) ?? .queued
        paused = row.isPaused
        switch row.scope {
        case .all: scope = "all"
        case .list(let id):
            scope = "list"
            list = id.rawValue
        case .paths(let given):
            scope = "paths"
            paths = given.map(\.description)
        }
        repair = row.options.repairs
        recordDigests = row.options.recordsDigests
        listAll = row.options.listsAll
        filesTotal = row.filesTotal
        bytesTotal = row.bytesTotal
        files = row.counts.total
        bytes = row.bytes
        fine = row.counts[.fine]
        plausible = row.counts[.plausible]
        changed = row.counts[.changed]
        missing = row.counts[.missing]
        unreadable = row.counts[.unreadable]
        skipped = row.counts.skipped
        repairList = row.repairList
        repairs = row.repairs
        madeAt = Timestamp(row.madeAt)
        startedAt = row.startedAt.map { Timestamp($0) }
        endedAt = row.endedAt.map { Timestamp($0) }
    }

    enum CodingKeys: String, CodingKey {
        case id, state, paused, scope, list, paths, repair, files, bytes, fine, plausible, changed, missing
        case unreadable, skipped, rate, reason, repairs
        case recordDigests = "record_digests"
        case listAll = "list_all"
        case filesTotal = "files_total"
        case bytesTotal = "bytes_total"
        case secondsLeft = "seconds_left"
        case repairList = "repair_list"
        case madeAt = "made_at"
        case startedAt = "started_at"
        case endedAt = "ended_at"
    }
}

/// What came of one file: a line of an audit's results.
public struct AuditFindingDocument: Codable, Sendable, Hashable {
    public var audit: Int64 = 0
    /// Below the output directory.
    public var path = ""
    /// `fine plausible changed missing unreadable skipped`.
    public var verdict = ""
    @Nullable public var reason: String?
    /// As published.
    public var bytes: Int64 = 0
    @Nullable public var foundBytes: Int64?
    @Nullable public var digest: String?
    @Nullable public var foundDigest: String?
    /// Masked.
    public var url = ""
    public var publishedAt = Timestamp(WallTime(milliseconds: 0))
    @Nullable public var modifiedAt: Timestamp?
    public var checkedAt = Timestamp(WallTime(milliseconds: 0))
    public init() {}
    enum CodingKeys: String, CodingKey {
        case audit, path, verdict, reason, bytes, digest, url
        case foundBytes = "found_bytes"
        case foundDigest = "found_digest"
        case publishedAt = "published_at"
        case modifiedAt = "modified_at"
        case checkedAt = "checked_at"
    }
}

/// What an audit is asked for: the body of `POST /v1/verify`. Exactly one of `all`, `list` and `paths` is given.
public struct AuditOrder: Codable, Sendable, Hashable {
    public enum Scope: Sendable, Hashable {
        case all
        case list(ListReference)
        /// Below the output directory, or absolute within it.
        case paths([String])
    }
    public var scope: Scope
    public var repair = false
    public var recordDigests = false
    public var listAll = false
    public init(_ scope: Scope) { self.scope = scope }

    /// Why an order makes no sense, in words; thrown where it is JSON at all.
    public struct Fault: Error {
        public let message: String
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
        static let known = ["all", "list", "paths", "repair", "record_digests", "list_all"]
    }

    /// Strict: a mistyped key would look at the wrong files.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        func fault(_ words: String) -> Fault { Fault(message: words) }
        let strangers = container.allKeys.map(\.stringValue).filter { !Key.known.contains($0) }
        if let stranger = strangers.sorted().first {
            throw fault("unknown key \"\(Masking.text(String(stranger.prefix(40))))\"")
        }
        /// nil: the key is not there; another type than the one expected is said in words.
        func read<Value: Decodable>(_ name: String, _ type: Value.Type, _ words: String) throws -> Value? {
            let key = Key(stringValue: name)
            guard container.contains(key) else { return nil }
            do { return try container.decode(type, forKey: key) } catch { throw fault("\(name) is \(words)") }
        }
        func flag(_ name: String) throws -> Bool { try read(name, Bool.self, "true or false") ?? false }
        var scopes: [Scope] = []
        if try flag("all") { scopes.append(.all) }
        if let list = try read("list", ListName.self, "a list's id or its file name") {
            scopes.append(.list(list.reference))
        }
        if let paths = try read("paths", [String].self, "an array of strings") {
            if paths.isEmpty { throw fault("paths names at least one file or folder") }
            scopes.append(.paths(paths))
        }
        guard scopes.count == 1 else { throw fault("exactly one of all, list and paths is to be given") }
        scope = scopes[0]
        repair = try flag("repair")
        recordDigests = try flag("record_digests")
        listAll = try flag("list_all")
    }

    /// `12`, `"12"` or `"hourly.txt"`.
    private struct ListName: Decodable {
        let reference: ListReference
        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            let text: String
            do { text = try container.decode(String.self) } catch {
                text = "\(try container.decode(Int64.self))"
            }
            guard let reference = ListReference(text) else { throw Fault(message: "") }
            self.reference = reference
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch scope {
        case .all: try container.encode(true, forKey: Key(stringValue: "all"))
        case .list(let list): try container.encode(list.description, forKey: Key(stringValue: "list"))
        case .paths(let paths): try container.encode(paths, forKey: Key(stringValue: "paths"))
        }
        try container.encode(repair, forKey: Key(stringValue: "repair"))
        try container.encode(recordDigests, forKey: Key(stringValue: "record_digests"))
        try container.encode(listAll, forKey: Key(stringValue: "list_all"))
    }
}

/// What can be asked of an audit.
public enum AuditVerb: String, Sendable, Hashable, CaseIterable {
    case cancel, pause, resume
}

/// `GET /v1/verify`.
public struct AuditQuery: Sendable, Hashable {
    /// Go on after this audit.
    public var after: AuditID?
    public var limit = ControlAPI.defaultPageLimit
    public init() {}
}

/// `GET /v1/verify/ID/results`.
public struct AuditResultsQuery: Sendable, Hashable {
    public var id: AuditID
    /// Where to go on, as the last page said.
    public var after: Int64 = 0
    public var limit = ControlAPI.defaultPageLimit
    public init(_ id: AuditID) { self.id = id }
}
