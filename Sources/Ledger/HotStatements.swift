// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import JobModel

/// The statements that run for every job on its way, each prepared at its first use and kept with the connection.
/// What they do is in docs/ARCHITECTURE.md; what runs once a list, a host or a trouble is not among them.
final class HotStatements {
    enum Query: Int, CaseIterable {
        case admit, head, queued
        case claim, fileRow, own
        case attempt, published, ended, unpublish
        case plainPublishing, plainEnded
        case outcome, outcomeEnded, settleFile, releaseFile
        case lane, emptyLane, listCounts, hostCounts, totals, hostRow
        case results
        case digestLine, betterLine
        case verified, filesOn, filesBetween, filesOfList
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
            SELECT \(JobColumns.queued), j.claim, j.error NOT NULL FROM job j INDEXED BY job_queued \
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
        case .attempt:
            "UPDATE job SET \(Self.moved), attempts = ?, started_at = coalesce(started_at, ?) WHERE seq = ?"
        case .published:
            "INSERT OR REPLACE INTO publish (seq, part, path, device, inode, size) VALUES (?, ?, ?, ?, ?, ?)"
        case .ended:
            """
            UPDATE job SET \(Self.moved), resume = NULL, error = NULL, error_message = NULL, claim = NULL \
            WHERE seq = ?
            """
        // Of a row of which nothing else would change (`JobHead.isPlain`): each column that is set has the indexes looked at
        // that name it.
        case .plainPublishing:
            "UPDATE job SET state = ?, attempts = ?, started_at = coalesce(started_at, ?) WHERE seq = ?"
        case .plainEnded: "UPDATE job SET state = ? WHERE seq = ?"
        case .unpublish: "DELETE FROM publish WHERE seq = ?"
        case .outcome:
            "INSERT OR REPLACE INTO outcome (\(OutcomeColumns.columns)) VALUES (\(OutcomeColumns.marks))"
        case .outcomeEnded: "UPDATE outcome SET ended_at = ?, t_publish = ?, t_total = ? WHERE seq = ?"
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
        case .lane, .emptyLane, .listCounts, .hostCounts, .totals: counting
        case .hostRow: RowColumns.hostQuery + " WHERE id = ?"
        case .results:
            """
            SELECT \(ResultColumns.selected) FROM \(SpanPages.jobs) \
            LEFT JOIN outcome o ON o.seq = j.seq LEFT JOIN host h ON h.id = j.host \
            WHERE \(SpanPages.condition) ORDER BY s.first, j.seq LIMIT ?
            """
        case .digestLine: "INSERT OR IGNORE INTO digest_line (reading, name, checksum) VALUES (?, ?, ?)"
        case .betterLine:
            """
            UPDATE digest_line SET checksum = ? WHERE reading = ? AND name = ? \
            AND substr(checksum, 1, 1) < ?
            """
        case .verified, .filesOn, .filesBetween, .filesOfList: auditing
        }
    }

    /// What every change of state sets; the same order in `LedgerStore.bindMoved`.
    private static let moved = "state = ?, waited = ?, due = ?, since = ?, crashes = ?"

    /// For every file of an audit.
    private var auditing: String {
        switch self {
        case .verified:
            """
            UPDATE file SET verified_at = ?, verdict = ?, digest = coalesce(digest, ?) \
            WHERE path = ? AND published_at = ?
            """
        case .filesOn: files("path >= ?")
        case .filesBetween: files("path >= ? AND path < ?")
        case .filesOfList:
            """
            SELECT \(PublishedColumns.selected), j.seq, j.state FROM \(SpanPages.jobs) \
            LEFT JOIN outcome o ON o.seq = j.seq LEFT JOIN file f ON f.path = o.path \
            \(PublishedColumns.owner) WHERE \(SpanPages.condition) ORDER BY s.first, j.seq LIMIT ?
            """
        default: preconditionFailure("\(self) is of no audit")
        }
    }

    /// The limit counts rows that were looked at, whatever the join makes of them.
    private func files(_ condition: String) -> String {
        "SELECT \(PublishedColumns.selected) FROM (SELECT * FROM file WHERE \(condition) ORDER BY path LIMIT ?) f "
            + "\(PublishedColumns.owner) ORDER BY f.path"
    }

    /// Once a group, for each list and host that it has touched.
    private var counting: String {
        switch self {
        case .lane:
            """
            INSERT INTO lane (list, host, n_queued, n_active, n_waiting, n_publishing, n_paused) \
            VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n_queued = n_queued + excluded.n_queued, \
            n_active = n_active + excluded.n_active, n_waiting = n_waiting + excluded.n_waiting, \
            n_publishing = n_publishing + excluded.n_publishing, n_paused = n_paused + excluded.n_paused
            """
        case .emptyLane:
            """
            DELETE FROM lane WHERE list = ? AND host = ? AND n_queued = 0 AND n_active = 0 AND n_waiting = 0 \
            AND n_publishing = 0 AND n_paused = 0
            """
        case .listCounts: "UPDATE list SET bytes = bytes + ?, \(Self.adding) WHERE id = ?"
        case .hostCounts: "UPDATE host SET \(Self.adding) WHERE id = ?"
        case .totals: "UPDATE total SET \(Self.adding)"
        default: preconditionFailure("\(self) counts nothing")
        }
    }

    private static let adding = JobState.allCases.map { "n_\($0.name) = n_\($0.name) + ?" }
        .joined(separator: ", ")
}
