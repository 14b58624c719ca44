// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Entries on their way in: one insert a row, counts and position once a batch. Inside a group.
extension LedgerStore {
    /// Takes one batch in, if it goes on exactly where the list stands; else nothing of it, and the result
    /// says where the list stands. So a batch sent twice (a restart, an answer lost) goes in once.
    ///
    /// An entry whose `gid` a live job holds becomes a bad line; the `gid` of an ended job is not given out
    /// again. Entries of a list that was cancelled meanwhile go in as cancelled.
    public func admit(_ batch: AdmissionBatch, now: WallTime) throws(LedgerError) -> AdmitResult {
        let stored = try existing(batch.list)
        guard stored.state == .admitting, stored.position == batch.from else {
            return AdmitResult(position: stored.position, isApplied: false, gidConflicts: 0)
        }
        if var defaults = batch.defaults {
            if try write({ try takeReadmission(of: batch.list, $0) }) { defaults.isReadmitted = true }
            try update(batch.list, "defaults = ?", [JSONColumn.text(defaults)])
            caches.remember(batch.list, SharedOptions(defaults))
        }
        var insertion = try write { db in
            try EntryInsertion(
                store: self, db: db, list: batch.list, now: now,
                isCancelled: Bool.fetchOne(
                    db, sql: "SELECT cancelled FROM list WHERE id = ?", arguments: [batch.list.rawValue])
                    ?? false)
        }
        try write { _ in
            for entry in batch.entries { try insertion.insert(entry) }
            try insertion.finish()
        }
        try update(
            batch.list, "offset = ?, line = ?, entries = ?",
            [batch.to.offset, batch.to.line, batch.to.entries])
        return AdmitResult(
            position: batch.to, isApplied: true, gidConflicts: insertion.gidConflicts,
            lowestRank: insertion.lowestRank)
    }

    /// The row number of a host, made when the host is new.
    func hostID(_ key: HostKey, _ db: Database) throws -> HostID {
        if let known = caches.hostIDs[key] { return known }
        let select = try db.cachedStatement(sql: "SELECT id FROM host WHERE name = ?")
        let id: HostID
        if let found = try Int64.fetchOne(select, arguments: [key.rawValue]) {
            id = HostID(rawValue: found)
        } else {
            try db.cachedStatement(sql: "INSERT INTO host (name) VALUES (?)").execute(arguments: [
                key.rawValue
            ])
            id = HostID(rawValue: db.lastInsertedRowID)
        }
        caches.remember(id, key)
        return id
    }

    func hostKey(_ id: HostID, _ db: Database) throws -> HostKey {
        if let known = caches.hostNames[id] { return known }
        let select = try db.cachedStatement(sql: "SELECT name FROM host WHERE id = ?")
        let key = HostKey(try String.fetchOne(select, arguments: [id.rawValue]) ?? "")
        caches.remember(id, key)
        return key
    }
}

/// One batch going in: what is the same for all its rows is looked up once.
private struct EntryInsertion {
    let store: LedgerStore
    let db: Database
    let list: ListID
    let now: WallTime
    let isCancelled: Bool
    let statement: DirectStatement
    /// Of those that may be read ahead.
    private(set) var lowestRank: Int?
    private(set) var gidConflicts = 0
    private var runs: [ClosedRange<Int64>] = []
    private var lastHost: (key: HostKey, id: HostID)?
    private var lastWish: DigestListWish?
    private var lastGate: DigestListID?

    init(store: LedgerStore, db: Database, list: ListID, now: WallTime, isCancelled: Bool) throws {
        self.store = store
        self.db = db
        self.list = list
        self.now = now
        self.isCancelled = isCancelled
        statement = try store.hot(.admit, db)
    }

    mutating func insert(_ given: AdmittedEntry) throws {
        var entry = given
        var gid: JobID?
        if let wanted = entry.gid { gid = try settle(wanted, &entry) }
        var kind = JobKind.download
        var urls: String?
        var mirrorHosts: String?
        var path: String?
        var host = HostKey.none
        var state: JobState = entry.startsPaused ? .paused : .queued
        switch entry.kind {
        case .download(let mirrors, let output):
            urls = WorkColumns.urls(mirrors)
            mirrorHosts = WorkColumns.mirrorHosts(mirrors)
            path = output.description
            host = mirrors.first?.host ?? .none
        case .sum(let range):
            kind = .sum
            urls = WorkColumns.sum(range)
        case .bad:
            kind = .badLine
            state = .failed
        }
        if isCancelled && kind != .badLine { state = .cancelled }
        // Bad lines belong to no host: the row 0 of sums does not count them.
        let hostID = kind == .badLine ? HostID(rawValue: -1) : try id(of: host)
        let lane = LaneKey(list: list, host: hostID)
        let rank = Int64(-min(max(entry.priority, -1_000_000_000), 1_000_000_000))
        let gate = state.isTerminal || kind != .download ? nil : try gate(of: entry, rank: rank)
        try statement.bind(entry.seq.rawValue).bind(list.rawValue).bind(entry.line).bind(kind.rawValue)
            .bind(state.rawValue).bind(lane.host.rawValue).bind(rank).bind(now.rawValue)
            .bind(urls).bind(mirrorHosts).bind(path)
            .bind(entry.hasRare ? JSONColumn.text(entry.options) : nil)
            .bind(gid.map { Int64(bitPattern: $0.rawValue) }).bind(gate?.rawValue).run()
        if let gid { try note(gid, entry.seq) }
        if let pieces = entry.pieces, kind == .download { try PieceRows.add(pieces, entry.seq, db) }
        if state.isTerminal { try noteEnd(of: entry, state) }
        let isReady = state == .queued && gate == nil
        if isReady { lowestRank = min(lowestRank ?? Int(rank), Int(rank)) }
        store.deltas.admit(lane, state, isReady: isReady)
        extendRun(entry.seq.rawValue)
    }

    /// Bad lines and entries of a cancelled list are over as they come in.
    private func noteEnd(of entry: AdmittedEntry, _ state: JobState) throws {
        var outcome = Outcome(state: state, endedAt: now)
        if case .bad(let error) = entry.kind {
            outcome.error = error
        } else {
            outcome.error = .cancelledWithList
        }
        try OutcomeColumns.write(store.hot(.outcome, db), entry.seq, outcome)
    }

    private mutating func gate(of entry: AdmittedEntry, rank: Int64) throws -> DigestListID? {
        guard let wish = entry.digestList else { return nil }
        // Lists name the same one entry after entry.
        if let lastWish, lastWish.source == wish.source, lastWish.checksum == wish.checksum {
            return lastGate
        }
        let id = try store.digestList(wish, of: list, line: entry.line, rank: rank, now: now, db)
        lastWish = wish
        lastGate = id
        return id
    }

    private mutating func id(of host: HostKey) throws -> HostID {
        if host == .none { return HostID(rawValue: 0) }
        // Lists name the same host line after line.
        if let lastHost, lastHost.key == host { return lastHost.id }
        let id = try store.hostID(host, db)
        lastHost = (host, id)
        return id
    }

    /// The id an entry may have: its own wish, none when an ended job has it, and no job at all when a live
    /// one has.
    private mutating func settle(_ wanted: JobID, _ entry: inout AdmittedEntry) throws -> JobID? {
        let holder = try store.holder(of: wanted, db)
        guard let holder else { return wanted }
        if holder.state.isTerminal { return nil }
        gidConflicts += 1
        entry.kind = .bad(JobError(.badOption, "gid=\(wanted): a job that has not ended has this id"))
        return nil
    }

    private func note(_ gid: JobID, _ seq: JobSeq) throws {
        try db.cachedStatement(sql: "INSERT INTO gid (gid, seq) VALUES (?, ?)")
            .execute(arguments: [Int64(bitPattern: gid.rawValue), seq.rawValue])
    }

    private mutating func extendRun(_ seq: Int64) {
        if let last = runs.last, last.upperBound < .max, seq == last.upperBound + 1 {
            runs[runs.count - 1] = last.lowerBound...seq
        } else {
            runs.append(seq...seq)
        }
    }

    /// Runs and the next number: once a batch.
    mutating func finish() throws {
        for run in runs {
            // A list alone in admission goes on where its last run ended: that row grows.
            try db.cachedStatement(
                sql: """
                    UPDATE span SET last = ? WHERE list = ? AND last = ? \
                    AND first = (SELECT max(first) FROM span WHERE list = ?)
                    """
            )
            .execute(arguments: [run.upperBound, list.rawValue, run.lowerBound - 1, list.rawValue])
            if db.changesCount == 0 {
                try db.cachedStatement(sql: "INSERT INTO span (list, first, last) VALUES (?, ?, ?)")
                    .execute(arguments: [list.rawValue, run.lowerBound, run.upperBound])
            }
        }
        guard let last = runs.map(\.upperBound).max(), last >= store.seqLimit.rawValue else { return }
        try db.cachedStatement(sql: "UPDATE total SET next_seq = ?").execute(arguments: [last + 1])
        store.seqLimit = JobSeq(last + 1)
    }
}

extension JobError {
    static var cancelledWithList: JobError { JobError(.cancelled, "cancelled with its list") }
}
