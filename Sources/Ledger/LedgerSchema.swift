// SPDX-License-Identifier: Apache-2.0

/// The tables, as each version made them. A released version's text is never edited: the next one gets a
/// migration.
///
/// State numbers are `JobState` and `ListState`; times are milliseconds since 1970 UTC; durations are
/// nanoseconds. The `n_...` columns are counts of jobs by state, kept in the transaction that changes the
/// jobs.
enum LedgerSchema {
    /// "dld1" in ASCII: tells a ledger from any other SQLite file (PRAGMA application_id).
    static let applicationID: Int64 = 0x646C_6431
    /// What this program writes (PRAGMA user_version).
    static let version = 3

    static let version1 = [
        """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
        """,
        // One row: counts over everything, and the number the next job gets.
        """
        CREATE TABLE total (id INTEGER PRIMARY KEY CHECK (id = 1), next_seq INTEGER NOT NULL, \(counts))
        """,
        // AUTOINCREMENT: an id is never reused, not even that of a list whose rows are gone.
        """
        CREATE TABLE list (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, accepted_name TEXT NOT \
        NULL, \
        final_name TEXT, format INTEGER NOT NULL, gzip INTEGER NOT NULL, state INTEGER NOT NULL, \
        paused INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0, device INTEGER NOT NULL, \
        inode INTEGER NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, offset INTEGER NOT NULL \
        DEFAULT 0, \
        line INTEGER NOT NULL DEFAULT 0, entries INTEGER NOT NULL DEFAULT 0, defaults TEXT, reason TEXT, \
        admitted_at INTEGER NOT NULL, ended_at INTEGER, bytes INTEGER NOT NULL DEFAULT 0, \(counts))
        """,
        "CREATE INDEX list_name ON list (name, id)",
        "CREATE INDEX list_open ON list (id) WHERE state < 2",
        // Lists of which every job has ended: their results are due.
        """
        CREATE INDEX list_ended ON list (id) \
        WHERE state = 1 AND n_queued + n_active + n_waiting + n_publishing + n_paused = 0
        """,
        // Which jobs are whose, as runs of the sequence: a list alone in admission has one row here, and
        // results are paged without an index over all jobs.
        """
        CREATE TABLE span (list INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, \
        PRIMARY KEY (list, first)) WITHOUT ROWID
        """,
        """
        CREATE TABLE host (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, held_until INTEGER, \
        hold_reason TEXT, \
        \(counts))
        """,
        "CREATE INDEX host_held ON host (held_until) WHERE held_until IS NOT NULL",
        // Open jobs of one list for one host. Goes when its last job ends.
        """
        CREATE TABLE lane (list INTEGER NOT NULL, host INTEGER NOT NULL, \(openCounts), \
        PRIMARY KEY (list, host)) WITHOUT ROWID
        """,
        "CREATE INDEX lane_ready ON lane (list, host) WHERE n_queued > 0",
        // kind: 0 download, 1 sum, 2 bad line, 3 (version 3) list of digests. urls: mirrors with TAB between, or `sum:FROM..TO`.
        // mirror_hosts: the hosts of all mirrors (before version 3: of the second and further ones), TAB between. rank: minus the priority.
        // claim: a second path this job owns (a numbered name). since: when the wait began. options, resume:
        // JSON, NULL when empty.
        """
        CREATE TABLE job (seq INTEGER PRIMARY KEY, list INTEGER NOT NULL, line INTEGER NOT NULL, \
        kind INTEGER NOT NULL, state INTEGER NOT NULL, host INTEGER NOT NULL, rank INTEGER NOT NULL, \
        admitted_at INTEGER NOT NULL, urls TEXT, mirror_hosts TEXT, path TEXT, options TEXT, gid INTEGER, \
        attempts INTEGER NOT NULL DEFAULT 0, fetched INTEGER NOT NULL DEFAULT 0, waited INTEGER NOT NULL \
        DEFAULT 0, \
        started_at INTEGER, since INTEGER, due INTEGER, error TEXT, error_message TEXT, resume TEXT, claim \
        TEXT)
        """,
        "CREATE INDEX job_queued ON job (list, host, rank, seq) WHERE state = 0",
        "CREATE INDEX job_due ON job (due) WHERE state = 2",
        "CREATE INDEX job_live ON job (state, seq) WHERE state BETWEEN 1 AND 4",
        "CREATE INDEX job_held ON job (list, state, seq) WHERE state IN (2, 4)",
        // How a job ended, beyond its own row. A job in `publishing` has its row here too: what it will be.
        """
        CREATE TABLE outcome (seq INTEGER PRIMARY KEY, state INTEGER NOT NULL, error TEXT, error_message \
        TEXT, \
        path TEXT, final_url TEXT, bytes INTEGER, fetched INTEGER NOT NULL, resumed INTEGER NOT NULL, \
        digest TEXT, \
        content_type TEXT, etag TEXT, last_modified TEXT, http_status INTEGER, http_version TEXT, remote_ip \
        TEXT, \
        attempts INTEGER NOT NULL, flags TEXT, started_at INTEGER, ended_at INTEGER NOT NULL, \
        t_queued INTEGER, t_waiting INTEGER, t_dns INTEGER, t_connect INTEGER, t_tls INTEGER, t_first_byte \
        INTEGER, \
        t_transfer INTEGER, t_publish INTEGER, t_total INTEGER, t_run INTEGER, t_cpu INTEGER, value TEXT, \
        worker TEXT)
        """,
        // A file that may have been renamed into place though `done` is not committed: its inode tells.
        """
        CREATE TABLE publish (seq INTEGER PRIMARY KEY, path TEXT NOT NULL, device INTEGER NOT NULL, \
        inode INTEGER NOT NULL, size INTEGER NOT NULL)
        """,
        // Ids that lists asked for. All other ids are computed from the sequence number.
        "CREATE TABLE gid (gid INTEGER PRIMARY KEY, seq INTEGER NOT NULL)",
        // Final paths, compared byte by byte. owner: the live job that holds the path. last_...: the last job
        // that held it. The rest: what was published there; outlives its list.
        """
        CREATE TABLE file (path TEXT PRIMARY KEY COLLATE BINARY, owner INTEGER, owner_url TEXT, last_job \
        INTEGER, \
        last_url TEXT, last_ended_at INTEGER, next_suffix INTEGER NOT NULL DEFAULT 1, url TEXT, final_url \
        TEXT, \
        size INTEGER, digest TEXT, etag TEXT, last_modified TEXT, content_type TEXT, published_at INTEGER) \
        WITHOUT ROWID
        """,
    ]

    /// What hosts have shown and jobs have lived through, kept over restarts.
    static let version2 = [
        // Starts of the daemon that found this job active: one that takes the daemon down with it is quarantined.
        "ALTER TABLE job ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0",
        // 1: it has answered a range with what was not asked for. No range is asked of it again.
        "ALTER TABLE host ADD COLUMN lies_about_ranges INTEGER NOT NULL DEFAULT 0",
        // Milliseconds in which jobs waited for it and it gave nothing usable, stops and pauses left out.
        "ALTER TABLE host ADD COLUMN barren INTEGER NOT NULL DEFAULT 0",
        // Parts of failed jobs, for a later job of the same URL and path to go on from. resume: JSON.
        """
        CREATE TABLE part (seq INTEGER PRIMARY KEY, path TEXT NOT NULL, url TEXT NOT NULL, resume TEXT NOT NULL, \
        ended_at INTEGER NOT NULL)
        """,
        "CREATE INDEX part_path ON part (path)",
        "CREATE INDEX part_age ON part (ended_at)",
        "CREATE INDEX job_crashes ON job (crashes) WHERE crashes > 0",
        // Lists that fsck put back into the spool: their jobs may have run before.
        "CREATE TABLE readmission (inode INTEGER PRIMARY KEY, size INTEGER NOT NULL)",
        // Which rows speak of a part file: the sweep at a start asks for each file that lies there.
        "ALTER TABLE publish ADD COLUMN part TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX publish_part ON publish (part)",
        "CREATE INDEX job_part ON job (json_extract(resume, '$.part')) WHERE resume IS NOT NULL",
        "CREATE INDEX part_file ON part (json_extract(resume, '$.part'))",
        "CREATE INDEX host_lies ON host (name) WHERE lies_about_ranges",
    ]

    /// Digests of files, of their pieces and lists of them; audits; lists by age; what mirrors have shown; jobs that wait,
    /// by host: to be requeued or given up without a look at the others of their list.
    static let version3 =
        DigestSchema.statements + AuditSchema.statements + RetentionSchema.statements
        + PieceSchema.statements
        + [
            "CREATE INDEX job_waiting_host ON job (host, list, seq) WHERE state = 2",
            // JSON: what the job's URLs have shown. `host` is that of the one that is tried next.
            "ALTER TABLE job ADD COLUMN mirrors TEXT",
        ]

    private static let openCounts =
        ["queued", "active", "waiting", "publishing", "paused"]
        .map { "n_\($0) INTEGER NOT NULL DEFAULT 0" }.joined(separator: ", ")
    private static let counts =
        openCounts
        + ["done", "failed", "cancelled"]
        .map { ", n_\($0) INTEGER NOT NULL DEFAULT 0" }.joined()
}
