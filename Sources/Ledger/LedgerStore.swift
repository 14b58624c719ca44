// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// The one truth about lists and jobs, and its only writer.
///
/// *Threads*: made, used and closed on one thread; it starts none of its own (GRDB runs each call on a serial
/// queue and the caller waits). Readers beside it use `LedgerReader`.
///
/// *Commits*: everything that writes is called inside `group`, which is one transaction. Counts of lists,
/// lanes and hosts are gathered in memory while the group runs and written once before its commit, so they
/// are never seen apart from the jobs they count, and never differ from them after a crash.
///
/// *What a crash leaves*: the last committed group, whole. `recover` then puts `active` jobs back to `queued`
/// and hands out those in `publishing`, whose files only the disk can tell about. Claims on paths are rows
/// and stand.
///
/// *Diagnostics*: a job fails: never because of the ledger. The daemon cannot work: `LedgerError`, transient
/// or not. Our bug: a write outside a group, a group in a group.
public final class LedgerStore {
    /// Names this ledger's part directory, `OUTPUT/.dld/ID`: 16 hex digits, made with the file.
    public let identity: String
    /// Between job numbers and public ids; the key was drawn when the ledger was made.
    public let cipher: JobIDCipher
    /// Path of the database file.
    public let path: String

    let queue: DatabaseQueue
    /// The connection while a group runs.
    var current: Database?
    /// The first error of the running group: kept so that a caller that swallows it cannot commit half a
    /// group.
    var failure: LedgerError?
    var deltas = CounterDeltas()
    var caches = LedgerCaches()
    let hot = HotStatements()
    var changedLists: Set<ListID> = []
    var changedHosts: Set<HostID> = []
    var admittedLanes: [ListID: [LaneKey]] = [:]
    /// Lanes that jobs have come to from another one.
    var joinedLanes: Set<LaneKey> = []
    var seqLimit: JobSeq
    var digestNews = DigestNews()
    /// What the ledger was opened with, and whether the connection syncs its commits now.
    private let durability: LedgerDurability
    private var syncs: Bool

    private init(
        path: String, queue: DatabaseQueue, durability: LedgerDurability, identity: String, key: UInt64,
        next: Int64
    ) {
        self.path = path
        self.durability = durability
        syncs = durability == .full
        self.queue = queue
        self.identity = identity
        cipher = JobIDCipher(key: key)
        seqLimit = JobSeq(next)
    }

    /// Opens the ledger, makes it when there is none, upgrades an older one after copying it to `PATH.vN`.
    ///
    /// - Parameter path: `STATE/ledger.db`; the directory exists. The caller holds `STATE/lock`.
    /// - Parameter programVersion: noted in the file; the views are made anew when it changes.
    /// - Throws: `.newerSchema`, `.corrupt` (no SQLite file, no ledger, empty), `.cannotOpen`, or a transient
    ///   code.
    public static func open(
        path: String, durability: LedgerDurability, programVersion: String
    ) throws(LedgerError) -> LedgerStore {
        try open(path: path, durability: durability, programVersion: programVersion, steps: LedgerFile.steps)
    }

    static func open(
        path: String, durability: LedgerDurability, programVersion: String, steps: [LedgerStep]
    ) throws(LedgerError) -> LedgerStore {
        do {
            let queue = try LedgerFile.open(
                path: path, durability: durability, programVersion: programVersion, steps: steps)
            return try queue.read { db in
                func value(_ key: String) throws -> String {
                    let sql = "SELECT value FROM meta WHERE key = ?"
                    guard let value = try String.fetchOne(db, sql: sql, arguments: [key]) else {
                        throw LedgerError(.corrupt, file: path, message: "meta has no \(key)")
                    }
                    return value
                }
                guard let key = UInt64(try value("job_key"), radix: 16),
                    let next = try Int64.fetchOne(db, sql: "SELECT next_seq FROM total")
                else { throw LedgerError(.corrupt, file: path, message: "meta or total is damaged") }
                return LedgerStore(
                    path: path, queue: queue, durability: durability, identity: try value("identity"),
                    key: key, next: next)
            }
        } catch {
            throw LedgerError(error, file: path)
        }
    }

    /// Runs `body` as one transaction, committed (and synced, with durability `full`) when this returns.
    ///
    /// When `body` or the commit fails nothing of it is kept, and the same group may be run again if the
    /// error is transient: `body` must not have given anything away before this returns.
    ///
    /// - Parameter mustLast: false where a power cut may take it back. The next group that must last makes it last
    ///   too, for the WAL is one file and is synced in order.
    public func group<T>(
        mustLast: Bool = true, _ body: () throws(LedgerError) -> T
    ) throws(LedgerError) -> T {
        precondition(current == nil, "ledger groups do not nest")
        var result: T?
        do {
            try queue.writeWithoutTransaction { db in
                try sync(mustLast, db)
                try db.inTransaction(.immediate) {
                    current = db
                    defer { current = nil }
                    result = try body()
                    if let failure { throw failure }
                    try flushCounters(db)
                    return .commit
                }
            }
        } catch {
            forget()
            throw LedgerError(error, file: path)
        }
        deltas.removeAll()
        guard let result else { preconditionFailure("a committed group has a result") }
        return result
    }

    /// FULL and NORMAL differ in the sync of each commit only; checkpoints sync with both.
    private func sync(_ mustLast: Bool, _ db: Database) throws {
        guard durability == .full, syncs != mustLast else { return }
        try db.execute(sql: mustLast ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
        syncs = mustLast
    }

    /// What was remembered may come from a transaction that is no more.
    private func forget() {
        failure = nil
        digestNews = DigestNews()
        deltas.removeAll()
        admittedLanes.removeAll()
        caches = LedgerCaches()
        let sql = "SELECT next_seq FROM total"
        let stored = try? read { try Int64.fetchOne($0, sql: sql) }  // unread: too high at worst
        if let stored { seqLimit = JobSeq(stored) }
    }

    /// A step that writes: inside a group only.
    func write<T>(_ body: (Database) throws -> T) throws(LedgerError) -> T {
        guard let current else { preconditionFailure("the ledger is written inside a group only") }
        do {
            return try body(current)
        } catch {
            let mapped = LedgerError(error, file: path)
            failure = failure ?? mapped
            throw mapped
        }
    }

    /// A step that only reads: in a group it sees what the group has done.
    func read<T>(_ body: (Database) throws -> T) throws(LedgerError) -> T {
        if current != nil { return try write(body) }
        do {
            return try queue.writeWithoutTransaction(body)
        } catch {
            throw LedgerError(error, file: path)
        }
    }

    /// The number the next admitted job gets: one above every number ever used.
    public var nextSeq: JobSeq { seqLimit }

    /// Counts over all jobs in the ledger.
    public func totals() throws(LedgerError) -> StateCounts {
        try read { db in
            let columns = RowColumns.counts("total")
            return try Row.fetchOne(db.cachedStatement(sql: "SELECT \(columns) FROM total")).map {
                RowColumns.counts($0, from: 0)
            } ?? StateCounts()
        }
    }

    /// Closes the file; the WAL is written home and removed. Nothing may be called after it.
    public func close() throws(LedgerError) {
        hot.forget()
        do { try queue.close() } catch { throw LedgerError(error, file: path) }
    }
}

/// Explicitly not Sendable: one thread owns the store.
@available(*, unavailable)
extension LedgerStore: Sendable {}

/// What the store remembers between groups. Bounded: a table that is full is emptied, and filled again from
/// the file.
struct LedgerCaches {
    static let limit = 16_384
    /// More than the dispatcher reads ahead and has under way.
    static let headLimit = 6_144
    var hostIDs: [HostKey: HostID] = [:]
    var hostNames: [HostID: HostKey] = [:]
    var defaults: [ListID: SharedOptions] = [:]
    /// Jobs that were read ahead or are under way, as their rows are: each is asked for at every change.
    private(set) var heads: [JobSeq: JobHead] = [:]
    /// False: the table of kept parts is known to be empty.
    var mayHaveParts = true

    mutating func remember(_ id: HostID, _ key: HostKey) {
        if hostIDs.count >= Self.limit { hostIDs.removeAll(keepingCapacity: true) }
        if hostNames.count >= Self.limit { hostNames.removeAll(keepingCapacity: true) }
        hostIDs[key] = id
        hostNames[id] = key
    }
    mutating func remember(_ head: JobHead) {
        if heads.count >= Self.headLimit { heads.removeAll(keepingCapacity: true) }
        heads[head.seq] = head
    }
    mutating func forget(_ seq: JobSeq) { heads[seq] = nil }
    mutating func remember(_ list: ListID, _ options: SharedOptions) {
        if defaults.count >= 1024 { defaults.removeAll(keepingCapacity: true) }
        defaults[list] = options
    }
}
