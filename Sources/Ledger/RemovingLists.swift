// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Lists that ended long ago: found, marked, and their rows removed slice by slice. A crash finds the mark.
extension LedgerStore {
    /// Closed and rejected lists that ended before `time`, the oldest first; a page goes on after its last row. A list that
    /// an audit is still to look at is not among them.
    public func expiredLists(
        endedBefore time: WallTime, after: ListRow?, limit: Int
    ) throws(LedgerError) -> [ListRow] {
        try read { db in
            let statement = try db.cachedStatement(
                sql: RowColumns.listQuery + """
                     INDEXED BY list_age WHERE state BETWEEN 2 AND 3 AND ended_at < ? AND (ended_at, id) > (?, ?) \
                    AND NOT EXISTS (SELECT 1 FROM audit INDEXED BY audit_open WHERE audit.state < 3 \
                    AND audit.scope = '{"list":' || list.id || '}') ORDER BY ended_at, id LIMIT ?
                    """)
            let from = (after?.endedAt?.rawValue ?? .min, after?.id.rawValue ?? .min)
            return try Row.fetchCursor(statement, arguments: [time.rawValue, from.0, from.1, max(1, limit)])
                .map(RowColumns.list).readAll()
        }
    }

    /// The files of a list that has ended are gone: it is `removing` from here on, and its audits are forgotten.
    /// nil: there is no such list, or it has not ended. Inside a group.
    public func beginRemoval(of list: ListID) throws(LedgerError) -> (row: ListRow, audits: [AuditID])? {
        guard let row = try self.list(list), row.state == .closed || row.state == .rejected else {
            return nil
        }
        try update(list, "state = 4", [])
        let scope = AuditColumns.text(.list(list))
        let audits = try write { db in
            // At most `auditsKept` rows and those that wait.
            let sql = "SELECT id FROM audit WHERE state >= 3 AND scope = ?"
            let ids = try Int64.fetchAll(db.cachedStatement(sql: sql), arguments: [scope])
            for id in ids {
                try db.cachedStatement(sql: "DELETE FROM audit WHERE id = ?").execute(arguments: [id])
            }
            return ids.map { AuditID($0) }
        }
        return (row, audits)
    }

    /// Lists whose removal was cut off by a stop.
    public func openRemovals() throws(LedgerError) -> [ListRow] {
        try read { db in
            let sql = RowColumns.listQuery + " INDEXED BY list_removing WHERE state = 4 ORDER BY id"
            return try Row.fetchCursor(db.cachedStatement(sql: sql)).map(RowColumns.list).readAll()
        }
    }
}

/// Rows that are no longer wanted. Inside a group.
extension LedgerStore {
    /// Removes up to `limit` jobs of a list that has ended, with their outcomes and ids. The table of
    /// files keeps what was published. `isComplete`: no job of it is left.
    public func removeSlice(list: ListID, limit: Int) throws(LedgerError) -> Slice {
        guard let row = try self.list(list), row.state != .admitting, row.state != .running else {
            return Slice(changed: 0, isComplete: true)
        }
        return try write { db in
            let select = try db.cachedStatement(
                sql: "SELECT first, last FROM span WHERE list = ? ORDER BY first LIMIT 1")
            var left = Int64(max(limit, 1))
            var removed = 0
            while left > 0, let span = try Row.fetchOne(select, arguments: [list.rawValue]) {
                let (first, end) = (span.number(0), span.number(1))
                let last = min(end, first + left - 1)
                removed += try removeJobs(list, first, last, db)
                try db.cachedStatement(sql: "DELETE FROM span WHERE list = ? AND first = ?")
                    .execute(arguments: [list.rawValue, first])
                if last < end {
                    try db.cachedStatement(sql: "INSERT INTO span (list, first, last) VALUES (?, ?, ?)")
                        .execute(arguments: [list.rawValue, last + 1, end])
                }
                left -= last - first + 1
            }
            return Slice(
                changed: removed, isComplete: try Row.fetchOne(select, arguments: [list.rawValue]) == nil)
        }
    }

    /// Removes the row of a list that has ended and has no job left. Its id is not used again.
    public func forget(list: ListID) throws(LedgerError) {
        try write { db in
            try db.cachedStatement(
                sql: """
                    DELETE FROM list WHERE id = ? AND state >= 2 AND NOT EXISTS (SELECT 1 FROM span WHERE \
                    list = ?)
                    """
            ).execute(arguments: [list.rawValue, list.rawValue])
        }
        caches.defaults[list] = nil
    }

    private func removeJobs(_ list: ListID, _ first: Int64, _ last: Int64, _ db: Database) throws -> Int {
        let counting = try db.cachedStatement(
            sql: "SELECT host, state, count(*) FROM job WHERE seq BETWEEN ? AND ? GROUP BY host, state")
        var removed = 0
        let groups = try Row.fetchCursor(counting, arguments: [first, last])
        while let row = try groups.next() {
            guard let state = JobState(rawValue: Int(row.number(1))) else { continue }
            deltas.add(
                LaneKey(list: list, host: HostID(rawValue: row.number(0))), state, by: -Int(row.number(2)))
            removed += Int(row.number(2))
        }
        let bytes = try db.cachedStatement(
            sql: "SELECT coalesce(sum(bytes), 0) FROM outcome WHERE seq BETWEEN ? AND ? AND state = 5")
        deltas.add(bytes: -(try Int64.fetchOne(bytes, arguments: [first, last]) ?? 0), list: list)
        try db.cachedStatement(
            sql:
                "DELETE FROM gid WHERE gid IN "
                + "(SELECT gid FROM job WHERE seq BETWEEN ? AND ? AND gid NOT NULL)"
        ).execute(arguments: [first, last])
        for table in ["job", "outcome", "publish", "piece"] {
            try db.cachedStatement(sql: "DELETE FROM \(table) WHERE seq BETWEEN ? AND ?")
                .execute(arguments: [first, last])
        }
        return removed
    }
}
