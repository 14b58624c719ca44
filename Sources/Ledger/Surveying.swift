// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// One row of the table of files that something was published under.
public struct PublishedFile: Sendable, Hashable {
    public var record: FileRecord
    /// The job that held the path last; its row may be gone with its list.
    public var lastJob: JobSeq?
    /// A live job is about to rename over it: what lies there is either one's file.
    public var isBeingReplaced: Bool
}

/// What may be said of a part file by the job its name tells.
public enum PartStanding: Sendable, Hashable {
    /// Its job has not ended.
    case live(JobState)
    /// Its job has failed; the part waits for a later job of the same URL and path.
    case kept
    /// Nobody goes on with it.
    case orphan
}

/// What `dld fsck` reads: pages by key, so that memory stays the same whatever the ledger holds. Outside a group.
extension LedgerStore {
    /// Published files by path, after `path`.
    public func publishedFiles(
        after path: OutputPath?, limit: Int
    ) throws(LedgerError) -> [PublishedFile] {
        try read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT \(PublishedColumns.selected) FROM file f \(PublishedColumns.owner) WHERE f.path > ? \
                    AND f.published_at NOT NULL AND f.size NOT NULL ORDER BY f.path LIMIT ?
                    """)
            let rows = try Row.fetchCursor(statement, arguments: [path?.description ?? "", max(1, limit)])
            return try rows.readAllMapped { PublishedColumns.file($0) }
        }
    }

    /// Resting jobs that would go on from a part, by number.
    public func resumePoints(
        after seq: JobSeq, limit: Int
    ) throws(LedgerError) -> [(seq: JobSeq, id: JobID, path: OutputPath, resume: ResumePoint)] {
        try read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT seq, gid, resume, path FROM job WHERE seq > ? AND resume NOT NULL AND state IN (0, 2, 4) \
                    ORDER BY seq LIMIT ?
                    """)
            let rows = try Row.fetchCursor(statement, arguments: [seq.rawValue, max(1, limit)])
            return try rows.readAllMapped { row in
                let seq = JobSeq(row.number(0))
                return JSONColumn.resume(row.text(2)).map {
                    (
                        seq, JobColumns.id(seq, gid: row.optionalNumber(1), cipher),
                        OutputPath(trusted: row.text(3) ?? ""), $0
                    )
                }
            }
        }
    }

    /// What is to become of a part that this job began.
    public func standing(ofPart id: JobID) throws(LedgerError) -> PartStanding {
        try read { db in
            let job = try holder(of: id, db)
            if let job, !job.state.isTerminal { return .live(job.state) }
            let seq = job?.seq ?? cipher.seq(of: id)
            let kept = try db.cachedStatement(sql: "SELECT 1 FROM part WHERE seq = ?")
            return try Int.fetchOne(kept, arguments: [seq.rawValue]) == nil ? .orphan : .kept
        }
    }

    /// Lists by id, after `after`, of any state but `removing`.
    public func lists(after: ListID?, limit: Int) throws(LedgerError) -> [ListRow] {
        try read { db in
            let statement = try db.cachedStatement(
                sql: RowColumns.listQuery + " WHERE id > ? AND state < 4 ORDER BY id LIMIT ?")
            return try Row.fetchCursor(statement, arguments: [after?.rawValue ?? 0, max(1, limit)])
                .map(RowColumns.list).readAll()
        }
    }

    /// The newest list whose file had this inode. The device may bear another number since a reboot.
    public func list(inode: UInt64) throws(LedgerError) -> ListRow? {
        try read { db in
            let statement = try db.cachedStatement(
                sql: RowColumns.listQuery + " WHERE inode = ? ORDER BY id DESC LIMIT 1")
            return try Row.fetchOne(statement, arguments: [Int64(bitPattern: inode)]).map(RowColumns.list)
        }
    }

    /// What results show of one job; nil where there is no such row.
    public func record(of seq: JobSeq) throws(LedgerError) -> ResultRecord? {
        try read { db in
            let sql = """
                SELECT \(ResultColumns.selected), j.list FROM job j LEFT JOIN outcome o ON o.seq = j.seq \
                LEFT JOIN host h ON h.id = j.host WHERE j.seq = ?
                """
            guard let row = try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [seq.rawValue]) else {
                return nil
            }
            let defaults = try defaults(of: ListID(row.number(ResultColumns.count)), db)
            return ResultColumns.record(row, defaults: defaults, cipher: cipher)
        }
    }
}

/// What `dld fsck --repair` writes. Inside a group.
extension LedgerStore {
    /// A closed list whose results are gone is `running` again: the next start writes them and closes it.
    public func reopen(_ list: ListID) throws(LedgerError) {
        try update(list, "state = 1, final_name = NULL, ended_at = NULL", [], only: "state = 2")
    }

    /// Forgets where a resting job would go on: it starts from zero.
    public func forgetResume(of seq: JobSeq) throws(LedgerError) {
        caches.forget(seq)
        try write { db in
            try db.cachedStatement(sql: "UPDATE job SET resume = NULL WHERE seq = ?")
                .execute(arguments: [seq.rawValue])
        }
    }

    /// A list file that goes back into the spool though its jobs may have run before: they look at what lies
    /// under their final names first.
    public func noteReadmission(inode: UInt64, size: Int64) throws(LedgerError) {
        try write { db in
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO readmission (inode, size) VALUES (?, ?)")
                .execute(arguments: [Int64(bitPattern: inode), size])
        }
    }

    /// Whether a list was put back by `noteReadmission`; asked once, with its first batch.
    func takeReadmission(of list: ListID, _ db: Database) throws -> Bool {
        let find = try db.cachedStatement(
            sql: """
                SELECT r.inode FROM readmission r JOIN list l ON l.inode = r.inode AND l.size = r.size \
                WHERE l.id = ?
                """)
        guard let inode = try Int64.fetchOne(find, arguments: [list.rawValue]) else { return false }
        try db.cachedStatement(sql: "DELETE FROM readmission WHERE inode = ?").execute(arguments: [inode])
        return true
    }
}
