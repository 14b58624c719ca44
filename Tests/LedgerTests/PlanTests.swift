// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import JobModel
import Testing

@testable import Ledger

/// Every statement of the ledger, as SQLite would run it: none may read through a table that grows with jobs.
///
/// A plan depends on the schema alone (ANALYZE is never run, see below), so an empty ledger shows what a million rows get.
/// That all statements are among those looked at is held by the sources: each text of SQL in them must have been seen.
@Suite struct PlanTests {
    /// What may read through something, and why that stays short.
    private static let allowed: [(fragment: String, why: String)] = [
        ("FROM list WHERE inode = ?", "fsck only: lists, not jobs"),
        ("FROM digest_list WHERE list NOT IN", "lists of digests of open lists, a few"),
        ("FROM digest_list d WHERE state > 0", "lists of digests of open lists, a few"),
        ("FROM audit WHERE state >= 3", "at most 100 ended audits are kept"),
        ("audit INDEXED BY audit_open", "an index of the audits that have not ended"),
        ("FROM list INDEXED BY list_open", "an index of the open lists"),
        ("FROM list INDEXED BY list_ended", "an index of the lists whose results are due"),
        ("FROM list INDEXED BY list_removing", "an index of the lists under removal"),
        ("FROM part WHERE path = ? AND url = ?", "sorts the kept parts of one path"),
        ("FROM digest_list WHERE list = ? AND state = 0 ORDER", "sorts the lists of digests of one list"),
        ("FROM digest_list WHERE list = ? AND state = 1", "sorts the lists of digests of one list"),
        ("SELECT 1 FROM part LIMIT 1", "its first row"),
        ("host INDEXED BY host_lies", "an index of the few hosts that lie"),
        ("FROM job INDEXED BY job_crashes", "an index of the few jobs that crashed"),
        ("UNION ALL SELECT list FROM lane", "sorts the open lists of one host"),
        ("FROM (SELECT * FROM file WHERE path", "a page of its own, LIMIT inside"),
        ("SELECT name FROM (SELECT name, used FROM digest_line", "its first 10,000 lines, LIMIT inside"),
        ("SELECT host, state, count(*) FROM job WHERE seq BETWEEN", "sorts one slice of a removal"),
    ]
    /// Files whose statements read everything, because that is what they are for.
    private static let whole = [
        "Auditing.swift", "Recounting.swift", "LedgerSalvage.swift", "LedgerFile.swift", "LedgerViews.swift",
        "LedgerSchema.swift", "AuditSchema.swift", "DigestSchema.swift", "PieceSchema.swift",
        "RetentionSchema.swift",
    ]

    @Test func `no statement reads through a table that grows with jobs, and all statements were looked at`()
        throws
    {
        let scratch = try Scratch()
        let seen = Seen()
        let walk = try LedgerWalk(scratch: scratch, seen: seen)
        try walk.run()
        let store = walk.store
        #expect(
            try scratch.shell("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'") == ["0"])
        #expect(seen.statements.count > 100)
        for sql in seen.statements.sorted()
        where !Self.allowed.contains(where: { Self.flat(sql).contains($0.fragment) }) {
            let steps = try store.read { db in
                let plan = try db.makeStatement(sql: "EXPLAIN QUERY PLAN " + sql)
                plan.setUncheckedArguments(StatementArguments())
                return try Row.fetchAll(plan)
            }
            for step in steps.map({ $0["detail"] as String? ?? "" }) where Self.isLong(step) {
                Issue.record("\(step): \(sql)")
            }
        }
        for (file, text) in try Self.texts()
        where !seen.statements.contains(where: { Self.flat($0).contains(text) }) {
            Issue.record("\(file): no test of plans has met this statement: \(text)")
        }
        for entry in Self.allowed
        where !seen.statements.contains(where: { Self.flat($0).contains(entry.fragment) }) {
            Issue.record("nothing needs this exception any more: \(entry.fragment)")
        }
        try walk.reader.close()
        try store.close()
        #expect(try scratch.open().audit().isEmpty)
    }

    /// `SCAN total` is one row; a constant row is none.
    private static func isLong(_ step: String) -> Bool {
        if step.hasPrefix("SCAN CONSTANT") || step == "SCAN total" { return false }
        return step.hasPrefix("SCAN") || step.contains("TEMP B-TREE")
    }
    private static func flat(_ sql: String) -> String {
        sql.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    /// The beginning of each text of SQL in the module's sources, up to what is put in at run time.
    private static func texts() throws -> [(file: String, text: String)] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Ledger").path
        var found: [(String, String)] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        where name.hasSuffix(".swift") && !whole.contains(name) {
            let source = try String(contentsOf: URL(filePath: folder + "/" + name), encoding: .utf8)
            for literal in literals(source) {
                let text = flat(String(literal).replacing("\\\n", with: " "))
                let start =
                    text.split(separator: "\\(", maxSplits: 1, omittingEmptySubsequences: false).first ?? ""
                let isSQL = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "].contains { start.hasPrefix($0) }
                if isSQL, start.utf8.count >= 12 { found.append((name, flat(String(start)))) }
            }
        }
        return found
    }

    /// String literals, by their quotes; comments have none that are not closed.
    private static func literals(_ source: String) -> [Substring] {
        var found: [Substring] = []
        var rest = source[...]
        while let quote = rest.range(of: "\"") {
            let isBlock = rest[quote.lowerBound...].hasPrefix("\"\"\"")
            let end = isBlock ? "\"\"\"" : "\""
            let body = rest[rest.index(quote.lowerBound, offsetBy: end.count)...]
            guard let close = body.range(of: end) else { break }
            found.append(body[..<close.lowerBound])
            rest = body[close.upperBound...]
        }
        return found
    }
}

/// The statements that ran.
final class Seen {
    var statements: Set<String> = []

    func listen(_ db: Database) {
        db.trace { event in
            guard case .statement(let statement) = event else { return }
            let sql = statement.sql
            if ["SELECT", "INSERT", "UPDATE", "DELETE"].contains(where: { sql.hasPrefix($0) }) {
                self.statements.insert(sql)
            }
        }
    }
}
