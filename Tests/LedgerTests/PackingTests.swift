// SPDX-License-Identifier: Apache-2.0

import GRDB
import Glibc
import JobModel
import Testing

@testable import Ledger

/// The ledger's files stay small. `DLD_TEST_FULL=1` takes a million rows.
@Suite struct PackingTests {
    private let rows: Int64 = getenv("DLD_TEST_FULL") != nil ? 1_000_000 : 100_000

    private func fill(_ store: LedgerStore, _ count: Int64, each: () throws -> Void = {}) throws -> ListID {
        let list = try store.list().id
        for start in stride(from: Int64(1), through: count, by: 1000) {
            try store.admit(list, (start..<start + 1000).map { download($0, "directory/of/files/\($0).bin") })
            try each()
        }
        return list
    }
    private func pages(_ scratch: Scratch) throws -> Int {
        var status = stat()
        #expect(stat(scratch.ledger, &status) == 0)
        return Int(status.st_size) / 4096
    }

    @Test func `after a hundred thousand jobs went the file is short again, and whole`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try fill(store, 100_000)
        try store.group { () throws(LedgerError) in try store.reject(list, reason: "no", now: t0) }
        try store.checkpoint()
        let full = try pages(scratch)
        #expect(full > 3 * FilePacking.reserve)
        while try !store.group({ () throws(LedgerError) in try store.removeSlice(list: list, limit: 500) })
            .isComplete
        {}
        var packing = FilePacking()
        while case let pages = packing.next(try store.gauge()), pages > 0 {
            let before = try store.gauge().freePages
            try store.giveBack(pages: pages)
            #expect(try store.gauge().freePages <= before - pages)
        }
        try store.checkpoint()
        #expect(try pages(scratch) < FilePacking.reserve + 200, "of \(full)")
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test
    func `the write-ahead log keeps under its bound while lists come in and somebody pages through them`()
        throws
    {
        let scratch = try Scratch()
        let store = try scratch.open()
        let reader = try LedgerReader.open(path: scratch.ledger, cipher: store.cipher)
        var longest: Int64 = 0
        var after: JobSeq?
        _ = try fill(store, rows) {
            after = try reader.jobs(state: nil, list: nil, after: after, limit: 100).next
            longest = max(longest, store.logBytes)
        }
        #expect(longest > 0 && longest <= LogBound.idleBytes, "\(longest) bytes")
        try reader.close()
        try store.close()
    }

    @Test func `a log that a long read made long is emptied as soon as the read has ended, and nobody waits`()
        throws
    {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        try store.admit(list, [download(1, "a")])
        let reader = try LedgerReader.open(path: scratch.ledger, cipher: store.cipher)
        try reader.read { db in
            _ = try Int.fetchOne(db, sql: "SELECT count(*) FROM job")
            for start in stride(from: Int64(2), to: 20_000, by: 1000) {
                try store.admit(list, (start..<start + 1000).map { download($0, "f\($0)") })
            }
            let long = store.logBytes
            try store.emptyLog()
            #expect(store.logBytes == long)
        }
        try store.emptyLog()
        #expect(store.logBytes == 0)
        try reader.close()
        try store.close()
    }

    @Test func `a ledger of before learns to give pages back when it is upgraded`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        #expect(try store.read { try Int.fetchOne($0, sql: "PRAGMA auto_vacuum") } == 2)
        _ = try store.running([download(1, "a")])
        try store.close()
        _ = try scratch.shell("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM")
        let steps =
            LedgerFile.steps + [{ db in try db.execute(sql: "ALTER TABLE job ADD COLUMN extra TEXT") }]
        let old = try scratch.open()
        #expect(try old.read { try Int.fetchOne($0, sql: "PRAGMA auto_vacuum") } == 0)
        // Not an error: there is just nothing given back.
        try old.giveBack(pages: 10)
        try old.close()
        let new = try LedgerStore.open(
            path: scratch.ledger, durability: .none, programVersion: "2", steps: steps)
        #expect(try new.read { try Int.fetchOne($0, sql: "PRAGMA auto_vacuum") } == 2)
        #expect(try new.totals().queued == 1 && new.audit().isEmpty)
        try new.close()
    }
}
