// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Published files in the order of an audit, as far as one look reached.
public struct AuditSlice: Sendable, Hashable {
    /// In order; those that a job is about to rename over are left out.
    public var entries: [AuditPage.Entry]
    /// Where to go on; nil: this was the end.
    public var next: AuditCursor?
}

/// What an audit reads: pages by key that look at a bounded number of rows, whatever the ledger holds.
extension LedgerReader {
    public func audit(_ id: AuditID) throws(LedgerError) -> AuditRow? {
        try read { try AuditColumns.audit($0, id) }
    }

    /// Audits by id, after `after`.
    public func audits(
        after: AuditID?, limit: Int
    ) throws(LedgerError) -> (rows: [AuditRow], next: AuditID?) {
        let bound = LedgerReader.bound(limit)
        return try read { db in
            let statement = try db.cachedStatement(
                sql: AuditColumns.query + " WHERE id > ? ORDER BY id LIMIT ?")
            let rows = try Row.fetchCursor(statement, arguments: [after?.rawValue ?? 0, bound])
                .map(AuditColumns.audit).readAll()
            return (rows, rows.count == bound ? rows.last?.id : nil)
        }
    }

    /// The audit whose turn it is, and how many others wait.
    public func openAudits() throws(LedgerError) -> (next: AuditRow?, open: Int) {
        try read { db in
            let find = try db.cachedStatement(
                sql: AuditColumns.query
                    + " INDEXED BY audit_open WHERE state < 3 AND NOT paused ORDER BY id LIMIT 1")
            let count = try db.cachedStatement(
                sql: "SELECT count(*) FROM audit INDEXED BY audit_open WHERE state < 3")
            return (try Row.fetchOne(find).map(AuditColumns.audit), try Int.fetchOne(count) ?? 0)
        }
    }

    /// Looks at up to `limit` rows behind the cursor: a slice may be short, even empty, and have a next.
    public func slice(
        of scope: AuditScope, after cursor: AuditCursor?, limit: Int
    ) throws(LedgerError) -> AuditSlice {
        let bound = LedgerReader.bound(limit)
        switch scope {
        case .list(let list):
            let after = if case .job(let seq)? = cursor { seq } else { JobSeq(0) }
            return try read { try slice($0, of: list, after: after, limit: bound) }
        case .all, .paths:
            let ranges = scope.ranges(after: cursor)
            return try read { db in
                var slice = AuditSlice(entries: [], next: nil)
                var left = bound
                for range in ranges where left > 0 {
                    left -= try add(db, range, limit: left, to: &slice)
                }
                return slice
            }
        }
    }

    /// - Returns: rows looked at.
    private func add(
        _ db: Database, _ range: PathRange, limit: Int, to slice: inout AuditSlice
    ) throws -> Int {
        let statement = try hot(range.upper == nil ? .filesOn : .filesBetween, db)
        statement.bind(String(decoding: range.lower, as: UTF8.self))
        if let upper = range.upper { statement.bind(String(decoding: upper, as: UTF8.self)) }
        var looked = 0
        let entries = try statement.bind(limit).rows { row -> AuditPage.Entry? in
            looked += 1
            let path = OutputPath(trusted: row.text(0) ?? "")
            if looked == limit { slice.next = .path(path) }
            guard let file = PublishedColumns.file(row), !file.isBeingReplaced else { return nil }
            return AuditPage.Entry(cursor: .path(path), record: file.record)
        }
        slice.entries += entries
        return looked
    }

    private static func rows(_ range: PathRange, limit: Int) -> (String, StatementArguments) {
        let lower = String(decoding: range.lower, as: UTF8.self)
        guard let upper = range.upper else {
            return ("SELECT * FROM file WHERE path >= ? ORDER BY path LIMIT ?", [lower, limit])
        }
        return (
            "SELECT * FROM file WHERE path >= ? AND path < ? ORDER BY path LIMIT ?",
            [lower, String(decoding: upper, as: UTF8.self), limit]
        )
    }

    private func slice(_ db: Database, of list: ListID, after: JobSeq, limit: Int) throws -> AuditSlice {
        let statement = try hot(.filesOfList, db)
        for value in SpanPages.values(list, after) { statement.bind(value) }
        var looked = 0
        var last = after
        let entries = try statement.bind(limit).rows { row -> AuditPage.Entry? in
            looked += 1
            last = JobSeq(row.number(PublishedColumns.count))
            guard Int(row.number(PublishedColumns.count + 1)) == JobState.done.rawValue,
                let file = PublishedColumns.file(row), !file.isBeingReplaced
            else { return nil }
            return AuditPage.Entry(cursor: .job(last), record: file.record)
        }
        return AuditSlice(entries: entries, next: looked == limit ? .job(last) : nil)
    }

    /// Files and bytes of up to `limit` rows, for a total ahead of the audit. `next`: as for slices.
    public func sizes(
        of scope: AuditScope, after cursor: AuditCursor?, limit: Int
    ) throws(LedgerError) -> (files: Int, bytes: Int64, next: AuditCursor?) {
        if case .list = scope {
            let slice = try slice(of: scope, after: cursor, limit: limit)
            return (
                slice.entries.count, slice.entries.reduce(0) { $0 &+ max(0, $1.record.size) }, slice.next
            )
        }
        let ranges = scope.ranges(after: cursor)
        return try read { db in
            var sum = (files: 0, bytes: Int64(0), next: AuditCursor?.none)
            var left = LedgerReader.bound(limit)
            for range in ranges where left > 0 {
                let (sql, arguments) = Self.rows(range, limit: left)
                let statement = try db.cachedStatement(
                    sql: """
                        SELECT count(*), count(published_at), max(path), \
                        sum(CASE WHEN published_at NOT NULL THEN size END) FROM (\(sql))
                        """)
                guard let row = try Row.fetchOne(statement, arguments: arguments) else { continue }
                left -= Int(row.number(0))
                sum.files += Int(row.number(1))
                sum.bytes &+= max(0, row.number(3))
                if left == 0, let last = row.text(2) { sum.next = .path(OutputPath(trusted: last)) }
            }
            return sum
        }
    }

    /// One published file; nil: nothing was ever published there.
    public func published(at path: OutputPath) throws(LedgerError) -> PublishedFile? {
        try read { db in
            let statement = try db.cachedStatement(
                sql:
                    "SELECT \(PublishedColumns.selected) FROM file f \(PublishedColumns.owner) WHERE f.path = ?"
            )
            return try Row.fetchOne(statement, arguments: [path.description]).flatMap {
                PublishedColumns.file($0)
            }
        }
    }

    /// What results show of one job, with its options; nil where there is no such row.
    public func record(of seq: JobSeq) throws(LedgerError) -> ResultRecord? {
        try read { try job(seq, $0)?.record }
    }
}
