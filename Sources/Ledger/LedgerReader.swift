// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Reads the ledger beside its writer: lists, jobs, hosts, for the control socket and `fsck`.
///
/// *Threads*: made, used and closed on one thread, another than the store's. In WAL mode it neither blocks
/// the writer nor waits for it; each call is one short transaction and sees the last commit before it.
///
/// *Diagnostics*: `LedgerError`, as the store's; a page never looks at more than 10,000 rows.
public final class LedgerReader {
    /// Path of the database file.
    public let path: String
    private let cipher: JobIDCipher
    private let queue: DatabaseQueue
    let hot = HotStatements()

    private init(path: String, cipher: JobIDCipher, queue: DatabaseQueue) {
        self.path = path
        self.cipher = cipher
        self.queue = queue
    }

    /// Opens the ledger read-only (`SQLITE_OPEN_READONLY` and `PRAGMA query_only`). The store must have
    /// opened it before: a reader upgrades nothing.
    public static func open(path: String, cipher: JobIDCipher) throws(LedgerError) -> LedgerReader {
        do {
            var configuration = LedgerFile.configuration(readonly: true)
            configuration.prepareDatabase { db in
                try db.execute(sql: "PRAGMA query_only = 1")
                try db.execute(sql: "PRAGMA cache_size = -4096")
            }
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            return LedgerReader(path: path, cipher: cipher, queue: queue)
        } catch {
            throw LedgerError(error, file: path)
        }
    }

    /// Lists by id, after `after`, of one state or all. `next` is where to go on; a page may be short of
    /// `limit` and still have a next.
    public func lists(
        after: ListID?, limit: Int, state: ListState?
    ) throws(LedgerError) -> (rows: [ListRow], next: ListID?) {
        let bound = LedgerReader.bound(limit)
        return try read { db in
            let statement = try db.cachedStatement(
                sql: RowColumns.listQuery + " WHERE id > ? AND state < 4 ORDER BY id LIMIT ?")
            let cursor = try Row.fetchCursor(
                statement, arguments: [after?.rawValue ?? 0, LedgerStore.pageLimit])
            var rows: [ListRow] = []
            var looked = 0
            var last: ListID?
            while rows.count < bound, let row = try cursor.next() {
                looked += 1
                last = ListID(row.number(0))
                if state == nil || Int(row.number(6)) == state?.rawValue { rows.append(RowColumns.list(row)) }
            }
            return (rows, rows.count == bound || looked == LedgerStore.pageLimit ? last : nil)
        }
    }

    /// One list; nil where there is none. Throws `LedgerError`; the reader's thread.
    public func list(_ id: ListID) throws(LedgerError) -> ListRow? {
        try read { db in
            let statement = try db.cachedStatement(sql: RowColumns.listQuery + " WHERE id = ? AND state < 4")
            return try Row.fetchOne(statement, arguments: [id.rawValue]).map(RowColumns.list)
        }
    }

    /// The newest list that was dropped under this name.
    public func list(newestNamed name: String) throws(LedgerError) -> ListRow? {
        try read { db in
            let statement = try db.cachedStatement(
                sql: RowColumns.listQuery + " WHERE name = ? AND state < 4 ORDER BY id DESC LIMIT 1")
            return try Row.fetchOne(statement, arguments: [name]).map(RowColumns.list)
        }
    }

    /// Jobs by number, after `after`, of one state, one list, or all. Looks at 10,000 rows at most: a page
    /// may be short, even empty, and still have a next.
    public func jobs(
        state: JobState?, list: ListID?, after: JobSeq?, limit: Int
    ) throws(LedgerError) -> (rows: [JobRow], next: JobSeq?) {
        let bound = LedgerReader.bound(limit)
        return try read { db in
            let cursor = try JobScan(state: state, list: list).cursor(db, after: after ?? JobSeq(0))
            var seqs: [Int64] = []
            var looked = 0
            var last: JobSeq?
            while seqs.count < bound, let row = try cursor.next() {
                looked += 1
                last = JobSeq(row.number(0))
                if state == nil || Int(row.number(1)) == state?.rawValue,
                    list == nil || row.number(2) == list?.rawValue
                {
                    seqs.append(row.number(0))
                }
            }
            var rows: [JobRow] = []
            for seq in seqs {
                if let row = try job(JobSeq(seq), db) { rows.append(row) }
            }
            return (rows, seqs.count == bound || looked == LedgerStore.pageLimit ? last : nil)
        }
    }

    /// A job by its public id, asked for by its list or computed; nil where there is none. Bad lines have no
    /// id.
    public func job(_ id: JobID) throws(LedgerError) -> JobRow? {
        try read { db in
            let statement = try db.cachedStatement(sql: "SELECT seq FROM gid WHERE gid = ?")
            let found = try Int64.fetchOne(statement, arguments: [Int64(bitPattern: id.rawValue)])
            guard let row = try job(found.map { JobSeq($0) } ?? cipher.seq(of: id), db) else { return nil }
            return row.record.job == id ? row : nil
        }
    }

    /// Hosts in the order they became known, after `after`.
    public func hosts(after: HostID?, limit: Int) throws(LedgerError) -> (rows: [HostRow], next: HostID?) {
        let bound = LedgerReader.bound(limit)
        return try read { db in
            let statement = try db.cachedStatement(
                sql: RowColumns.hostQuery + " WHERE id > ? ORDER BY id LIMIT ?")
            let rows = try Row.fetchCursor(statement, arguments: [after?.rawValue ?? 0, bound])
                .readAllMapped(RowColumns.host)
            return (rows, rows.count == bound ? rows.last?.id : nil)
        }
    }

    /// One host by name; nil when no job ever named it.
    public func host(_ key: HostKey) throws(LedgerError) -> HostRow? {
        try read { db in
            let statement = try db.cachedStatement(sql: RowColumns.hostQuery + " WHERE name = ?")
            return try Row.fetchOne(statement, arguments: [key.rawValue]).map(RowColumns.host)
        }
    }

    /// Counts over all jobs in the ledger.
    public func totals() throws(LedgerError) -> StateCounts {
        try read { db in
            let statement = try db.cachedStatement(sql: "SELECT \(RowColumns.counts("total")) FROM total")
            return try Row.fetchOne(statement).map { RowColumns.counts($0, from: 0) } ?? StateCounts()
        }
    }

    /// Closes the connection. Nothing may be called after it.
    public func close() throws(LedgerError) {
        hot.forget()
        do { try queue.close() } catch { throw LedgerError(error, file: path) }
    }

    func job(_ seq: JobSeq, _ db: Database) throws -> JobRow? {
        let statement = try db.cachedStatement(sql: JobRowColumns.query)
        return try Row.fetchOne(statement, arguments: [seq.rawValue]).flatMap {
            JobRowColumns.job($0, cipher: cipher)
        }
    }

    func read<T>(_ body: (Database) throws -> T) throws(LedgerError) -> T {
        do {
            return try queue.read(body)
        } catch {
            throw LedgerError(error, file: path)
        }
    }

    static func bound(_ limit: Int) -> Int { min(max(limit, 1), LedgerStore.pageLimit) }
}

/// Explicitly not Sendable: one thread owns the reader.
@available(*, unavailable)
extension LedgerReader: Sendable {}

/// Which index finds the jobs of a question. Each gives (seq, state, list) by seq; what it cannot sort out by
/// itself the caller does, within the bound.
private struct JobScan {
    var state: JobState?
    var list: ListID?

    func cursor(_ db: Database, after: JobSeq) throws -> RowCursor {
        switch (state, list) {
        case (.waiting?, let list?), (.paused?, let list?):
            try rows(
                db,
                "job j INDEXED BY job_held WHERE j.state IN (2, 4) AND j.list = ? AND j.state = ? "
                    + "AND j.seq > ?",
                [list.rawValue, Int64(state?.rawValue ?? 0), after.rawValue])
        case (.active?, _), (.waiting?, nil), (.publishing?, _), (.paused?, nil):
            try rows(
                db, "job j INDEXED BY job_live WHERE j.state BETWEEN 1 AND 4 AND j.state = ? AND j.seq > ?",
                [Int64(state?.rawValue ?? 0), after.rawValue])
        case (_, let list?):
            try rows(
                db, "\(SpanPages.jobs) WHERE \(SpanPages.condition)", SpanPages.values(list, after),
                order: "s.first, j.seq")
        case (_, nil):
            try rows(db, "job j WHERE j.seq > ?", [after.rawValue])
        }
    }

    private func rows(
        _ db: Database, _ source: String, _ values: [Int64], order: String = "j.seq"
    ) throws -> RowCursor {
        let sql =
            "SELECT j.seq, j.state, j.list FROM \(source) ORDER BY \(order) LIMIT \(LedgerStore.pageLimit)"
        return try Row.fetchCursor(db.cachedStatement(sql: sql), arguments: StatementArguments(values))
    }
}

/// A job as `/v1/jobs` shows it.
private enum JobRowColumns {
    static let query = """
        SELECT \(ResultColumns.selected), j.path, j.attempts, j.fetched, j.admitted_at, j.started_at, \
        j.due, j.error, \
        j.error_message, j.resume, l.defaults, j.gate FROM job j LEFT JOIN outcome o ON o.seq = j.seq \
        LEFT JOIN host h ON h.id = j.host LEFT JOIN list l ON l.id = j.list WHERE j.seq = ?
        """

    static func job(_ row: Row, cipher: JobIDCipher) -> JobRow? {
        let at = ResultColumns.count
        let defaults = JSONColumn.options(row.text(at + 9), over: .none)
        guard let record = ResultColumns.record(row, defaults: defaults, cipher: cipher) else { return nil }
        let path = record.outcome?.path ?? row.text(at).map { OutputPath(trusted: $0) }
        var job = JobRow(
            record: record, host: HostKey(row.text(8) ?? ""), path: path,
            attempts: record.outcome?.attempts ?? Int(row.number(at + 1)),
            fetchedBytes: record.outcome?.fetchedBytes ?? row.number(at + 2),
            admittedAt: row.time(at + 3) ?? WallTime(milliseconds: 0),
            startedAt: record.outcome?.startedAt ?? row.time(at + 4), due: row.time(at + 5),
            lastError: ErrorColumn.error(row.text(at + 6), row.text(at + 7)),
            resume: JSONColumn.resume(row.text(at + 8)))
        job.isGated = row.optionalNumber(at + 10) != nil
        return job
    }
}
