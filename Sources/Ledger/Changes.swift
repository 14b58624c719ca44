// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Changes of jobs' resting states, as the dispatcher reports them. Inside a group.
extension LedgerStore {
    /// Applies the changes in order, with their counts, claims, outcome rows and the table of files.
    ///
    /// Returns the jobs whose change was ignored because they are unknown or have ended: a late word on a job
    /// that was cancelled or whose list is gone. Applying the same changes twice is therefore harmless.
    @discardableResult
    public func apply(_ changes: [JobChange], now: WallTime) throws(LedgerError) -> [JobSeq] {
        var ignored: [JobSeq] = []
        for change in changes {
            try write { db in
                guard let job = try head(change.seq, db), !job.state.isTerminal else {
                    ignored.append(change.seq)
                    return
                }
                try apply(change, to: job, now: now, db)
            }
        }
        return ignored
    }

    private func apply(_ change: JobChange, to job: JobHead, now: WallTime, _ db: Database) throws {
        switch change {
        case .active(_, let attempts, let startedAt):
            try move(
                job, to: .active, now: now, db, also: "attempts = ?, started_at = coalesce(started_at, ?)",
                [attempts, startedAt.rawValue])
        case .requeued(_, let attempts, let fetched, let waited, let resume):
            try move(
                job, to: .queued, waited: waited, now: now, db, also: Self.keeping,
                [attempts, fetched, JSONColumn.text(resume)])
        case .waiting(_, let due, let attempts, let fetched, let waited, let error, let resume):
            try move(
                job, to: .waiting, waited: waited, due: due, now: now, db,
                also: Self.keeping + ", error = ?, error_message = ?"
                    + (error.code == .digestMismatch ? ", mismatches = mismatches + 1" : ""),
                [attempts, fetched, JSONColumn.text(resume), error.code.name, error.message])
        case .paused(_, let attempts, let fetched, let resume):
            try move(
                job, to: .paused, now: now, db, also: Self.keeping,
                [attempts, fetched, JSONColumn.text(resume)])
        case .checkpoint(_, let fetched, let resume):
            // A job that has moved on, or was begun anew, has said so itself.
            guard job.state == .active else { return }
            // It gets on: crashes before this were not its doing, or cost it no progress.
            try db.cachedStatement(sql: "UPDATE job SET fetched = ?, resume = ?, crashes = 0 WHERE seq = ?")
                .execute(arguments: [fetched, JSONColumn.text(resume), job.seq.rawValue])
        case .publishing(_, let part, let path, let device, let inode, let size, var outcome):
            try move(job, to: .publishing, now: now, db)
            outcome.path = path
            try OutcomeColumns.insert(db, job.seq, outcome)
            try db.cachedStatement(
                sql: "INSERT OR REPLACE INTO publish (seq, part, path, device, inode, size) "
                    + "VALUES (?, ?, ?, ?, ?, ?)"
            ).execute(arguments: [
                job.seq.rawValue, part, path.description, Int64(bitPattern: device),
                Int64(bitPattern: inode), size,
            ])
        case .ended(_, let outcome):
            try end(job, outcome, now: now, db)
        }
    }

    private static let keeping = "attempts = ?, fetched = ?, resume = ?"

    /// The one place where a row's state changes, and its counts with it.
    ///
    /// - Parameter waited: back-off spent before this state; nil keeps what is known and adds a wait that
    ///   ends here.
    /// - Parameter also: further assignments of the same update, with their values: one statement a change.
    func move(
        _ job: JobHead, to state: JobState, waited: Int64? = nil, due: WallTime? = nil, crashes: Int? = nil,
        now: WallTime,
        _ db: Database, also: String = "", _ values: [(any DatabaseValueConvertible)?] = []
    ) throws {
        let isWaiting = state == .waiting
        let further = also.isEmpty ? "" : ", " + also
        let sql =
            "UPDATE job SET state = ?, waited = ?, due = ?, since = ?, crashes = ?\(further) WHERE seq = ?"
        // An attempt that ends clears the job.
        let isCleared = job.state == .active && state != .active
        let first: [(any DatabaseValueConvertible)?] = [
            state.rawValue, waited ?? job.waited(until: now), isWaiting ? (due ?? now).rawValue : nil,
            isWaiting ? now.rawValue : nil, crashes ?? (isCleared || state.isTerminal ? 0 : job.crashes),
        ]
        try db.cachedStatement(sql: sql).execute(
            arguments: StatementArguments(first + values + [job.seq.rawValue]))
        if job.state == .publishing && state != .publishing {
            try db.cachedStatement(sql: "DELETE FROM publish WHERE seq = ?").execute(arguments: [
                job.seq.rawValue
            ])
            if !state.isTerminal { try OutcomeColumns.delete(db, job.seq) }
        }
        deltas.move(job.lane, from: job.state, to: state)
    }

    func requeue(_ job: JobHead, now: WallTime, _ db: Database) throws {
        try move(job, to: .queued, now: now, db)
    }

    /// Terminal: outcome row, claims, table of files, bytes of the list.
    func end(_ job: JobHead, _ outcome: Outcome, now: WallTime, _ db: Database) throws {
        if outcome.state != .done, job.kind != .digestList { try leavePart(of: job, outcome, db) }
        try move(
            job, to: outcome.state, now: now, db,
            also: "resume = NULL, error = NULL, error_message = NULL, claim = NULL")
        try OutcomeColumns.insert(db, job.seq, outcome)
        try releaseClaims(job, endedAt: outcome.endedAt, db)
        try record(outcome, of: job, db)
        if job.kind == .digestList { try digestErrandEnded(job.seq, outcome, db) }
        if outcome.state == .done, let bytes = outcome.bytes { deltas.add(bytes: bytes, list: job.lane.list) }
    }
}
