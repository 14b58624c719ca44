// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// What users ask of jobs and lists. Only resting jobs are touched here: one in flight belongs to the
/// dispatcher, which stops it and reports the change. Whole lists go in slices, so that ten million rows do
/// not hold up the thread. Inside a group.
extension LedgerStore {
    /// The job behind a public id, asked for by a list (`gid`) or computed; nil where there is none.
    public func seq(of id: JobID) throws(LedgerError) -> JobSeq? {
        try read { db in
            guard let job = try holder(of: id, db), job.kind != .badLine else { return nil }
            return job.seq
        }
    }

    /// Ends a queued, waiting or paused job as `cancelled`.
    public func cancel(_ seq: JobSeq, now: WallTime) throws(LedgerError) -> JobVerdict {
        try verdict(seq) { job, db in
            guard [.queued, .waiting, .paused].contains(job.state) else { return .unchanged(job.state) }
            try cancel(job, "cancelled", now: now, db)
            return .changed(from: job.state)
        }
    }

    /// A queued or waiting job rests until `resume`.
    public func pause(_ seq: JobSeq, now: WallTime) throws(LedgerError) -> JobVerdict {
        try verdict(seq) { job, db in
            guard [.queued, .waiting].contains(job.state) else { return .unchanged(job.state) }
            try move(job, to: .paused, now: now, db)
            return .changed(from: job.state)
        }
    }

    /// A paused job is queued again.
    public func resume(_ seq: JobSeq, now: WallTime) throws(LedgerError) -> JobVerdict {
        try verdict(seq) { job, db in
            guard job.state == .paused else { return .unchanged(job.state) }
            try requeue(job, now: now, db)
            return .changed(from: job.state)
        }
    }

    /// A failed or cancelled job of a list that is still open begins anew; a waiting one goes on at once.
    public func retry(_ seq: JobSeq, now: WallTime) throws(LedgerError) -> JobVerdict {
        try verdict(seq) { job, db in
            switch job.state {
            case .waiting:
                try requeue(job, now: now, db)
                return .changed(from: .waiting)
            case .failed, .cancelled:
                guard try isOpen(job.lane.list, db) else {
                    return .refused(
                        "list \(job.lane.list) has ended; move its .failed.jsonl into the spool instead")
                }
                try retry(job, now: now, db)
                return .changed(from: job.state)
            case .queued, .active, .publishing, .paused, .done:
                return .unchanged(job.state)
            }
        }
    }

    private func verdict(
        _ seq: JobSeq, _ body: (JobHead, Database) throws -> JobVerdict
    ) throws(LedgerError) -> JobVerdict {
        try write { db in
            guard let job = try head(seq, db) else { return .refused("there is no such job") }
            guard job.kind != .badLine else { return .refused("line was no good: correct it in a new list") }
            guard job.state != .active, job.state != .publishing else { return .inFlight(job.state) }
            return try body(job, db)
        }
    }

    /// Cancels up to `limit` queued, waiting and paused jobs of a list. Entries of a list still in admission
    /// go in as cancelled from now on.
    public func cancelSlice(list: ListID, limit: Int, now: WallTime) throws(LedgerError) -> Slice {
        try update(list, "cancelled = 1", [], only: "state = 0")
        return try write { db in
            var jobs = try heads(
                "INDEXED BY job_queued WHERE list = ? AND state = 0 AND gate IS NULL LIMIT ?",
                [list.rawValue, Int64(limit)], db)
            if jobs.count < limit {
                jobs += try heads(
                    "INDEXED BY job_gated WHERE gate IN (SELECT id FROM digest_list WHERE list = ?) "
                        + "AND gate IS NOT NULL AND state < 5 AND state = 0 LIMIT ?",
                    [list.rawValue, Int64(limit - jobs.count)], db)
            }
            if jobs.count < limit {
                jobs += try heads(
                    "INDEXED BY job_held WHERE list = ? AND state IN (2, 4) LIMIT ?",
                    [list.rawValue, Int64(limit - jobs.count)], db)
            }
            for job in jobs { try cancel(job, JobError.cancelledWithList.message, now: now, db) }
            return Slice(changed: jobs.count, isComplete: jobs.count < limit)
        }
    }

    /// Queues up to `limit` jobs of a list that are paused each for itself. The pause of the whole list is
    /// `set(list:paused:)`.
    public func resumeSlice(list: ListID, limit: Int, now: WallTime) throws(LedgerError) -> Slice {
        try write { db in
            let jobs = try heads(
                "INDEXED BY job_held WHERE list = ? AND state IN (2, 4) AND state = 4 LIMIT ?",
                [list.rawValue, Int64(limit)], db)
            for job in jobs { try requeue(job, now: now, db) }
            return Slice(changed: jobs.count, isComplete: jobs.count < limit)
        }
    }

    /// Queues waiting jobs of an open list at once and begins failed and cancelled ones anew, in the order of
    /// the list: looks at up to `limit` (at most 10,000) jobs after `after`. `next` is where to go on; nil when
    /// the end is reached or the list has ended.
    public func retrySlice(
        list: ListID, after: JobSeq?, limit: Int, now: WallTime
    ) throws(LedgerError) -> (changed: Int, next: JobSeq?) {
        try update(list, "cancelled = 0", [], only: "state = 0")
        return try write { db in
            guard try isOpen(list, db) else { return (0, nil) }
            let bound = min(max(limit, 1), Self.pageLimit)
            let seqs = try SpanPages.seqs(db, list: list, after: after, limit: bound)
            var changed = 0
            for (seq, state) in seqs where state == .failed || state == .cancelled || state == .waiting {
                guard let job = try head(seq, db), job.kind != .badLine else { continue }
                if state == .waiting { try requeue(job, now: now, db) } else { try retry(job, now: now, db) }
                changed += 1
            }
            return (changed, seqs.count < bound ? nil : seqs.last?.seq)
        }
    }

    private func cancel(_ job: JobHead, _ message: String, now: WallTime, _ db: Database) throws {
        try endResting(job, .cancelled, JobError(.cancelled, message), now: now, db)
    }

    /// Ends a job that is not in the dispatcher's window.
    func endResting(
        _ job: JobHead, _ state: JobState, _ error: JobError, now: WallTime, _ db: Database
    ) throws {
        var outcome = Outcome(state: state, endedAt: now)
        outcome.error = error
        outcome.attempts = job.attempts
        outcome.fetchedBytes = job.fetched
        outcome.startedAt = job.startedAt
        outcome.timings.waiting = job.waited(until: now)
        let total = max(0, now.rawValue &- job.admittedAt.rawValue).multipliedReportingOverflow(by: 1_000_000)
        outcome.timings.total = total.overflow ? .max : total.partialValue
        try end(job, outcome, now: now, db)
    }

    /// As if admitted now: later than any end so far, so that it is no duplicate of its own past.
    private func retry(_ job: JobHead, now: WallTime, _ db: Database) throws {
        let select = try db.cachedStatement(sql: "SELECT ended_at FROM outcome WHERE seq = ?")
        let ended = try Int64.fetchOne(select, arguments: [job.seq.rawValue]) ?? 0
        try OutcomeColumns.delete(db, job.seq)
        let admitted = max(now.rawValue, ended < .max ? ended + 1 : ended)
        if let gate = job.gate { try rewant(gate, now: now, db) }
        try move(
            job, to: .queued, waited: 0, now: now, db,
            also: "attempts = 0, mismatches = 0, mirrors = NULL, started_at = NULL, admitted_at = ?",
            [admitted])
    }

    /// Open: jobs may still be begun anew. A running list of which every job has ended is not, though it is
    /// not closed yet: its results are being written.
    private func isOpen(_ list: ListID, _ db: Database) throws -> Bool {
        let select = try db.cachedStatement(sql: RowColumns.listQuery + " WHERE id = ?")
        guard let row = try Row.fetchOne(select, arguments: [list.rawValue]).map(RowColumns.list) else {
            return false
        }
        switch row.state {
        case .admitting: return true
        case .closed, .rejected, .removing: return false
        case .running: return openJobs(row) > 0
        }
    }
}
