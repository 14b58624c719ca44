// SPDX-License-Identifier: Apache-2.0

/// The part of schema version 3 that audits brought.
enum AuditSchema {
    static let statements = [
        // When an audit last looked at what lies there, and what came of it (`AuditVerdict`). NULL: never, since it was
        // published.
        "ALTER TABLE file ADD COLUMN verified_at INTEGER",
        "ALTER TABLE file ADD COLUMN verdict INTEGER",
        // scope: JSON. cursor: the last path, or the last job's number, that has been looked at. AUTOINCREMENT: the
        // results file is named by the id.
        """
        CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, repairs INTEGER NOT NULL, \
        records INTEGER NOT NULL, lists_all INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, \
        paused INTEGER NOT NULL DEFAULT 0, cursor TEXT, files_total INTEGER, bytes_total INTEGER, \
        bytes INTEGER NOT NULL DEFAULT 0, result_bytes INTEGER NOT NULL DEFAULT 0, \(counts), \
        repair_list TEXT, n_repairs INTEGER NOT NULL DEFAULT 0, made_at INTEGER NOT NULL, started_at INTEGER, \
        ended_at INTEGER)
        """,
        "CREATE INDEX audit_open ON audit (id) WHERE state < 3",
    ]

    private static let counts =
        ["fine", "plausible", "changed", "missing", "unreadable", "skipped"]
        .map { "n_\($0) INTEGER NOT NULL DEFAULT 0" }.joined(separator: ", ")
}
