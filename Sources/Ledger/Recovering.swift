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
            let sql = "SELECT max(crashes) FROM job INDEXED BY job_crashes WHERE crashes > 0"
            let most = try Int.fetchOne(db, sql: sql) ?? 0
            return Recovery(
                requeued: requeued, publishes: publishes, quarantined: quarantined, mostCrashes: most)
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
