// SPDX-License-Identifier: Apache-2.0

/// Digests: of files, and lists of them. Part of version 3.
enum DigestSchema {
    static let statements = [
        // How often the file came with a wrong digest.
        "ALTER TABLE job ADD COLUMN mismatches INTEGER NOT NULL DEFAULT 0",
        // The list of digests that the entry is checked by: while the job waits for it, and where it failed by it.
        "ALTER TABLE job ADD COLUMN gate INTEGER",
        // The digest that such a list gave: `sha256:HEX`.
        "ALTER TABLE job ADD COLUMN listed TEXT",
        // A job at its gate is queued and not handed out.
        "DROP INDEX job_queued",
        "CREATE INDEX job_queued ON job (list, host, rank, seq) WHERE state = 0 AND gate IS NULL",
        "CREATE INDEX job_gated ON job (gate, seq) WHERE gate IS NOT NULL AND state < 5",
        // state: 0 wanted, 1 ready, 2 failed. The job with the number -id fetches and reads it. reading: which lines
        // count. A list that names one twice has it once.
        """
        CREATE TABLE digest_list (id INTEGER PRIMARY KEY AUTOINCREMENT, list INTEGER NOT NULL, \
        source TEXT NOT NULL, digest TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0, \
        reading INTEGER NOT NULL DEFAULT 0, lines INTEGER NOT NULL DEFAULT 0, matched INTEGER NOT NULL DEFAULT 0, \
        error_message TEXT, UNIQUE (list, source, digest))
        """,
        // reading: id * 65536 + the how manyth reading. checksum: one byte of strength, then the digest.
        """
        CREATE TABLE digest_line (reading INTEGER NOT NULL, name TEXT NOT NULL COLLATE BINARY, \
        checksum BLOB NOT NULL, used INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (reading, name)) WITHOUT ROWID
        """,
        // The jobs that fetch them belong to list 0, which has no row.
        "INSERT INTO span (list, first, last) VALUES (0, -9223372036854775808, -1)",
    ]
}
