// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// After a stop of any kind. Inside a group.
extension LedgerStore {
    /// Puts jobs that were `active` back to `queued` with the attempts charged so far, and hands out those in
    /// `publishing`. Claims stand: they are rows, and their owners are live.
    ///
    /// Both are as many as were under way at once, so this is short however long the queue. Repeating it is
    /// harmless.
    ///
    /// - Parameter isCrash: the last run died by itself: what was `active` is under suspicion, and quarantined at
    ///   its third crash.
    public func recover(now: WallTime, isCrash: Bool = false) throws(LedgerError) -> Recovery {
        try write { db in
            let active = try heads("INDEXED BY job_live WHERE state BETWEEN 1 AND 4 AND state = 1", [], db)
            var requeued = 0
            var quarantined = 0
            for job in active {
                switch QuarantinePolicy.verdict(crashes: job.crashes, isCrash: isCrash) {
                case .queue(let crashes):
                    try move(job, to: .queued, crashes: crashes, now: now, db)
                    requeued += 1
                case .quarantine(let crashes):
                    try quarantine(job, crashes: crashes, now: now, db)
                    quarantined += 1
                }
            }
            var publishes: [InterruptedPublish] = []
            let resting = try heads("INDEXED BY job_live WHERE state BETWEEN 1 AND 4 AND state = 3", [], db)
            for job in resting {
                if let publish = try interrupted(job.seq, db) {
                    publishes.append(publish)
                } else {
                    try requeue(job, now: now, db)
                    requeued += 1
                }
            }
            return Recovery(requeued: requeued, publishes: publishes, quarantined: quarantined)
        }
    }

    private func quarantine(_ job: JobHead, crashes: Int, now: WallTime, _ db: Database) throws {
        var outcome = Outcome(state: .failed, endedAt: now)
        outcome.error = QuarantinePolicy.reason(crashes: crashes)
        outcome.attempts = job.attempts
        outcome.fetchedBytes = job.fetched
        outcome.startedAt = job.startedAt
        outcome.timings.waiting = job.waited
        outcome.timings.total = max(0, now.rawValue &- job.admittedAt.rawValue).multipliedClamped(
            by: 1_000_000)
        try end(job, outcome, now: now, db)
    }

    /// What the last run left: the boot it ran in; nil after a clean stop.
    public func runNote() throws(LedgerError) -> String? {
        try read { try String.fetchOne($0, sql: "SELECT value FROM meta WHERE key = 'run'") }
    }

    /// Noted at a start with the boot's id; nil at a clean stop. Inside a group.
    public func noteRun(_ boot: String?) throws(LedgerError) {
        try write { db in
            if let boot {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO meta (key, value) VALUES ('run', ?)", arguments: [boot])
            } else {
                try db.execute(sql: "DELETE FROM meta WHERE key = 'run'")
            }
        }
    }

    private func interrupted(_ seq: JobSeq, _ db: Database) throws -> InterruptedPublish? {
        let statement = try db.cachedStatement(
            sql: """
                SELECT \(JobColumns.queued), p.path, p.device, p.inode, p.size, p.part, \
                \(OutcomeColumns.selected) \
                FROM job j JOIN publish p USING (seq) JOIN outcome o USING (seq) WHERE j.seq = ?
                """)
        return try Row.fetchOne(statement, arguments: [seq.rawValue]).flatMap { row in
            let at = JobColumns.queuedCount
            guard let outcome = OutcomeColumns.outcome(row, from: at + 5) else { return nil }
            let lane = JobColumns.lane(row, list: 1, host: 2)
            return InterruptedPublish(
                job: JobColumns.queued(
                    row, host: try hostKey(lane.host, db), defaults: try defaults(of: lane.list, db),
                    cipher: cipher),
                part: row.text(at + 4) ?? "", path: OutputPath(trusted: row.text(at) ?? ""),
                device: UInt64(bitPattern: row.number(at + 1)),
                inode: UInt64(bitPattern: row.number(at + 2)), size: row.number(at + 3), outcome: outcome)
        }
    }
}

extension Int64 {
    fileprivate func multipliedClamped(by factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}

/// Rows that are no longer wanted. Inside a group.
extension LedgerStore {
    /// Removes up to `limit` jobs of a closed or rejected list, with their outcomes and ids. The table of
    /// files keeps what was published. `isComplete`: no job of it is left.
    public func removeSlice(list: ListID, limit: Int) throws(LedgerError) -> Slice {
        guard let row = try self.list(list), row.state == .closed || row.state == .rejected else {
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

    /// Removes the row of a closed or rejected list that has no job left. Its id is not used again.
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
        for table in ["job", "outcome", "publish"] {
            try db.cachedStatement(sql: "DELETE FROM \(table) WHERE seq BETWEEN ? AND ?")
                .execute(arguments: [first, last])
        }
        return removed
    }
}
