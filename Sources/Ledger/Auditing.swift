// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import JobModel

extension LedgerStore {
    /// Both of the following: for tests.
    public func audit() throws(LedgerError) -> [String] { try integrity() + inconsistencies() }

    /// What SQLite finds wrong with the file itself; empty when all is well. Reads every page.
    ///
    /// - Parameter quick: SQLite's quick_check, which leaves out comparing indexes with tables: for files of many
    ///   gigabytes.
    public func integrity(quick: Bool = false) throws(LedgerError) -> [String] {
        try read { db in
            let check = quick ? "quick_check" : "integrity_check"
            return try String.fetchAll(db, sql: "PRAGMA \(check)").filter { $0 != "ok" }
        }
    }

    /// Compares every count with the jobs it counts, and the tables with each other: what foreign keys and
    /// triggers would keep if rows were fewer. Reads every row: for `fsck` and tests.
    ///
    /// - Returns: one sentence for each thing that is wrong; empty when all is well.
    public func inconsistencies() throws(LedgerError) -> [String] {
        try read { db in
            // Sorting ten million rows goes to a file, not to memory.
            try db.execute(sql: "PRAGMA temp_store = FILE")
            defer { try? db.execute(sql: "PRAGMA temp_store = MEMORY") }  // the next open sets it again
            var found: [String] = []
            for check in Self.checks {
                for row in try Row.fetchAll(db, sql: check.sql + " LIMIT 20") {
                    let values = row.databaseValues.map(\.description).joined(separator: ", ")
                    found.append("\(check.says): \(values)")
                }
            }
            return found
        }
    }

    private static let sums =
        JobState.allCases
        .map { "sum(state = \($0.rawValue)) AS n_\($0.name)" }.joined(separator: ", ")
    private static func differs(_ states: [JobState], _ counted: String, _ kept: String) -> String {
        states.map { "coalesce(\(counted).n_\($0.name), 0) <> coalesce(\(kept).n_\($0.name), 0)" }
            .joined(separator: " OR ")
    }
    private static func counted(by columns: String) -> String {
        "(SELECT \(columns), \(sums) FROM job GROUP BY \(columns))"
    }

    private static let checks: [(says: String, sql: String)] = [
        (
            "counts of a list (list)",
            """
            SELECT l.id FROM list l LEFT JOIN \(counted(by: "list")) c ON c.list = l.id \
            WHERE \(differs(JobState.allCases, "c", "l"))
            """
        ),
        (
            "counts of a host (host)",
            """
            SELECT h.id FROM host h LEFT JOIN \(counted(by: "host")) c ON c.host = h.id \
            WHERE \(differs(JobState.allCases, "c", "h"))
            """
        ),
        (
            "counts of everything",
            "SELECT 1 FROM total t, (SELECT \(sums) FROM job) c WHERE " + differs(JobState.allCases, "c", "t")
        ),
        (
            "counts of a lane (list, host)",
            """
            SELECT c.list, c.host FROM \(counted(by: "list, host")) c LEFT JOIN lane l USING (list, host) \
            WHERE \(differs(RowColumns.openStates, "c", "l"))
            """
        ),
        (
            "a lane without jobs (list, host)",
            """
            SELECT l.list, l.host FROM lane l WHERE NOT EXISTS \
            (SELECT 1 FROM job j WHERE j.list = l.list AND j.host = l.host AND j.state < 5)
            """
        ),
        (
            "bytes of a list (list)",
            """
            SELECT l.id FROM list l LEFT JOIN (SELECT list, sum(o.bytes) AS b FROM job JOIN outcome o USING \
            (seq) \
            WHERE o.state = 5 AND job.state = 5 GROUP BY list) c ON c.list = l.id WHERE coalesce(c.b, 0) <> \
            l.bytes
            """
        ),
        (
            "a job outside its list's runs (job)",
            """
            SELECT j.seq FROM job j WHERE NOT EXISTS \
            (SELECT 1 FROM span s WHERE s.list = j.list AND j.seq BETWEEN s.first AND s.last)
            """
        ),
        (
            "an outcome row that fits no job, or one missing (job)",
            """
            SELECT seq FROM job LEFT JOIN outcome o USING (seq) WHERE (job.state > 4) <> (o.seq IS NOT NULL) \
            AND NOT (job.state = 3 AND o.seq IS NOT NULL) OR job.state > 4 AND o.state <> job.state
            """
        ),
        (
            "a publish row that fits no job (job)",
            "SELECT seq FROM publish LEFT JOIN job USING (seq) WHERE state IS NOT 3"
        ),
        (
            "a path held by no live job (path, job)",
            "SELECT f.path, f.owner FROM file f LEFT JOIN job j ON j.seq = f.owner "
                + "WHERE f.owner NOT NULL AND (j.state IS NULL OR j.state > 4)"
        ),
        (
            "a waiting job without a due time (job)",
            "SELECT seq FROM job WHERE (state = 2) <> (due IS NOT NULL)"
        ),
    ]
}
