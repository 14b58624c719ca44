// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

extension LedgerStore {
    /// The most rows one call looks at.
    public static let pageLimit = 10_000

    /// Jobs of a list with how they ended, in the order of its lines, after `after`. At most `limit` (and
    /// never more than 10,000); `next` is where to go on, nil after the last.
    public func results(
        of list: ListID, after: JobSeq?, limit: Int
    ) throws(LedgerError) -> (records: [ResultRecord], next: JobSeq?) {
        let bound = min(max(limit, 1), Self.pageLimit)
        return try read { db in
            let defaults = try defaults(of: list, db)
            let start = after?.rawValue ?? 0
            let statement = try hot(.results, db)
            statement.bind(list.rawValue).bind(start).bind(start).bind(bound)
            let records = try statement.rows {
                ResultColumns.record($0, defaults: defaults, cipher: cipher)
            }
            return (records, records.count < bound ? nil : records.last?.seq)
        }
    }
}

/// Which jobs are a list's: the runs of the sequence it was given.
enum SpanPages {
    /// Numbers and states of jobs of a list, in order.
    static func seqs(
        _ db: Database, list: ListID, after: JobSeq?, limit: Int
    ) throws -> [(seq: JobSeq, state: JobState)] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT j.seq, j.state FROM span s CROSS JOIN job j ON j.seq BETWEEN s.first AND s.last \
                WHERE s.list = ? AND s.last > ? AND j.seq > ? ORDER BY s.first, j.seq LIMIT ?
                """)
        let start = after?.rawValue ?? 0
        return try Row.fetchCursor(statement, arguments: [list.rawValue, start, start, limit]).readAllMapped {
            row in
            JobState(rawValue: Int(row.number(1))).map { (JobSeq(row.number(0)), $0) }
        }
    }
}

/// The columns of a result: of the tables `j` (job), `h` (host) and `o` (outcome).
enum ResultColumns {
    static let selected =
        "j.seq, j.list, j.line, j.kind, j.state, j.urls, j.options, j.gid, h.name, " + OutcomeColumns.selected
    static let count = 9 + 33

    static func record(
        _ row: borrowing some ColumnReading, defaults: JobOptions, cipher: JobIDCipher
    ) -> ResultRecord? {
        guard let state = JobState(rawValue: Int(row.number(4))), let kind = JobKind(rawValue: row.number(3))
        else {
            return nil
        }
        let seq = JobSeq(row.number(0))
        let options = JSONColumn.options(row.text(6)).over(defaults)
        let shown: ResultRecord.Kind =
            switch kind {
            case .download:
                .download(urls: WorkColumns.texts(row.text(5) ?? ""), host: HostKey(row.text(8) ?? ""))
            case .sum: .sum(WorkColumns.sum(row.text(5)) ?? SumRange(from: 0, to: 0))
            case .badLine: .badLine
            }
        return ResultRecord(
            list: ListID(row.number(1)), line: Int(row.number(2)), seq: seq,
            job: kind == .badLine ? nil : JobColumns.id(seq, gid: row.optionalNumber(7), cipher),
            userID: options.id, kind: shown, options: options, state: state,
            // A job in `publishing` has an outcome row that is not true yet.
            outcome: state.isTerminal ? OutcomeColumns.outcome(row, from: 9) : nil)
    }
}
