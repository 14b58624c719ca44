// SPDX-License-Identifier: Apache-2.0

internal import GRDB

/// What a person sees who opens the file in a sqlite3 shell: words for states, ISO times in UTC, hosts by
/// name.
///
/// Views hold nothing, so they are made anew at every version of the program and need no migration. The
/// program itself never reads them. URLs are unmasked here as everywhere in the ledger; the file's mode keeps
/// them.
enum LedgerViews {
    static let names = ["lists", "jobs", "files", "hosts", "lanes", "audits"]

    static func install(_ db: Database) throws {
        for (name, body) in zip(names, bodies) {
            try db.execute(sql: "DROP VIEW IF EXISTS \(name)")
            try db.execute(sql: "CREATE VIEW \(name) AS \(body)")
        }
    }

    private static let bodies = [lists, jobs, files, hosts, lanes, audits]

    private static func time(_ column: String) -> String {
        "strftime('%Y-%m-%dT%H:%M:%fZ', \(column) / 1000.0, 'unixepoch')"
    }
    private static func jobState(_ column: String) -> String {
        """
        CASE \(column) WHEN 0 THEN 'queued' WHEN 1 THEN 'active' WHEN 2 THEN 'waiting' WHEN 3 THEN \
        'publishing' \
        WHEN 4 THEN 'paused' WHEN 5 THEN 'done' WHEN 6 THEN 'failed' WHEN 7 THEN 'cancelled' END
        """
    }
    private static let open = "n_queued + n_active + n_waiting + n_publishing + n_paused"
    private static let columns = """
        n_queued AS queued, n_active AS active, n_waiting AS waiting, n_publishing AS publishing, n_paused \
        AS paused
        """
    private static let terminal = "n_done AS done, n_failed AS failed, n_cancelled AS cancelled"

    private static let lists = """
        SELECT id, name, CASE state WHEN 0 THEN 'admitting' WHEN 1 THEN 'running' WHEN 2 THEN 'closed' \
        WHEN 3 THEN 'rejected' END AS state, CASE format WHEN 0 THEN 'text' WHEN 1 THEN 'jsonl' END AS \
        format, \
        CASE paused WHEN 0 THEN 'no' ELSE 'yes' END AS paused_whole, entries, \(open) AS open, \(columns), \
        \(terminal), bytes, accepted_name, final_name, reason, \(time("admitted_at")) AS admitted, \
        \(time("ended_at")) AS ended FROM list
        """
    private static let jobs = """
        SELECT j.seq, j.list, j.line, CASE j.kind WHEN 0 THEN 'download' WHEN 1 THEN 'sum' WHEN 3 THEN 'checksums' ELSE 'bad line' \
        END AS kind, \
        \(jobState("j.state")) AS state, h.name AS host, j.urls, coalesce(o.path, j.path) AS path, o.bytes, \
        coalesce(o.error, j.error) AS error, coalesce(o.error_message, j.error_message) AS message, \
        coalesce(o.attempts, j.attempts) AS attempts, -j.rank AS priority, o.digest, o.http_status, \
        o.value, o.flags, \
        \(time("j.admitted_at")) AS admitted, \(time("j.due")) AS due, \
        \(time("coalesce(o.started_at, j.started_at)")) AS started, \(time("o.ended_at")) AS ended, \
        round(o.t_total / 1e6, 1) AS total_ms, j.options \
        FROM job j LEFT JOIN host h ON h.id = j.host LEFT JOIN outcome o ON o.seq = j.seq
        """
    private static let files = """
        SELECT path, size, digest, \(time("published_at")) AS published, url, final_url, etag, \
        last_modified, \
        content_type, owner AS held_by_job, last_job, \(time("verified_at")) AS verified, \
        CASE verdict WHEN 0 THEN 'fine' WHEN 1 THEN 'plausible' WHEN 2 THEN 'changed' WHEN 3 THEN 'missing' \
        WHEN 4 THEN 'unreadable' END AS verdict FROM file
        """
    private static let audits = """
        SELECT id, scope, CASE state WHEN 0 THEN 'queued' WHEN 1 THEN 'running' WHEN 2 THEN 'repairing' \
        WHEN 3 THEN 'done' WHEN 4 THEN 'cancelled' END AS state, CASE paused WHEN 0 THEN 'no' ELSE 'yes' END AS \
        paused, files_total, n_fine AS fine, n_plausible AS plausible, n_changed AS changed, n_missing AS missing, \
        n_unreadable AS unreadable, n_skipped AS skipped, bytes, cursor, repair_list, n_repairs AS repairs, \
        \(time("made_at")) AS made, \(time("started_at")) AS started, \(time("ended_at")) AS ended FROM audit
        """
    private static let hosts = """
        SELECT id, CASE name WHEN '' THEN '(sums)' ELSE name END AS host, \(open) AS open, \(columns), \
        \(terminal), \
        \(time("held_until")) AS held_until, hold_reason FROM host
        """
    private static let lanes = """
        SELECT l.list, t.name AS list_name, h.name AS host, l.n_queued AS queued, l.n_active AS active, \
        l.n_waiting AS waiting, l.n_publishing AS publishing, l.n_paused AS paused, \
        \(time("h.held_until")) AS held_until FROM lane l LEFT JOIN host h ON h.id = l.host \
        LEFT JOIN list t ON t.id = l.list
        """
}
