// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import Glibc
internal import JobModel

/// What could be read of a damaged ledger, and what else is known of its numbers.
public struct LedgerSalvage: Sendable, Hashable {
    /// Names the parts directory and stands in `OUTPUT/.dld/id`; nil draws a new one.
    public var identity: String?
    public var jobKey: UInt64?
    /// Above every number ever used; ids are not given out twice.
    public var nextSeq: Int64 = 1
    public var lastList: Int64 = 0
    /// Rows taken over: published files, and parts that a later job may go on from.
    public var files = 0
    public var parts = 0
    public init() {}
}

/// Builds a sound ledger beside a damaged one, from what can still be read of it.
///
/// Lists and jobs are not taken over: their lists are admitted again. Identity, numbers, the table of files and the
/// parts of unfinished jobs are, as far as their pages are whole (`SalvageWalk`).
public enum LedgerRescue {
    /// Writes a new ledger at `fresh`, where nothing lies. `known` fills in what the damaged one does not tell.
    /// - Returns: what the new ledger stands on.
    public static func build(
        at fresh: String, from damaged: String, known: LedgerSalvage, programVersion: String
    ) throws(LedgerError) -> LedgerSalvage {
        do {
            let old = try? openDamaged(damaged)  // header gone: only what is known otherwise
            var salvage = numbers(old, known)
            let queue = try LedgerFile.make(
                at: fresh, programVersion: programVersion, steps: LedgerFile.steps)
            try queue.write { db in
                if let identity = salvage.identity { try set("identity", identity, db) }
                if let key = salvage.jobKey { try set("job_key", hex(key), db) }
                try db.execute(sql: "UPDATE total SET next_seq = ?", arguments: [salvage.nextSeq])
                try db.execute(sql: "DELETE FROM sqlite_sequence WHERE name = 'list'")
                try db.execute(
                    sql: "INSERT INTO sqlite_sequence (name, seq) VALUES ('list', ?)",
                    arguments: [salvage.lastList])
            }
            if let old {
                salvage.files = copy(fileTable, from: old, to: queue)
                // A part is named by its job's number under the key: without both it is nobody's.
                if salvage.jobKey != nil, salvage.nextSeq > 1 {
                    salvage.parts =
                        copy(partTable, from: old, to: queue) + copy(resumes, from: old, to: queue)
                }
            }
            try queue.close()
            return salvage
        } catch {
            throw LedgerError(error, file: fresh)
        }
    }

    private static func openDamaged(_ path: String) throws -> DatabaseQueue {
        var configuration = LedgerFile.configuration(readonly: true)
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA cell_size_check = ON") }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    private static func set(_ key: String, _ value: String, _ db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", arguments: [key, value])
    }
    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// Each question by itself: one that meets a damaged page does not keep the others from being asked.
    private static func numbers(_ old: DatabaseQueue?, _ known: LedgerSalvage) -> LedgerSalvage {
        var salvage = known
        func ask<T: DatabaseValueConvertible>(_ type: T.Type, _ sql: String) -> T? {
            try? old?.read { try T.fetchOne($0, sql: sql) }  // unreadable: not known
        }
        if let text = ask(String.self, "SELECT value FROM meta WHERE key = 'identity'"), isIdentity(text) {
            salvage.identity = text
        }
        if let text = ask(String.self, "SELECT value FROM meta WHERE key = 'job_key'"), isIdentity(text) {
            salvage.jobKey = UInt64(text, radix: 16)
        }
        for sql in [
            "SELECT next_seq FROM total", "SELECT max(seq) + 1 FROM job", "SELECT max(last) + 1 FROM span",
            "SELECT max(seq) + 1 FROM outcome",
        ] {
            salvage.nextSeq = max(salvage.nextSeq, bounded(ask(Int64.self, sql)))
        }
        for sql in [
            "SELECT seq FROM sqlite_sequence WHERE name = 'list'", "SELECT max(id) FROM list",
            "SELECT max(list) FROM span",
        ] {
            salvage.lastList = max(salvage.lastList, bounded(ask(Int64.self, sql)))
        }
        return salvage
    }

    /// A damaged cell may hold any number; one that leaves no room above it would end the ledger's life.
    private static func bounded(_ number: Int64?) -> Int64 {
        guard let number, number > 0, number < 1 << 48 else { return 0 }
        return number
    }

    /// 16 hex digits: anything else in that cell is damage.
    public static func isIdentity(_ text: String) -> Bool {
        text.utf8.count == 16 && text.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) }
    }
}

extension LedgerRescue {
    private static let fileTable = SalvagedTable(
        select: """
            SELECT path, last_job, last_url, last_ended_at, next_suffix, url, final_url, size, digest, etag, \
            last_modified, content_type, published_at FROM file
            """, condition: "1", key: "path",
        insert: """
            INSERT OR IGNORE INTO file (path, last_job, last_url, last_ended_at, next_suffix, url, final_url, size, \
            digest, etag, last_modified, content_type, published_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
    private static let partTable = SalvagedTable(
        select: "SELECT seq, path, url, resume, ended_at FROM part", condition: "1", key: "seq",
        insert: "INSERT OR IGNORE INTO part (seq, path, url, resume, ended_at) VALUES (?, ?, ?, ?, ?)")
    /// Unfinished jobs begin anew: what they had becomes a part that a later job goes on from.
    private static let resumes = SalvagedTable(
        select: "SELECT seq, path, urls, resume, admitted_at FROM job",
        condition: "resume NOT NULL AND state < 5 AND gid IS NULL AND instr(urls, char(9)) = 0", key: "seq",
        insert: "INSERT OR IGNORE INTO part (seq, path, url, resume, ended_at) VALUES (?, ?, ?, ?, ?)")

    /// - Returns: rows written.
    private static func copy(_ table: SalvagedTable, from old: DatabaseQueue, to new: DatabaseQueue) -> Int {
        let walk = SalvageWalk(table: table, old: old, new: new)
        return walk.copy()
    }
}
