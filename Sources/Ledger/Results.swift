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
            let statement = try hot(.results, db)
            for value in SpanPages.values(list, after) { statement.bind(value) }
            let records = try statement.bind(bound).rows {
                ResultColumns.record($0, defaults: defaults, cipher: cipher)
            }
            // Fewer at a time where they bring digests of pieces along.
            let page = try PieceRows.fill(records, db) ?? records
            return (page, page.count < bound && page.count == records.count ? nil : page.last?.seq)
        }
    }
}

/// Which jobs are a list's: the runs of the sequence it was given.
enum SpanPages {
    /// The rest of a list's jobs, after one of them. The lower bound is one expression: of two comparisons SQLite takes
    /// the first for its search, and then reads past every job before the page.
    static let jobs = "span s CROSS JOIN job j ON j.seq BETWEEN max(s.first, ? + 1) AND s.last"
    static let condition = "s.list = ? AND s.last > ?"
    /// For `jobs` and `condition`, in this order.
    static func values(_ list: ListID, _ after: JobSeq?) -> [Int64] {
        let start = after?.rawValue ?? 0
        return [start, list.rawValue, start]
    }

    /// Numbers and states of jobs of a list, in order.
    static func seqs(
        _ db: Database, list: ListID, after: JobSeq?, limit: Int
    ) throws -> [(seq: JobSeq, state: JobState)] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT j.seq, j.state FROM \(jobs) WHERE \(condition) ORDER BY s.first, j.seq LIMIT ?
                """)
        let arguments = StatementArguments(values(list, after) + [Int64(limit)])
        return try Row.fetchCursor(statement, arguments: arguments).readAllMapped { row in
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
        _ row: borrowing some ColumnReading, defaults: SharedOptions, cipher: JobIDCipher
    ) -> ResultRecord? {
        guard let state = JobState(rawValue: Int(row.number(4))), let kind = JobKind(rawValue: row.number(3))
        else {
            return nil
        }
        let seq = JobSeq(row.number(0))
        let options = JSONColumn.options(row.text(6), over: defaults)
        let shown: ResultRecord.Kind =
            switch kind {
            case .download:
                .download(urls: WorkColumns.texts(row.text(5) ?? ""), host: HostKey(row.text(8) ?? ""))
            case .sum: .sum(WorkColumns.sum(row.text(5)) ?? SumRange(from: 0, to: 0))
            case .badLine: .badLine
            case .digestList: .download(urls: [row.text(5) ?? ""], host: HostKey(row.text(8) ?? ""))
            }
        return ResultRecord(
            list: ListID(row.number(1)), line: Int(row.number(2)), seq: seq,
            job: kind == .badLine ? nil : JobColumns.id(seq, gid: row.optionalNumber(7), cipher),
            userID: options.value.id, kind: shown, options: options, state: state,
            // A job in `publishing` has an outcome row that is not true yet.
            outcome: state.isTerminal ? OutcomeColumns.outcome(row, from: 9) : nil)
    }
}
