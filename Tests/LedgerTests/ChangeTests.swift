// SPDX-License-Identifier: Apache-2.0

import GRDB
import JobModel
import Testing

@testable import Ledger

@Suite struct ChangeTests {
    private func start(_ seq: Int64) -> JobChange { .active(JobSeq(seq), attempts: 3, startedAt: at(5)) }
    private func publishing(_ seq: Int64) -> JobChange {
        .publishing(
            JobSeq(seq), part: "\(seq).part", path: OutputPath(trusted: "f\(seq)"), device: 5, inode: 7,
            size: 9,
            outcome: done("f\(seq)", bytes: 9))
    }
    private func rows(_ scratch: Scratch) throws -> [String] {
        try scratch.shell(
            """
            SELECT seq, state, attempts, started_at, crashes, waited, since, due FROM job ORDER BY seq; \
            SELECT n_queued, n_active, n_publishing, n_done FROM list; SELECT seq, part, inode FROM publish; \
            SELECT * FROM outcome
            """)
    }

    /// The row changes once where the start is told of with what follows.
    @Test func `a start and a publish in one go leave what they leave one after the other`() throws {
        let (together, apart) = (try Scratch(), try Scratch())
        let stores = [try together.open(), try apart.open()]
        for store in stores { _ = try store.running([download(1, "f1"), download(2, "f2")]) }
        try stores[0].apply(start(1), publishing(1), start(2), now: at(9))
        for change in [start(1), publishing(1), start(2)] { try stores[1].apply(change, now: at(9)) }
        #expect(try rows(together) == rows(apart))
        for store in stores {
            #expect(try store.audit().isEmpty)
            try store.apply(.ended(JobSeq(1), done("f1", bytes: 9)), now: at(10))
        }
        #expect(try rows(together) == rows(apart))
        for store in stores { try store.close() }
    }

    /// Rows that say nothing but their state have nothing else written.
    @Test func `a job that waited and has a resume point is cleared of both at its end`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "f1")])
        let point = ResumePoint(
            url: "u", bytes: 5, total: 9, etag: "\"e\"", lastModified: nil, device: 5, inode: 7,
            part: "1.part")
        try store.apply(
            start(1),
            .waiting(
                JobSeq(1), due: at(6), attempts: 1, fetchedBytes: 5, waited: 0,
                error: JobError(.stalled, "nothing came"), resume: point),
            now: at(5))
        _ = try store.group { () throws(LedgerError) in try store.releaseDue(now: at(7), limit: 9) }
        try store.apply(start(1), publishing(1), now: at(9))
        #expect(try scratch.shell("SELECT state, waited > 0, due, since FROM job") == ["3|1||"])
        try store.apply(.ended(JobSeq(1), done("f1", bytes: 9)), now: at(10))
        #expect(
            try scratch.shell("SELECT state, waited > 0, resume, error, error_message, claim FROM job")
                == ["5|1||||"])
        try store.close()
    }

    @Test func `a start that is not followed by its own publish stands for itself`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "f1"), download(2, "f2")])
        try store.apply(start(1), start(2), publishing(2))
        let counts = try #require(try store.list(list)?.counts)
        #expect(counts.active == 1 && counts.publishing == 1)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    /// The outcome row is `publishing`'s, with the end's times.
    @Test func `a published job keeps what was known of it when it was whole`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "f1")])
        var outcome = done("f1", bytes: 9)
        outcome.etag = "\"e\""
        try store.apply(
            start(1),
            .publishing(
                JobSeq(1), part: "1.part", path: OutputPath(trusted: "f1"), device: 5, inode: 7, size: 9,
                outcome: outcome))
        outcome.endedAt = at(20)
        outcome.timings.publish = 7
        outcome.timings.total = 8
        try store.apply(.ended(JobSeq(1), outcome))
        #expect(
            try scratch.shell("SELECT state, etag, bytes, ended_at, t_publish, t_total FROM outcome")
                == ["5|\"e\"|9|\(at(20).rawValue)|7|8"])
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    /// NORMAL is 1, FULL is 2: the commit after one that need not last syncs again.
    @Test func `a group that must last follows one that need not`() throws {
        let scratch = try Scratch()
        let store = try LedgerStore.open(path: scratch.ledger, durability: .full, programVersion: "test")
        func level() throws -> Int? {
            try store.read { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
        }
        #expect(try level() == 2)
        try store.group(mustLast: false) { () throws(LedgerError) in _ = try store.totals() }
        #expect(try level() == 1)
        try store.group { () throws(LedgerError) in _ = try store.totals() }
        #expect(try level() == 2)
        try store.close()
    }
}
