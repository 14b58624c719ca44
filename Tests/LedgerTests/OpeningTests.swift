// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GRDB
import Glibc
import JobModel
import Testing

@testable import Ledger

@Suite struct OpeningTests {
    @Test func `a new ledger has an identity and a key that stay`() throws {
        let scratch = try Scratch()
        let first = try scratch.open()
        #expect(first.identity.utf8.count == 16)
        #expect(first.nextSeq == JobSeq(1))
        try first.close()
        let second = try scratch.open()
        #expect(second.identity == first.identity)
        #expect(second.cipher == first.cipher)
        try second.close()
    }

    @Test func `the files can be read by their owner only`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.list()
        for suffix in ["", "-wal", "-shm"] {
            var status = stat()
            #expect(stat(scratch.ledger + suffix, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600, "\(suffix)")
        }
        try store.close()
    }

    @Test func `durability full is synchronous FULL in WAL mode`() throws {
        let scratch = try Scratch()
        let store = try LedgerStore.open(path: scratch.ledger, durability: .full, programVersion: "1")
        let modes = try store.read { db in
            (
                try Int.fetchOne(db, sql: "PRAGMA synchronous"),
                try String.fetchOne(db, sql: "PRAGMA journal_mode")
            )
        }
        #expect(modes.0 == 2)
        #expect(modes.1 == "wal")
        try store.close()
    }

    @Test func `an upgrade copies the ledger first and keeps its rows`() throws {
        let scratch = try Scratch()
        let old = try scratch.open()
        let list = try old.running([download(1, "a")])
        // No close: what lies in the WAL must be in the copy.
        let steps =
            LedgerFile.steps + [{ db in try db.execute(sql: "ALTER TABLE job ADD COLUMN extra TEXT") }]
        let new = try LedgerStore.open(
            path: scratch.ledger, durability: .none, programVersion: "2", steps: steps)
        #expect(try new.list(list)?.counts.queued == 1)
        let version = LedgerSchema.version
        #expect(try new.read { try Int.fetchOne($0, sql: "PRAGMA user_version") } == version + 1)
        #expect(
            try scratch.shell("SELECT count(*) FROM pragma_table_info('job') WHERE name = 'extra'") == ["1"])
        let copy = scratch.ledger + ".v\(version)"
        #expect(
            try scratch.shell("PRAGMA user_version; SELECT count(*) FROM job", file: copy) == [
                "\(version)", "1",
            ])
        var status = stat()
        #expect(stat(copy, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        try new.close()
        try old.close()
    }

    @Test func `a ledger of the first version is upgraded with everything in it`() throws {
        let scratch = try Scratch()
        try LedgerStore.open(
            path: scratch.ledger, durability: .none, programVersion: "1", steps: [LedgerFile.steps[0]]
        ).close()
        // As that version's program wrote it: this one's statements know newer columns.
        _ = try scratch.shell(
            """
            INSERT INTO list (id, name, accepted_name, format, gzip, state, device, inode, size, modified, \
            admitted_at, n_queued) VALUES (1, 'a.txt', 'a.txt', 0, 0, 1, 1, 1, 1, 1, 1, 1);
            INSERT INTO span (list, first, last) VALUES (1, 1, 1);
            INSERT INTO host (id, name, n_queued) VALUES (1, 'example.org', 1);
            INSERT INTO lane (list, host, n_queued) VALUES (1, 1, 1);
            INSERT INTO job (seq, list, line, kind, state, host, rank, admitted_at, urls, path) \
            VALUES (1, 1, 1, 0, 0, 1, 0, 1, 'https://example.org/a', 'a');
            UPDATE total SET next_seq = 2, n_queued = 1
            """)
        let store = try scratch.open()
        #expect(try store.audit().isEmpty)
        #expect(try store.queuedJobs(ListID(1)).map(\.seq) == [JobSeq(1)])
        try store.apply(.ended(JobSeq(1), done("a")))
        #expect(try store.list(ListID(1))?.counts.done == 1)
        #expect(try scratch.shell("PRAGMA user_version") == ["\(LedgerSchema.version)"])
        try store.close()
    }

    @Test func `a migration that fails leaves the old version in place`() throws {
        let scratch = try Scratch()
        try scratch.open().close()
        let steps =
            LedgerFile.steps + [{ db in try db.execute(sql: "CREATE TABLE half (x); SELECT nonsense") }]
        #expect(throws: LedgerError.self) {
            try LedgerStore.open(path: scratch.ledger, durability: .none, programVersion: "2", steps: steps)
        }
        let store = try scratch.open()
        #expect(try store.audit().isEmpty)
        #expect(try scratch.shell("SELECT count(*) FROM sqlite_schema WHERE name = 'half'") == ["0"])
        try store.close()
    }

    @Test func `a newer schema is refused and left as it is`() throws {
        let scratch = try Scratch()
        try scratch.open().close()
        _ = try scratch.shell("PRAGMA user_version = 99")
        let before = try Data(contentsOf: URL(filePath: scratch.ledger))
        let error = #expect(throws: LedgerError.self) { try scratch.open() }
        #expect(error?.code == .newerSchema)
        #expect(error?.message.contains("99") == true)
        #expect(try Data(contentsOf: URL(filePath: scratch.ledger)) == before)
    }

    @Test(arguments: ["text that is no database at all, but long enough to look at", ""])
    func `a file that is no database is corrupt, not new`(content: String) throws {
        let scratch = try Scratch()
        try Data(content.utf8).write(to: URL(filePath: scratch.ledger))
        let error = #expect(throws: LedgerError.self) { try scratch.open() }
        #expect(error?.code == .corrupt)
        #expect(error?.file == scratch.ledger)
    }

    @Test func `another program's database is not taken for a ledger`() throws {
        let scratch = try Scratch()
        _ = try scratch.shell("CREATE TABLE t (x); PRAGMA user_version = 1")
        #expect(throws: LedgerError.self) { try scratch.open() }
    }

    @Test func `a damaged page is reported as corruption when it is read`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running((1...2000).map { download(Int64($0), "file-\($0)") })
        try store.close()
        let file = try FileHandleBytes(scratch.ledger)
        try file.overwrite(from: 8 * 4096, count: 200 * 4096)
        let error = #expect(throws: LedgerError.self) {
            let damaged = try scratch.open()
            _ = try damaged.results(of: list, after: nil, limit: 5000)
            _ = try damaged.queuedJobs(list)
        }
        #expect(error?.code == .corrupt)
    }

    @Test func `a database locked by another program is busy, and the group may be run again`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: scratch.ledger, configuration: configuration)
        try store.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA busy_timeout = 1") }
        try other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
        let error = #expect(throws: LedgerError.self) { try store.list() }
        #expect(error?.code == .busy)
        #expect(error?.isTransient == true)
        try other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        #expect(try store.list().id == ListID(1))
        try other.close()
        try store.close()
    }

    @Test func `views read well in a sqlite3 shell`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a"), download(2, "b"), download(3, "c", host: "other.net:8080")])
        try store.apply(
            .ended(JobSeq(1), done("a")),
            .waiting(
                JobSeq(2), due: at(5000), attempts: 1, fetchedBytes: 7, waited: 0,
                error: JobError(.http(503), "busy"), resume: nil))
        #expect(
            try scratch.shell("SELECT name, state, queued, waiting, done, bytes FROM lists")
                == ["a.txt|running|1|1|1|100"])
        #expect(
            try scratch.shell("SELECT seq, state, host, path, error, due FROM jobs ORDER BY seq") == [
                "1|done|example.org|a||", "2|waiting|example.org|b|http_503|2027-01-15T08:00:05.000Z",
                "3|queued|other.net:8080|c||",
            ])
        #expect(try scratch.shell("SELECT path, size, url FROM files") == ["a|100|https://example.org/a"])
        #expect(
            try scratch.shell("SELECT host, open, done FROM hosts ORDER BY id")
                == ["(sums)|0|0", "example.org|1|1", "other.net:8080|1|0"])
        #expect(
            try scratch.shell("SELECT list_name, host, queued, waiting FROM lanes")
                == ["a.txt|example.org|0|1", "a.txt|other.net:8080|1|0"])
        try store.close()
    }
}

/// Writes over the middle of a file.
private struct FileHandleBytes {
    let path: String
    init(_ path: String) throws { self.path = path }
    func overwrite(from: Int, count: Int) throws {
        var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        for index in from..<min(from + count, bytes.count) { bytes[index] = 0xA5 }
        try Data(bytes).write(to: URL(filePath: path))
    }
}
