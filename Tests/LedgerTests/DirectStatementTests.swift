// SPDX-License-Identifier: Apache-2.0

import GRDB
import JobModel
import Testing

@testable import Ledger

@Suite struct DirectStatementTests {
    private func withTable(_ body: (Database) throws -> Void) throws {
        let queue = try DatabaseQueue()
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
            try body(db)
        }
    }

    @Test func `numbers and texts come back as they went in, nothing as nothing and an empty text as one`()
        throws
    {
        try withTable { db in
            let insert = try DirectStatement(db, "INSERT INTO t VALUES (?, ?)")
            let texts: [String?] = ["a", nil, "", "\u{e9}\u{1F4BE}", "a\0b"]
            for (index, text) in texts.enumerated() { try insert.bind(index).bind(text).run() }
            let select = try DirectStatement(db, "SELECT a, b FROM t ORDER BY a")
            for _ in 0..<2 {
                let rows = try select.rows { ($0.number(0), $0.text(1)) }
                #expect(rows.map(\.0) == [0, 1, 2, 3, 4])
                #expect(rows.map(\.1) == texts)
            }
        }
    }

    @Test func `a statement that failed says why as GRDB does, and can be run again`() throws {
        try withTable { db in
            let insert = try DirectStatement(db, "INSERT INTO t VALUES (?, ?)")
            try insert.bind(1).bind("a").run()
            let error = #expect(throws: DatabaseError.self) { try insert.bind(1).bind("b").run() }
            #expect(error?.resultCode == .SQLITE_CONSTRAINT)
            #expect(error?.sql == "INSERT INTO t VALUES (?, ?)")
            try insert.bind(2).bind("c").run()
            #expect(insert.changes == 1)
            let count = try DirectStatement(db, "SELECT count(*) FROM t").first { $0.number(0) }
            #expect(count == 2)
        }
    }

    @Test func `what a group that was rolled back did to a job is not remembered`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a")])
        _ = try store.queuedJobs(list)
        #expect(throws: LedgerError.self) {
            try store.group { () throws(LedgerError) in
                try store.apply([.active(JobSeq(1), attempts: 1, startedAt: t0)], now: t0)
                throw LedgerError(.io, file: "", message: "the disk is full")
            }
        }
        try store.apply(.active(JobSeq(1), attempts: 1, startedAt: t0))
        #expect(try store.totals().active == 1)
        #expect(try store.totals().queued == 0)
        try store.apply(.ended(JobSeq(1), done()))
        #expect(try scratch.shell("SELECT n_queued, n_active, n_done FROM total") == ["0|0|1"])
        try store.close()
    }
}
