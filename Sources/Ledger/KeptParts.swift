// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Part files: those of failed jobs, kept for a later job of the same URL and path, and which files are spoken of
/// at all. Inside a group.
extension LedgerStore {
    /// At the end of a job without a file: what it had on the disk is noted. A part that nobody may go on with is
    /// noted as overdue, so that the next expiry removes it.
    func leavePart(of job: JobHead, _ outcome: Outcome, _ db: Database) throws {
        guard job.hasResumePoint else { return }
        let isKept = outcome.state == .failed && PartRetention.keeps(outcome.error)
        try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO part (seq, path, url, resume, ended_at) \
                SELECT seq, path, ?, resume, ? FROM job WHERE seq = ? AND path NOT NULL
                """
        ).execute(arguments: [job.url, isKept ? max(1, outcome.endedAt.rawValue) : 0, job.seq.rawValue])
        if db.changesCount > 0 { caches.mayHaveParts = true }
    }

    /// Gives the part that a failed job of this URL and path left to a job that has none of its own.
    public func takeOverPart(_ job: QueuedJob) throws(LedgerError) -> ResumePoint? {
        // Nearly always there is none, and then ten thousand small files pay nothing.
        guard caches.mayHaveParts, case .download(let urls, let path) = job.work, let url = urls.first else {
            return nil
        }
        return try write { db in
            let select = try db.cachedStatement(
                sql: """
                    SELECT seq, resume FROM part WHERE path = ? AND url = ? AND ended_at > 0 \
                    ORDER BY ended_at DESC LIMIT 1
                    """)
            guard let row = try Row.fetchOne(select, arguments: [path.description, url.text]) else {
                let any = try Int64.fetchOne(db.cachedStatement(sql: "SELECT 1 FROM part LIMIT 1"))
                caches.mayHaveParts = any != nil
                return nil
            }
            try db.cachedStatement(sql: "UPDATE job SET resume = ? WHERE seq = ? AND resume IS NULL")
                .execute(arguments: [row.text(1), job.seq.rawValue])
            caches.forget(job.seq)
            guard db.changesCount > 0 else { return nil }
            try db.cachedStatement(sql: "DELETE FROM part WHERE seq = ?").execute(arguments: [row.number(0)])
            return JSONColumn.resume(row.text(1))
        }
    }

    /// Forgets up to `limit` parts of jobs that ended before `time`; what they are called and where they lie, for the files to be removed.
    public func expireParts(endedBefore time: WallTime, limit: Int) throws(LedgerError) -> [ExpiredPart] {
        guard caches.mayHaveParts else { return [] }
        return try write { db in
            let select = try db.cachedStatement(
                sql: """
                    SELECT seq, json_extract(resume, '$.part'), path FROM part INDEXED BY part_age \
                    WHERE ended_at < ? ORDER BY ended_at LIMIT ?
                    """)
            let rows = try Row.fetchAll(select, arguments: [time.rawValue, limit])
            let delete = try db.cachedStatement(sql: "DELETE FROM part WHERE seq = ?")
            for row in rows { try delete.execute(arguments: [row.number(0)]) }
            return rows.compactMap { row in
                guard let name = row.text(1), let path = row.text(2) else { return nil }
                return ExpiredPart(name: name, path: OutputPath(trusted: path))
            }
        }
    }

    /// Whether a live job, a publish under way or the table of kept parts speaks of this part file.
    public func knows(part name: String) throws(LedgerError) -> Bool {
        try read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT EXISTS (SELECT 1 FROM job INDEXED BY job_part \
                    WHERE json_extract(resume, '$.part') = ?1 AND resume IS NOT NULL AND state < 5) \
                    OR EXISTS (SELECT 1 FROM publish WHERE part = ?1) \
                    OR EXISTS (SELECT 1 FROM part INDEXED BY part_file \
                    WHERE json_extract(resume, '$.part') = ?1)
                    """)
            return try Bool.fetchOne(statement, arguments: [name]) ?? false
        }
    }

    /// Notes whether a host has answered ranges with something else. Also of a host that no list names.
    public func note(liesAboutRanges lies: Bool, host: HostKey) throws(LedgerError) {
        try write { db in
            if lies { _ = try hostID(host, db) }
            try db.cachedStatement(sql: "UPDATE host SET lies_about_ranges = ? WHERE name = ?")
                .execute(arguments: [lies, host.rawValue])
        }
    }

    /// Hosts that no range is asked of.
    public func hostsLyingAboutRanges(limit: Int) throws(LedgerError) -> [HostKey] {
        try read { db in
            let sql = "SELECT name FROM host INDEXED BY host_lies WHERE lies_about_ranges LIMIT ?"
            return try String.fetchAll(db.cachedStatement(sql: sql), arguments: [limit]).map { HostKey($0) }
        }
    }
}
