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
        try write { db in
            for (index, change) in changes.enumerated() {
                guard var job = try head(change.seq, db), !job.state.isTerminal else {
                    ignored.append(change.seq)
                    continue
                }
                // A start that is over already: the row changes once, by what follows.
                if case .active(let seq, let attempts, let startedAt) = change, job.crashes == 0,
                    index + 1 < changes.count,
                    case .publishing(seq, _, _, _, _, _, _) = changes[index + 1]
                {
                    job.attempts = attempts
                    job.startedAt = job.startedAt ?? startedAt
                    caches.remember(job)
                    continue
                }
                try apply(change, to: job, now: now, db)
            }
        }
        return ignored
    }

    private func apply(_ change: JobChange, to job: JobHead, now: WallTime, _ db: Database) throws {
        switch change {
        case .active(_, let attempts, let startedAt):
            let statement = try bindMove(job, to: .active, now: now, hot(.attempt, db))
            try statement.bind(attempts).bind(startedAt.rawValue).bind(job.seq.rawValue).run()
            try moved(job, to: .active, db)
            var job = job
            job.attempts = attempts
            job.startedAt = job.startedAt ?? startedAt
            remember(job, in: .active, now: now)
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
            caches.forget(job.seq)
            // It gets on: crashes before this were not its doing, or cost it no progress.
            try db.cachedStatement(sql: "UPDATE job SET fetched = ?, resume = ?, crashes = 0 WHERE seq = ?")
                .execute(arguments: [fetched, JSONColumn.text(resume), job.seq.rawValue])
        case .mirrored(_, let host, let record): try follow(job, to: host, record, db)
        case .publishing(_, let part, let path, let device, let inode, let size, var outcome):
            let statement =
                try job.isPlain
                ? hot(.plainPublishing, db).bind(JobState.publishing.rawValue)
                : bindMove(job, to: .publishing, now: now, hot(.attempt, db))
            try statement.bind(job.attempts).bind(job.startedAt?.rawValue).bind(job.seq.rawValue).run()
            try moved(job, to: .publishing, db)
            outcome.path = path
            try OutcomeColumns.write(hot(.outcome, db), job.seq, outcome)
            try hot(.published, db).bind(job.seq.rawValue).bind(part).bind(path.description)
                .bind(Int64(bitPattern: device)).bind(Int64(bitPattern: inode)).bind(size).run()
            remember(job, in: .publishing, now: now)
        case .ended(_, let outcome):
            try end(job, outcome, now: now, db)
        }
    }

    private static let keeping = "attempts = ?, fetched = ?, resume = ?"

    /// A change of state with whatever else it sets, for what is not on every job's way.
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
        let first: [(any DatabaseValueConvertible)?] = [
            state.rawValue, waited ?? job.waited(until: now), isWaiting ? (due ?? now).rawValue : nil,
            isWaiting ? now.rawValue : nil, crashes ?? Self.crashes(of: job, movingTo: state),
        ]
        try db.cachedStatement(sql: sql).execute(
            arguments: StatementArguments(first + values + [job.seq.rawValue]))
        try moved(job, to: state, db)
    }

    /// Binds what `HotStatements.Query.moved` sets, for states that wait for nothing.
    private func bindMove(
        _ job: JobHead, to state: JobState, now: WallTime, _ statement: DirectStatement
    ) -> DirectStatement {
        statement.bind(state.rawValue).bind(job.waited(until: now)).bind(nil as Int64?).bind(nil as Int64?)
            .bind(Self.crashes(of: job, movingTo: state))
    }

    /// An attempt that ends clears the job.
    private static func crashes(of job: JobHead, movingTo state: JobState) -> Int {
        job.state == .active && state != .active || state.isTerminal ? 0 : job.crashes
    }

    /// What goes with every change of state: the counts, and what stands on the old one.
    private func moved(_ job: JobHead, to state: JobState, _ db: Database) throws {
        caches.forget(job.seq)
        if job.state == .publishing && state != .publishing {
            try hot(.unpublish, db).bind(job.seq.rawValue).run()
            if !state.isTerminal { try OutcomeColumns.delete(db, job.seq) }
        }
        deltas.move(job.lane, from: job.state, to: state)
    }

    /// A job as its row is after a move on the usual way.
    private func remember(_ job: JobHead, in state: JobState, now: WallTime) {
        var head = job
        head.waited = job.waited(until: now)
        head.crashes = Self.crashes(of: job, movingTo: state)
        head.state = state
        head.since = nil
        caches.remember(head)
    }

    func requeue(_ job: JobHead, now: WallTime, _ db: Database) throws {
        try move(job, to: .queued, now: now, db)
    }

    /// Terminal: outcome row, claims, table of files, bytes of the list.
    func end(_ job: JobHead, _ outcome: Outcome, now: WallTime, _ db: Database) throws {
        if outcome.state != .done, job.kind != .digestList { try leavePart(of: job, outcome, db) }
        let statement =
            try job.isPlain
            ? hot(.plainEnded, db).bind(outcome.state.rawValue)
            : bindMove(job, to: outcome.state, now: now, hot(.ended, db))
        try statement.bind(job.seq.rawValue).run()
        try moved(job, to: outcome.state, db)
        if try !publishedAsFinal(job, outcome, db) {
            try OutcomeColumns.write(hot(.outcome, db), job.seq, outcome)
        }
        if try !settleFile(job, outcome, db) {
            try releaseClaims(job, endedAt: outcome.endedAt, db)
            try record(outcome, of: job, db)
        }
        if job.kind == .digestList { try digestErrandEnded(job.seq, outcome, db) }
        if outcome.state == .done, let bytes = outcome.bytes { deltas.add(bytes: bytes, list: job.lane.list) }
    }

    /// What `publishing` wrote stands, but for the times of the end; false: there is more to write.
    private func publishedAsFinal(_ job: JobHead, _ outcome: Outcome, _ db: Database) throws -> Bool {
        guard job.state == .publishing, outcome.state == .done, outcome.flags.isEmpty else { return false }
        let statement = try hot(.outcomeEnded, db)
        try OutcomeColumns.writeEnd(statement, job.seq, outcome)
        return statement.changes > 0
    }
}
