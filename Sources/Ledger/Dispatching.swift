// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// What the dispatcher asks: which lanes have work, the next jobs of a lane, what is due. All of it by
/// partial indexes over the few rows that matter, a page at a time.
extension LedgerStore {
    /// Lanes of a list that have queued jobs, by host, after the one given. None for a paused list; none
    /// whose host is held beyond `now`, unless `includesHeld`.
    public func lanes(
        of list: ListID, after: HostID?, limit: Int, now: WallTime, includesHeld: Bool = false
    ) throws(LedgerError) -> [LaneRow] {
        try read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT l.list, l.host, h.name, l.n_queued, h.held_until, h.hold_reason, h.barren \
                    FROM lane l INDEXED BY lane_ready CROSS JOIN host h ON h.id = l.host \
                    WHERE l.list = ? AND l.host > ? AND l.n_queued > 0 \
                    AND (? OR h.held_until IS NULL OR h.held_until <= ?) \
                    AND NOT EXISTS (SELECT 1 FROM list WHERE id = ? AND paused) \
                    ORDER BY l.host LIMIT ?
                    """)
            let rows = try Row.fetchCursor(
                statement,
                arguments: [
                    list.rawValue, after?.rawValue ?? -1, includesHeld, now.rawValue, list.rawValue, limit,
                ])
            return try rows.readAllMapped { row in
                let held = row.time(4).flatMap { $0 > now ? $0 : nil }
                return LaneRow(
                    key: JobColumns.lane(row, list: 0, host: 1), host: HostKey(row.text(2) ?? ""),
                    queued: Int(row.number(3)), heldUntil: held, holdReason: held == nil ? nil : row.text(5),
                    barren: .milliseconds(max(0, row.number(6))))
            }
        }
    }

    /// Queued jobs of a lane by (rank, seq), after the cursor, without those that wait for a list of digests. The next page's cursor is the last job's rank
    /// and seq.
    public func queued(in lane: LaneKey, after: LaneCursor, limit: Int) throws(LedgerError) -> [QueuedJob] {
        try read { db in
            let host = try hostKey(lane.host, db)
            let defaults = try defaults(of: lane.list, db)
            let statement = try hot(.queued, db)
            statement.bind(lane.list.rawValue).bind(lane.host.rawValue).bind(after.rank)
                .bind(after.seq.rawValue).bind(limit)
            return try statement.rows { row in
                let job = JobColumns.queued(row, host: host, defaults: defaults, cipher: cipher)
                caches.remember(JobHead(of: job, row, claim: row.text(JobColumns.queuedCount)))
                return job
            }
        }
    }

    /// Waiting jobs whose time has come go back to `queued`; the time they waited is added to `waited`.
    /// Inside a group.
    ///
    /// Returns the lanes they are in. At most `limit` jobs a call: ask again while `nextDue` is not ahead of
    /// `now`.
    public func releaseDue(now: WallTime, limit: Int) throws(LedgerError) -> [LaneKey] {
        try write { db in
            let due = try heads(
                "INDEXED BY job_due WHERE state = 2 AND due <= ? ORDER BY due LIMIT ?",
                [now.rawValue, Int64(limit)], db)
            var lanes: Set<LaneKey> = []
            for job in due {
                try requeue(job, now: now, db)
                lanes.insert(job.lane)
            }
            return lanes.sorted { ($0.list, $0.host) < ($1.list, $1.host) }
        }
    }

    /// When the next waiting job goes on; nil when none waits.
    public func nextDue() throws(LedgerError) -> WallTime? {
        try read { db in
            let sql = "SELECT min(due) FROM job INDEXED BY job_due WHERE state = 2"
            return try Int64.fetchOne(db.cachedStatement(sql: sql)).map { WallTime(milliseconds: $0) }
        }
    }

    /// Notes that a host is not to be asked before `until`, so that a restart keeps to it; nil releases it.
    public func hold(host: HostID, until: WallTime?, reason: String?) throws(LedgerError) {
        try write { db in
            try db.cachedStatement(sql: "UPDATE host SET held_until = ?, hold_reason = ? WHERE id = ?")
                .execute(arguments: [until?.rawValue, until == nil ? nil : reason, host.rawValue])
        }
        changedHosts.insert(host)
    }

    /// The same by name, and of a host that no list names: a redirect led to it.
    public func hold(host key: HostKey, until: WallTime?, reason: String?) throws(LedgerError) {
        if let row = try host(key) { return try hold(host: row.id, until: until, reason: reason) }
        guard until != nil else { return }
        try hold(host: try write { db in try hostID(key, db) }, until: until, reason: reason)
    }

    /// Hosts that are held, those held longest first.
    public func heldHosts(now: WallTime, limit: Int) throws(LedgerError) -> [HeldHost] {
        try read { db in
            let sql = """
                SELECT name, held_until, hold_reason, barren FROM host INDEXED BY host_held \
                WHERE held_until IS NOT NULL AND held_until > ? ORDER BY held_until DESC LIMIT ?
                """
            let rows = try Row.fetchCursor(db.cachedStatement(sql: sql), arguments: [now.rawValue, limit])
            return try rows.readAllMapped { row in
                HeldHost(
                    host: HostKey(row.text(0) ?? ""), until: row.time(1) ?? now, reason: row.text(2),
                    barren: .milliseconds(max(0, row.number(3))))
            }
        }
    }

    /// The earliest end of a hold that lies ahead: when to ask for lanes again if nothing else happens.
    public func nextHoldEnd(after now: WallTime) throws(LedgerError) -> WallTime? {
        try read { db in
            let sql = """
                SELECT held_until FROM host INDEXED BY host_held \
                WHERE held_until IS NOT NULL AND held_until > ? ORDER BY held_until LIMIT 1
                """
            return try Int64.fetchOne(db.cachedStatement(sql: sql), arguments: [now.rawValue])
                .map { WallTime(milliseconds: $0) }
        }
    }

    /// A host's row number, if the ledger knows the host.
    public func host(_ key: HostKey) throws(LedgerError) -> HostRow? {
        try read { db in
            let statement = try db.cachedStatement(sql: RowColumns.hostQuery + " WHERE name = ?")
            return try Row.fetchOne(statement, arguments: [key.rawValue]).map(RowColumns.host)
        }
    }
}
