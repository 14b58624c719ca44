// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import GRDB
public import JobModel

/// Lists of digests: named by entries at their admission, fetched and read by a job of dld's own, then applied to the
/// entries that wait at their gate. Inside a group.
extension LedgerStore {
    /// What the group has to be followed up by. Said again at a start by `openDigestWorks`.
    struct DigestNews {
        /// Jobs that fetch a list are queued.
        var hasErrands = false
        /// Lists that are ready or failed, with jobs at their gate.
        var opened: Set<DigestListID> = []
        /// Lists that nobody needs any more.
        var dropped: Set<DigestListID> = []
    }

    /// What came up in the group, once.
    public func takeDigestNews() -> (hasErrands: Bool, works: [DigestWork]) {
        let news = digestNews
        digestNews = DigestNews()
        let works = news.opened.sorted().map { DigestWork.open($0) } + news.dropped.sorted().map { .drop($0) }
        return (news.hasErrands, works)
    }

    /// What an earlier run left to be done.
    public func openDigestWorks() throws(LedgerError) -> [DigestWork] {
        try read { db in
            let open = try Int64.fetchAll(
                db,
                sql: """
                    SELECT id FROM digest_list d WHERE state > 0 AND EXISTS \
                    (SELECT 1 FROM job INDEXED BY job_gated WHERE gate = d.id AND state < 5)
                    """)
            let left = try Int64.fetchAll(
                db, sql: "SELECT id FROM digest_list WHERE list NOT IN (SELECT id FROM list WHERE state < 2)")
            return open.map { .open(DigestListID(rawValue: $0)) }
                + left.map { .drop(DigestListID(rawValue: $0)) }
        }
    }

    /// The list of digests of a wish; made, with the job that fetches it, where it is new.
    func digestList(
        _ wish: DigestListWish, of list: ListID, line: Int, rank: Int64, now: WallTime, _ db: Database
    ) throws -> DigestListID {
        let source = wish.source.text
        let digest = wish.checksum?.description ?? ""
        let select = try db.cachedStatement(
            sql: "SELECT id, state FROM digest_list WHERE list = ? AND source = ? AND digest = ?")
        if let row = try Row.fetchOne(select, arguments: [list.rawValue, source, digest]) {
            let id = DigestListID(rawValue: row.number(0))
            if row.number(1) != DigestListState.wanted.rawValue { digestNews.opened.insert(id) }
            return id
        }
        try db.cachedStatement(sql: "INSERT INTO digest_list (list, source, digest) VALUES (?, ?, ?)")
            .execute(arguments: [list.rawValue, source, digest])
        let errand = DigestErrand(id: DigestListID(rawValue: db.lastInsertedRowID), file: nil)
        var host = HostKey.files
        if case .url(let url) = wish.source { host = url.host }
        let lane = LaneKey(list: DigestErrand.list, host: try hostID(host, db))
        var options = wish.options
        options.checksum = wish.checksum
        let state = try isPaused(list, db) ? JobState.paused : .queued
        try db.cachedStatement(
            sql: """
                INSERT INTO job (seq, list, line, kind, state, host, rank, admitted_at, urls, path, options) \
                VALUES (?, 0, ?, 3, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            errand.seq.rawValue, line, state.rawValue, lane.host.rawValue, rank, now.rawValue, source,
            ".dld/checksums/\(errand.id.rawValue)", JSONColumn.text(options),
        ])
        deltas.add(lane, state)
        digestNews.hasErrands = true
        return errand.id
    }

    /// Lines of a list that is being read. Nothing where nobody needs it any more.
    public func take(_ batch: DigestBatch) throws(LedgerError) {
        try write { db in
            if batch.isFirst {
                // Lines of a reading that was cut off are another number's, and go with the list.
                try db.cachedStatement(
                    sql: """
                        UPDATE digest_list SET lines = 0, reading = CASE WHEN reading = 0 THEN id * 65536 \
                        WHEN reading % 65536 = 65535 THEN reading ELSE reading + 1 END WHERE id = ?
                        """
                ).execute(arguments: [batch.id.rawValue])
            }
            let select = try db.cachedStatement(sql: "SELECT reading FROM digest_list WHERE id = ?")
            guard let reading = try Int64.fetchOne(select, arguments: [batch.id.rawValue]) else { return }
            let insert = try hot(.digestLine, db)
            let better = try hot(.betterLine, db)
            var count = 0
            for line in batch.lines {
                let strength = line.checksum.algorithm.strength
                let stored = [strength] + line.checksum.bytes
                try insert.bind(reading).bind(line.name).bind(bytes: stored).run()
                if insert.changes > 0 {
                    count += 1
                } else {
                    try better.bind(bytes: stored).bind(reading).bind(line.name).bind(bytes: [strength]).run()
                }
            }
            try db.cachedStatement(sql: "UPDATE digest_list SET lines = lines + ? WHERE id = ?")
                .execute(arguments: [count, batch.id.rawValue])
        }
    }

    /// The job that fetches a list has ended: its entries go on, or fail.
    func digestErrandEnded(_ seq: JobSeq, _ outcome: Outcome, _ db: Database) throws {
        let id = DigestListID(rawValue: -seq.rawValue)
        let state = outcome.state == .done ? DigestListState.ready : .failed
        try db.cachedStatement(sql: "UPDATE digest_list SET state = ?, error_message = ? WHERE id = ?")
            .execute(arguments: [
                state.rawValue, outcome.error.map { "\($0.code.name): \($0.message)" }, id.rawValue,
            ])
        digestNews.opened.insert(id)
    }

    /// An entry begins anew that failed by its list of digests: that is fetched again, for it may be another by now.
    func rewant(_ id: DigestListID, now: WallTime, _ db: Database) throws {
        guard let errand = try head(JobSeq(-id.rawValue), db), errand.state.isTerminal else { return }
        try OutcomeColumns.delete(db, errand.seq)
        let select = try db.cachedStatement(sql: "SELECT list FROM digest_list WHERE id = ?")
        let list = ListID(try Int64.fetchOne(select, arguments: [id.rawValue]) ?? 0)
        try move(
            errand, to: isPaused(list, db) ? .paused : .queued, waited: 0, now: now, db,
            also: "attempts = 0, started_at = NULL")
        try db.cachedStatement(sql: "UPDATE digest_list SET state = 0, error_message = NULL WHERE id = ?")
            .execute(arguments: [id.rawValue])
        digestNews.hasErrands = true
    }

    /// The jobs that fetch a list's lists of digests, as far as they are wanted still: they rest and go on with it.
    public func errands(of list: ListID) throws(LedgerError) -> [(seq: JobSeq, lane: LaneKey)] {
        try read { db in
            let select = try db.cachedStatement(
                sql: "SELECT id FROM digest_list WHERE list = ? AND state = 0 ORDER BY id")
            return try Int64.fetchAll(select, arguments: [list.rawValue]).compactMap { id in
                try head(JobSeq(-id), db).map { ($0.seq, $0.lane) }
            }
        }
    }

    private func isPaused(_ list: ListID, _ db: Database) throws -> Bool {
        let select = try db.cachedStatement(sql: "SELECT paused FROM list WHERE id = ?")
        return try Bool.fetchOne(select, arguments: [list.rawValue]) ?? false
    }

    /// A list has ended: so have its lists of digests.
    func dropDigestLists(of list: ListID, _ db: Database) throws {
        let select = try db.cachedStatement(sql: "SELECT id FROM digest_list WHERE list = ?")
        for id in try Int64.fetchAll(select, arguments: [list.rawValue]) {
            digestNews.dropped.insert(DigestListID(rawValue: id))
        }
    }
}

/// Work on a list of digests that is done a slice a turn.
public enum DigestWork: Sendable, Hashable {
    /// Entries at its gate go on with their digest, or fail.
    case open(DigestListID)
    /// Its lines and its rows go.
    case drop(DigestListID)
}

/// On disk: never renumber.
enum DigestListState: Int64 {
    case wanted = 0
    case ready = 1
    case failed = 2
}
