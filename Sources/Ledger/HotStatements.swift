// SPDX-License-Identifier: Apache-2.0

internal import GRDB

/// The statements that run for every job on its way, each prepared at its first use and kept with the connection.
/// What they do is in docs/ARCHITECTURE.md; what runs once a list, a host or a trouble is not among them.
final class HotStatements {
    enum Query: Int, CaseIterable {
        case admit, head, queued
        case claim, fileRow, own
        case active, publishing, published, ended, unpublish
        case outcome, settleFile, releaseFile
        case results
    }

    private var prepared: [DirectStatement?] = Array(repeating: nil, count: Query.allCases.count)

    func callAsFunction(_ query: Query, _ db: Database) throws -> DirectStatement {
        if let statement = prepared[query.rawValue] { return statement }
        let statement = try DirectStatement(db, query.sql)
        prepared[query.rawValue] = statement
        return statement
    }

    /// Before the connection is closed.
    func forget() { for index in prepared.indices { prepared[index] = nil } }
}

extension HotStatements.Query {
    var sql: String {
        switch self {
        case .admit:
            """
            INSERT INTO job (seq, list, line, kind, state, host, rank, admitted_at, urls, mirror_hosts, path, \
            options, gid, gate) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        case .head: JobHead.query + " WHERE seq = ?"
        case .queued:
            """
            SELECT \(JobColumns.queued), j.claim FROM job j INDEXED BY job_queued \
            WHERE j.list = ? AND j.host = ? AND (j.rank, j.seq) > (?, ?) AND j.state = 0 \
            AND j.gate IS NULL ORDER BY j.rank, j.seq LIMIT ?
            """
        case .claim: "INSERT OR IGNORE INTO file (path, owner, owner_url) VALUES (?, ?, ?)"
        case .fileRow:
            """
            SELECT owner, owner_url, last_job, last_url, last_ended_at, url, final_url, size, digest, etag, \
            last_modified, content_type, published_at FROM file WHERE path = ?
            """
        case .own: "UPDATE file SET owner = ?, owner_url = ? WHERE path = ?"
        case .active:
            "UPDATE job SET \(Self.moved), attempts = ?, started_at = coalesce(started_at, ?) WHERE seq = ?"
        case .publishing: "UPDATE job SET \(Self.moved) WHERE seq = ?"
        case .published:
            "INSERT OR REPLACE INTO publish (seq, part, path, device, inode, size) VALUES (?, ?, ?, ?, ?, ?)"
        case .ended:
            """
            UPDATE job SET \(Self.moved), resume = NULL, error = NULL, error_message = NULL, claim = NULL \
            WHERE seq = ?
            """
        case .unpublish: "DELETE FROM publish WHERE seq = ?"
        case .outcome:
            "INSERT OR REPLACE INTO outcome (\(OutcomeColumns.columns)) VALUES (\(OutcomeColumns.marks))"
        // A path where nothing was ever published, by the job that owns it: `releaseFile` and the record in one.
        case .settleFile:
            """
            UPDATE file SET last_job = owner, last_url = owner_url, last_ended_at = ?, owner = NULL, \
            owner_url = NULL, url = ?, final_url = ?, size = ?, digest = ?, etag = ?, last_modified = ?, \
            content_type = ?, published_at = ? WHERE path = ? AND owner = ? AND published_at IS NULL
            """
        case .releaseFile:
            """
            UPDATE file SET last_job = owner, last_url = owner_url, last_ended_at = ?, owner = NULL, \
            owner_url = NULL WHERE path = ? AND owner = ?
            """
        case .results:
            """
            SELECT \(ResultColumns.selected) FROM \(SpanPages.jobs) \
            LEFT JOIN outcome o ON o.seq = j.seq LEFT JOIN host h ON h.id = j.host \
            WHERE \(SpanPages.condition) ORDER BY s.first, j.seq LIMIT ?
            """
        }
    }

    /// What every change of state sets; the same order in `LedgerStore.bindMoved`.
    private static let moved = "state = ?, waited = ?, due = ?, since = ?, crashes = ?"
}
