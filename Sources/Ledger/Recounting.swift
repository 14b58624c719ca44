// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import JobModel

extension LedgerStore {
    /// Takes every count anew from the jobs: lists, hosts, lanes, everything. For `fsck --repair`, inside a group that
    /// does nothing else. Reads every row once.
    public func recount() throws(LedgerError) {
        let columns = JobState.allCases.map { "n_\($0.name)" }
        let names = columns.joined(separator: ", ")
        let sums = columns.map { "coalesce(sum(c.\($0)), 0)" }.joined(separator: ", ")
        let open = RowColumns.openStates.map { "n_\($0.name)" }
        let counting = JobState.allCases.map { "sum(state = \($0.rawValue)) AS n_\($0.name)" }
        try write { db in
            try db.execute(
                sql: """
                    CREATE TEMP TABLE counted AS SELECT list, host, \(counting.joined(separator: ", ")) \
                    FROM job GROUP BY list, host;
                    UPDATE list SET (\(names)) = (SELECT \(sums) FROM counted c WHERE c.list = list.id);
                    UPDATE host SET (\(names)) = (SELECT \(sums) FROM counted c WHERE c.host = host.id);
                    UPDATE total SET (\(names)) = (SELECT \(sums) FROM counted c);
                    DELETE FROM lane;
                    INSERT INTO lane (list, host, \(open.joined(separator: ", "))) \
                    SELECT list, host, \(open.joined(separator: ", ")) FROM counted \
                    WHERE \(open.joined(separator: " + ")) > 0;
                    DROP TABLE counted
                    """)
        }
    }
}
