// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// One page of rows. A page may be short, even empty, and still have a `next`: each looks at a bounded
/// number of
/// rows, whatever matches.
public struct PageDocument<Item: Codable & Sendable & Hashable>: Codable, Sendable, Hashable {
    public var items: [Item]
    /// What to give as `after` for the next page; nil: this was the last.
    @Nullable public var next: String?
    public init(items: [Item], next: String?) {
        self.items = items
        self.next = next
    }
}

/// A list, in status, in `/v1/lists` and in `/v1/lists/ID`.
public struct ListDocument: Codable, Sendable, Hashable {
    /// nil only while `state` is `spooled`, and for a file rejected before it had one.
    @Nullable public var id: Int64?
    public var name = ""
    public var state = State.admitting
    public var paused = false
    /// `text` or `jsonl`.
    public var format = "text"
    /// Jobs by state.
    public var jobs = StateCounts()
    public var done = 0
    public var failed = 0
    public var cancelled = 0
    /// Entries admitted so far; final once `state` is not `admitting`.
    public var total = 0
    /// Of finished files.
    public var bytes: Int64 = 0
    public var rate: Double = 0
    @Nullable public var secondsLeft: Double?
    @Nullable public var admittedAt: Timestamp?
    @Nullable public var endedAt: Timestamp?
    /// Where the file lies once closed, relative to the spool: `failed/hourly.4711.txt`.
    @Nullable public var finalName: String?
    /// Why it was rejected.
    @Nullable public var reason: String?
    public init() {}

    public enum State: String, Codable, Sendable, Hashable, CaseIterable {
        /// Lies in the spool, not taken yet.
        case spooled
        case admitting, running, closed, rejected
        public init(_ state: ListState) {
            switch state {
            case .admitting: self = .admitting
            case .running: self = .running
            case .closed: self = .closed
            case .rejected: self = .rejected
            case .removing: self = .closed
            }
        }
        /// Nothing more will happen to the list.
        public var isTerminal: Bool { self == .closed || self == .rejected }
    }

    /// The ledger's row; rate and time left are the snapshot's to add.
    public init(_ row: ListRow) {
        id = row.id.rawValue
        name = row.name
        state = State(row.state)
        paused = row.isPaused
        format =
            switch row.format {
            case .text: "text"
            case .jsonLines: "jsonl"
            case .metalink: "meta4"
            }
        jobs = row.counts
        done = row.counts.done
        failed = row.counts.failed
        cancelled = row.counts.cancelled
        total = row.counts.total
        bytes = row.bytes
        admittedAt = Timestamp(row.admittedAt)
        endedAt = row.endedAt.map { Timestamp($0) }
        finalName = row.finalName.map { Self.folder(of: row) + $0 }
    }

    /// Where the file of an ended list lies in the spool.
    private static func folder(of row: ListRow) -> String {
        switch row.state {
        case .admitting, .running: "accepted/"
        case .rejected: "rejected/"
        case .closed, .removing: row.counts.failed + row.counts.cancelled == 0 ? "done/" : "failed/"
        }
    }

    enum CodingKeys: String, CodingKey {
        case id, name, state, paused, format, jobs, done, failed, cancelled, total, bytes, rate, reason
        case secondsLeft = "seconds_left"
        case admittedAt = "admitted_at"
        case endedAt = "ended_at"
        case finalName = "final_name"
    }
}

/// A host that courtesy is counted for.
public struct HostDocument: Codable, Sendable, Hashable {
    public var host = ""
    public var connections = 0
    public var connectionLimit = 0
    /// Transfers under way (on HTTP/2 many ride on one connection).
    public var active = 0
    /// `1.1`, `2`; nil: not known yet, or forgotten.
    @Nullable public var httpVersion: String?
    public var queued = 0
    public var waiting = 0
    /// `hosts.*.rate` as it is in force now, bytes a second; nil: none.
    @Nullable public var rateLimit: Int64?
    @Nullable public var heldUntil: Timestamp?
    /// Why it is held: `429`, `503`, `connection refused`.
    @Nullable public var reason: String?
    /// `open`: it refused connections again and again, and nothing but a scout goes to it; `probing`: the scout is
    /// out. nil: closed.
    @Nullable public var breaker: String?
    /// Transfers at a time that it is given at present; below what is configured after trouble.
    @Nullable public var capacity: Int?
    /// How long it has given nothing usable while jobs waited.
    @Nullable public var barrenSeconds: Double?
    /// When its jobs fail as `host_unavailable` if that goes on.
    @Nullable public var givesUpAt: Timestamp?
    public init() {}
    /// Nothing new starts towards it.
    public var isHeld: Bool { heldUntil != nil }
    enum CodingKeys: String, CodingKey {
        case host, connections, active, queued, waiting, reason, breaker, capacity
        case connectionLimit = "connection_limit"
        case barrenSeconds = "barren_seconds"
        case givesUpAt = "gives_up_at"
        case httpVersion = "http_version"
        case rateLimit = "rate_limit"
        case heldUntil = "held_until"
    }
}

/// What went wrong with a request: the body of every answer that is not 2xx.
public struct ErrorDocument: Codable, Sendable, Hashable, Error {
    public struct Body: Codable, Sendable, Hashable {
        /// A stable word: `bad_request not_found method_not_allowed conflict too_large unavailable
        /// internal`, or a
        /// code of the error table where a list was refused.
        public var code: String
        /// For people.
        public var message: String
    }
    public var error: Body
    public init(code: String, message: String) { error = Body(code: code, message: message) }
}

/// `GET /healthz`. Answered with 200 while healthy, else with 503.
public struct HealthDocument: Codable, Sendable, Hashable {
    public var healthy: Bool
    public var state: DaemonState
    public var version: String
    /// What is wrong, in words.
    public var problems: [String]
    public init(healthy: Bool, state: DaemonState, version: String, problems: [String]) {
        self.healthy = healthy
        self.state = state
        self.version = version
        self.problems = problems
    }
}

/// What cancel, pause, resume, retry or release did.
public struct ActionDocument: Codable, Sendable, Hashable {
    /// `cancel`, `pause`, `resume`, `retry`, `release`.
    public var verb: String
    /// The list's or job's id, or the host.
    public var target: String
    /// Jobs changed, or being changed where `complete` is false.
    public var changed: Int
    /// false: a large list is being worked through in slices; its counts show how far.
    public var complete: Bool
    public init(verb: String, target: String, changed: Int, complete: Bool) {
        self.verb = verb
        self.target = target
        self.changed = changed
        self.complete = complete
    }
}

/// What a reload did. A refused configuration is an error (409), not this.
public struct ReloadDocument: Codable, Sendable, Hashable {
    public var warnings: [String]
    /// Changed keys that wait for a restart.
    public var needsRestart: [String]
    public init(warnings: [String], needsRestart: [String]) {
        self.warnings = warnings
        self.needsRestart = needsRestart
    }
    enum CodingKeys: String, CodingKey {
        case warnings
        case needsRestart = "needs_restart"
    }
}

/// A posted list, committed: the body of 201.
public struct AddedDocument: Codable, Sendable, Hashable {
    public var id: Int64
    /// As it was posted; in `accepted/` the id may have been added.
    public var name: String
    public init(id: Int64, name: String) {
        self.id = id
        self.name = name
    }
}
