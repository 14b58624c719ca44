// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Audits of published files: what was asked for, how far each has come, what came of it. Writing calls run inside a
/// group; an audit that has ended is not changed any more.
extension LedgerStore {
    /// Audits that are remembered after their end; older ones go with the next that is made.
    public static let auditsKept = 100

    /// Queues an audit.
    public func makeAudit(
        _ scope: AuditScope, _ options: AuditOptions, now: WallTime
    ) throws(LedgerError) -> AuditRow {
        try write { db in
            try db.cachedStatement(
                sql: "INSERT INTO audit (scope, repairs, records, lists_all, made_at) VALUES (?, ?, ?, ?, ?)"
            ).execute(arguments: [
                AuditColumns.text(scope), options.repairs, options.recordsDigests, options.listsAll,
                now.rawValue,
            ])
            return AuditRow(
                id: AuditID(db.lastInsertedRowID), scope: scope, options: options, madeAt: now)
        }
    }

    /// Forgets ended audits beyond the newest `auditsKept`; returns whose results may go.
    public func forgetOldAudits() throws(LedgerError) -> [AuditID] {
        try write { db in
            let find = try db.cachedStatement(
                sql: """
                    SELECT id FROM audit WHERE state >= 3 AND id <= \
                    (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT 100
                    """)
            let ids = try Int64.fetchAll(find, arguments: [Self.auditsKept])
            for id in ids {
                try db.cachedStatement(sql: "DELETE FROM audit WHERE id = ?").execute(arguments: [id])
            }
            return ids.map { AuditID($0) }
        }
    }

    /// One audit; nil where there is none (any more).
    public func audit(_ id: AuditID) throws(LedgerError) -> AuditRow? {
        try read { try AuditColumns.audit($0, id) }
    }

    /// It is its turn: `running`, with what it is up to in files and bytes where that is known.
    public func begin(
        _ id: AuditID, filesTotal: Int, bytesTotal: Int64, now: WallTime
    ) throws(LedgerError) {
        try set(
            id,
            "state = max(state, 1), started_at = coalesce(started_at, ?), files_total = ?, bytes_total = ?",
            [now.rawValue, filesTotal, bytesTotal])
    }

    /// Stores a step, with the last word on each file of it, all or nothing. A file that was published anew meanwhile
    /// keeps what is known of the new one.
    public func note(_ progress: AuditProgress, now: WallTime) throws(LedgerError) {
        let counts = progress.counts
        var sets = ["cursor = ?", "bytes = bytes + ?", "result_bytes = ?", "n_skipped = n_skipped + ?"]
        var values: [(any DatabaseValueConvertible)?] = [
            AuditColumns.text(progress.cursor), progress.bytes, progress.resultBytes, counts.skipped,
        ]
        for verdict in AuditVerdict.allCases {
            sets.append("n_\(verdict.name) = n_\(verdict.name) + ?")
            values.append(counts[verdict])
        }
        try set(progress.id, sets.joined(separator: ", "), values)
        try write { db in
            let statement = try hot(.verified, db)
            for file in progress.files {
                try statement.bind(now.rawValue).bind(file.verdict.rawValue).bind(file.digest?.description)
                    .bind(file.path.description).bind(file.publishedAt.rawValue).run()
            }
        }
    }

    /// Every file has been looked at; the list of those to be fetched again comes next.
    public func beginRepair(_ id: AuditID) throws(LedgerError) { try set(id, "state = 2", []) }

    /// The end.
    /// - Parameter list: the list that fetches bad files again, with its entries.
    public func finish(
        _ id: AuditID, repairs list: (name: String, count: Int)?, now: WallTime
    ) throws(LedgerError) {
        try set(
            id, "state = 3, paused = 0, ended_at = ?, repair_list = ?, n_repairs = ?",
            [now.rawValue, list?.name, list?.count ?? 0])
    }

    public func cancel(_ id: AuditID, now: WallTime) throws(LedgerError) {
        try set(id, "state = 4, paused = 0, ended_at = ?", [now.rawValue])
    }

    /// A paused audit lets the next one go first.
    public func set(_ id: AuditID, paused: Bool) throws(LedgerError) { try set(id, "paused = ?", [paused]) }

    private func set(
        _ id: AuditID, _ assignments: String, _ values: [(any DatabaseValueConvertible)?]
    ) throws(LedgerError) {
        try write { db in
            try db.cachedStatement(sql: "UPDATE audit SET \(assignments) WHERE id = ? AND state < 3")
                .execute(arguments: StatementArguments(values + [id.rawValue]))
        }
    }
}

/// Rows of audits.
enum AuditColumns {
    static let query = """
        SELECT id, scope, repairs, records, lists_all, state, paused, cursor, files_total, bytes_total, bytes, \
        result_bytes, repair_list, n_repairs, made_at, started_at, ended_at, n_fine, n_plausible, n_changed, \
        n_missing, n_unreadable, n_skipped FROM audit
        """

    static func audit(_ db: Database, _ id: AuditID) throws -> AuditRow? {
        try Row.fetchOne(db.cachedStatement(sql: query + " WHERE id = ?"), arguments: [id.rawValue]).map(
            audit)
    }

    static func audit(_ row: Row) -> AuditRow {
        let scope = scope(row.text(1))
        var audit = AuditRow(
            id: AuditID(row.number(0)), scope: scope,
            options: AuditOptions(
                repairs: row.number(2) != 0, recordsDigests: row.number(3) != 0, listsAll: row.number(4) != 0),
            madeAt: row.time(14) ?? WallTime(milliseconds: 0))
        audit.state = AuditState(rawValue: Int(row.number(5))) ?? .cancelled
        audit.isPaused = row.number(6) != 0
        audit.cursor = cursor(row.text(7), scope)
        audit.filesTotal = row.optionalNumber(8).map { Int($0) }
        audit.bytesTotal = row.optionalNumber(9)
        audit.bytes = row.number(10)
        audit.resultBytes = row.number(11)
        audit.repairList = row.text(12)
        audit.repairs = Int(row.number(13))
        audit.startedAt = row.time(15)
        audit.endedAt = row.time(16)
        for (index, verdict) in AuditVerdict.allCases.enumerated() {
            audit.counts[verdict] = Int(row.number(17 + index))
        }
        audit.counts.skipped = Int(row.number(22))
        return audit
    }

    /// `{"all":true}`, `{"list":12}`, `{"paths":["a","b"]}`.
    static func text(_ scope: AuditScope) -> String {
        var json = JSONText()
        json.object {
            switch scope {
            case .all: $0.field("all", true)
            case .list(let list): $0.field("list", list.rawValue)
            case .paths(let paths):
                $0.key("paths")
                $0.array { for path in paths { $0.value(path.description) } }
            }
        }
        return String(decoding: json.bytes, as: UTF8.self)
    }

    /// What cannot be read looks at nothing.
    private static func scope(_ text: String?) -> AuditScope {
        struct Stored: Decodable {
            var all: Bool?
            var list: Int64?
            var paths: [String]?
        }
        guard let stored = JSONColumn.decode(Stored.self, text) else { return .paths([]) }
        if stored.all == true { return .all }
        if let list = stored.list { return .list(ListID(list)) }
        return .paths((stored.paths ?? []).map { OutputPath(trusted: $0) })
    }

    static func text(_ cursor: AuditCursor?) -> String? {
        switch cursor {
        case .path(let path): path.description
        case .job(let seq): String(seq.rawValue)
        case nil: nil
        }
    }

    private static func cursor(_ text: String?, _ scope: AuditScope) -> AuditCursor? {
        guard let text else { return nil }
        switch scope {
        case .all, .paths: return .path(OutputPath(trusted: text))
        case .list: return .job(JobSeq(Int64(text) ?? 0))
        }
    }
}
