// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import GRDB
public import JobModel

/// Applying a list of digests: slices, for ten million entries may wait for one. Inside a group.
extension LedgerStore {
    /// What a slice did.
    public struct GateSlice: Sendable, Hashable {
        /// Lanes that got jobs.
        public var lanes: Set<LaneKey> = []
        public var isComplete = true
    }

    private struct Gate {
        let id: DigestListID
        let source: String
        let state: DigestListState
        let reading: Int64
        let message: String?
    }

    /// Up to `limit` jobs at a gate get their digest, or fail: the list could not be had, or does not name them.
    public func openSlice(_ id: DigestListID, limit: Int, now: WallTime) throws(LedgerError) -> GateSlice {
        try write { db in
            var slice = GateSlice()
            guard let gate = try gate(id, db), gate.state != .wanted else { return slice }
            let jobs = try heads(
                "INDEXED BY job_gated WHERE gate = ? AND gate IS NOT NULL AND state < 5 ORDER BY seq LIMIT ?",
                [id.rawValue, Int64(limit)], db)
            var matched = 0
            for job in jobs {
                guard gate.state == .ready else {
                    let why = gate.message ?? "unknown"
                    try fail(job, "the list of digests \(Masking.url(gate.source)): \(why)", now: now, db)
                    continue
                }
                guard let checksum = try find(job, gate.reading, &matched, db) else {
                    let name = DigestNames.candidates(url: job.url, path: path(of: job)).first ?? job.url
                    let list = Masking.url(gate.source)
                    try fail(job, "\(Masking.text(name)) is not named in \(list)", now: now, db)
                    continue
                }
                caches.forget(job.seq)
                try db.cachedStatement(sql: "UPDATE job SET gate = NULL, listed = ? WHERE seq = ?")
                    .execute(arguments: [checksum.description, job.seq.rawValue])
                if job.state == .queued { slice.lanes.insert(job.lane) }
            }
            if matched > 0 {
                try db.cachedStatement(sql: "UPDATE digest_list SET matched = matched + ? WHERE id = ?")
                    .execute(arguments: [matched, id.rawValue])
            }
            slice.isComplete = jobs.count < limit
            return slice
        }
    }

    private func fail(_ job: JobHead, _ message: String, now: WallTime, _ db: Database) throws {
        try endResting(job, .failed, JobError(.digestMissing, message), now: now, db)
    }

    private func path(of job: JobHead) -> OutputPath { OutputPath(trusted: job.path ?? "") }

    private func gate(_ id: DigestListID, _ db: Database) throws -> Gate? {
        let select = try db.cachedStatement(
            sql: "SELECT source, state, reading, error_message FROM digest_list WHERE id = ?")
        return try Row.fetchOne(select, arguments: [id.rawValue]).flatMap { row in
            DigestListState(rawValue: row.number(1)).map {
                Gate(
                    id: id, source: row.text(0) ?? "", state: $0, reading: row.number(2), message: row.text(3)
                )
            }
        }
    }

    /// By the entry's names in turn; last a digest without a name.
    private func find(
        _ job: JobHead, _ reading: Int64, _ matched: inout Int, _ db: Database
    ) throws -> Checksum? {
        let select = try db.cachedStatement(
            sql: "SELECT checksum, used FROM digest_line WHERE reading = ? AND name = ?")
        for name in DigestNames.candidates(url: job.url, path: path(of: job)) + [""] {
            guard let row = try Row.fetchOne(select, arguments: [reading, name]) else { continue }
            if row.number(1) == 0 {
                matched += 1
                try db.cachedStatement(
                    sql: "UPDATE digest_line SET used = 1 WHERE reading = ? AND name = ?"
                ).execute(arguments: [reading, name])
            }
            return Self.checksum(row[0] as Data)
        }
        return nil
    }

    private static func checksum(_ stored: Data) -> Checksum? {
        let bytes = Array(stored)
        guard let first = bytes.first, let algorithm = DigestAlgorithm(strength: first),
            bytes.count == algorithm.byteCount + 1
        else { return nil }
        return Checksum(algorithm: algorithm, bytes: Array(bytes.dropFirst()))
    }

    /// Removes up to `limit` lines of a list that nobody needs, at last its rows. True: nothing is left.
    public func dropSlice(_ id: DigestListID, limit: Int) throws(LedgerError) -> Bool {
        try write { db in
            let first = id.rawValue << 16
            try db.cachedStatement(
                sql: """
                    DELETE FROM digest_line WHERE (reading, name) IN (SELECT reading, name FROM digest_line \
                    WHERE reading BETWEEN ? AND ? LIMIT ?)
                    """
            ).execute(arguments: [first, first + 65535, limit])
            guard db.changesCount < limit else { return false }
            if let errand = try head(JobSeq(-id.rawValue), db) {
                deltas.add(errand.lane, errand.state, by: -1)
                try OutcomeColumns.delete(db, errand.seq)
                try db.cachedStatement(sql: "DELETE FROM job WHERE seq = ?")
                    .execute(arguments: [errand.seq.rawValue])
            }
            try db.cachedStatement(sql: "DELETE FROM digest_list WHERE id = ?").execute(arguments: [
                id.rawValue
            ])
            return true
        }
    }

    /// What a list's user should know of its lists of digests: names in them that no entry has. A sentence each.
    public func digestNotes(of list: ListID) throws(LedgerError) -> [String] {
        try read { db in
            let select = try db.cachedStatement(
                sql: """
                    SELECT source, lines - matched, reading FROM digest_list \
                    WHERE list = ? AND state = 1 AND lines > matched ORDER BY id LIMIT 100
                    """)
            return try Row.fetchCursor(select, arguments: [list.rawValue]).readAllMapped { row in
                let examples = try? String.fetchAll(  // the count says enough
                    db,
                    sql: """
                        SELECT name FROM (SELECT name, used FROM digest_line WHERE reading = ? LIMIT 10000) \
                        WHERE used = 0 AND name <> '' LIMIT 3
                        """, arguments: [row.number(2)])
                let shown = (examples ?? []).map { Masking.text($0) }.joined(separator: ", ")
                let some = shown.isEmpty ? "" : ": \(shown)\(row.number(1) > 3 ? ", ..." : "")"
                return "\(row.number(1)) names of \(Masking.url(row.text(0) ?? "")) match no entry\(some)"
            }
        }
    }
}
