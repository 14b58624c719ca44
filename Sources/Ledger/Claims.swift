// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// The table of final paths: who may write where. Inside a group.
///
/// A job claims its path when it is dispatched, not when it is admitted: admission stays one insert a row,
/// and of ten million lines only those under way have a claim. A job owns its own path and at most one
/// further, numbered one; both are given back when it ends, and say from then on who held them last and when.
extension LedgerStore {
    /// Asks for a final path on behalf of a job that has not ended.
    ///
    /// `duplicate`: a live job with the same URL holds it, or the last job that held it had the same URL and
    /// ended when this one was already admitted. A retried job counts as admitted at its retry, so it is no
    /// duplicate of its own past. Claiming a path one has is harmless.
    public func claim(_ seq: JobSeq, path: OutputPath, url: String) throws(LedgerError) -> PathClaim {
        let text = path.description
        return try write { db in
            guard let job = try head(seq, db), !job.state.isTerminal else {
                throw LedgerError(.bug, file: self.path, message: "job \(seq) claims a path and is not live")
            }
            // Nearly always nobody has had that path before.
            let insert = try hot(.claim, db)
            try insert.bind(text).bind(seq.rawValue).bind(url).run()
            if insert.changes > 0 {
                try note(text, job, db)
                return .granted(known: nil)
            }
            guard let row = try fileRow(text, db) else {
                throw LedgerError(.bug, file: self.path, message: "no row for a path that is claimed")
            }
            if let owner = row.owner, owner != seq, try isLive(owner, db) {
                return row.ownerURL == url ? .duplicate(of: owner, ended: nil) : .taken(by: owner)
            }
            if row.owner != seq, let last = row.lastJob, last != seq, row.lastURL == url,
                let ended = row.lastEndedAt, ended >= job.admittedAt, let outcome = try outcome(of: last, db)
            {
                return .duplicate(of: last, ended: outcome)
            }
            try hot(.own, db).bind(seq.rawValue).bind(url).bind(text).run()
            try note(text, job, db)
            return .granted(known: row.record)
        }
    }

    /// The next number for a name that is taken: 1, 2, 3 ... for each path, never one twice.
    public func nextSuffix(for path: OutputPath) throws(LedgerError) -> Int {
        let text = path.description
        return try write { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO file (path, next_suffix) VALUES (?, 2) \
                    ON CONFLICT DO UPDATE SET next_suffix = next_suffix + 1
                    """
            ).execute(arguments: [text])
            let select = try db.cachedStatement(sql: "SELECT next_suffix - 1 FROM file WHERE path = ?")
            return try Int.fetchOne(select, arguments: [text]) ?? 1
        }
    }

    /// What the ledger knows of a published path, whoever holds it.
    public func file(at path: OutputPath) throws(LedgerError) -> FileRecord? {
        try read { try fileRow(path.description, $0)?.record }
    }

    /// Remembers a second path of a job, and gives an earlier second one back.
    private func note(_ path: String, _ job: JobHead, _ db: Database) throws {
        guard !Self.same(path, job.path), !Self.same(path, job.claim) else { return }
        if let earlier = job.claim { try giveBack(earlier, job.seq, db) }
        try db.cachedStatement(sql: "UPDATE job SET claim = ? WHERE seq = ?")
            .execute(arguments: [path, job.seq.rawValue])
        caches.forget(job.seq)
    }

    private func giveBack(_ path: String, _ seq: JobSeq, _ db: Database) throws {
        let sql = "UPDATE file SET owner = NULL, owner_url = NULL WHERE path = ? AND owner = ?"
        try db.cachedStatement(sql: sql).execute(arguments: [path, seq.rawValue])
    }

    /// Both of what follows at once, for a job that is the first to publish under its only path; false: it is not.
    func settleFile(_ job: JobHead, _ outcome: Outcome, _ db: Database) throws -> Bool {
        guard outcome.state == .done, job.kind == .download, job.claim == nil, outcome.flags.isEmpty,
            let path = outcome.path?.description, Self.same(path, job.path)
        else { return false }
        let statement = try hot(.settleFile, db)
        try statement.bind(outcome.endedAt.rawValue).bind(job.url).bind(outcome.finalURL).bind(outcome.bytes)
            .bind(outcome.digest?.description).bind(outcome.etag).bind(outcome.lastModified)
            .bind(outcome.contentType).bind(outcome.endedAt.rawValue).bind(path).bind(job.seq.rawValue).run()
        return statement.changes > 0
    }

    /// At a job's end: its paths are free, and remember it. Paths it does not own (a duplicate's) are left
    /// alone.
    func releaseClaims(_ job: JobHead, endedAt: WallTime, _ db: Database) throws {
        for path in [job.path, job.claim] {
            guard let path else { continue }
            try hot(.releaseFile, db).bind(endedAt.rawValue).bind(path).bind(job.seq.rawValue).run()
        }
    }

    /// What was published, for jobs to come (`update`, `fsck`). A 304 tells validators only where it repeats
    /// them.
    func record(_ outcome: Outcome, of job: JobHead, _ db: Database) throws {
        guard outcome.state == .done, job.kind == .download, let path = outcome.path,
            !outcome.flags.contains(.duplicate), !outcome.flags.contains(.skipped)
        else { return }
        let keeps = outcome.flags.contains(.unchanged)
        func column(_ name: String) -> String {
            keeps ? "\(name) = coalesce(excluded.\(name), \(name))" : "\(name) = excluded.\(name)"
        }
        let published = keeps ? "coalesce(published_at, excluded.published_at)" : "excluded.published_at"
        // What an audit said was of the file before.
        let verified = keeps ? "" : ", verified_at = NULL, verdict = NULL"
        let columns = ["url", "final_url", "size", "digest", "etag", "last_modified", "content_type"]
        try db.cachedStatement(
            sql: """
                INSERT INTO file (path, url, final_url, size, digest, etag, last_modified, content_type, \
                published_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET \
                \(columns.map(column).joined(separator: ", ")), published_at = \(published)\(verified)
                """
        ).execute(arguments: [
            path.description, job.url, outcome.finalURL, outcome.bytes, outcome.digest?.description,
            outcome.etag, outcome.lastModified, outcome.contentType, outcome.endedAt.rawValue,
        ])
    }

    private func isLive(_ seq: JobSeq, _ db: Database) throws -> Bool {
        let statement = try db.cachedStatement(sql: "SELECT state FROM job WHERE seq = ?")
        guard let state = try Int.fetchOne(statement, arguments: [seq.rawValue]) else { return false }
        return JobState(rawValue: state)?.isTerminal == false
    }

    private func outcome(of seq: JobSeq, _ db: Database) throws -> Outcome? {
        let sql = """
            SELECT \(OutcomeColumns.selected) FROM outcome o JOIN job j USING (seq) \
            WHERE seq = ? AND j.state > 4
            """
        return try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [seq.rawValue])
            .flatMap { OutcomeColumns.outcome($0, from: 0) }
    }

    /// String's == compares canonically; paths are bytes.
    private static func same(_ path: String, _ other: String?) -> Bool {
        other.map { path.utf8.elementsEqual($0.utf8) } ?? false
    }
}

/// One row of the table of files.
private struct FileRow {
    var owner: JobSeq?
    var ownerURL: String?
    var lastJob: JobSeq?
    var lastURL: String?
    var lastEndedAt: WallTime?
    /// nil where nothing was ever published by this ledger.
    var record: FileRecord?
}

extension LedgerStore {
    private func fileRow(_ path: String, _ db: Database) throws -> FileRow? {
        try hot(.fileRow, db).bind(path).first { row in
            FileRow(
                owner: row.optionalNumber(0).map { JobSeq($0) }, ownerURL: row.text(1),
                lastJob: row.optionalNumber(2).map { JobSeq($0) }, lastURL: row.text(3),
                lastEndedAt: row.time(4),
                record: row.time(12).map { published in
                    FileRecord(
                        path: OutputPath(trusted: path), url: row.text(5) ?? "", finalURL: row.text(6),
                        size: row.number(7), digest: row.text(8).flatMap { Checksum($0) }, etag: row.text(9),
                        lastModified: row.text(10), contentType: row.text(11), publishedAt: published)
                })
        }
    }
}
