// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GRDB
import JobModel
import Testing

@testable import Ledger

/// The same seed gives the same sequence on every machine.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct RecoveryTests {
    @Test func `a restart finds active jobs queued and publishes to look at`() throws {
        let scratch = try Scratch()
        let killed = try scratch.open()
        let list = try killed.running((1...4).map { download(Int64($0), "f\($0)") })
        _ = try killed.claim(1, "f1", "https://example.org/f1")
        var outcome = done("f2", bytes: 9)
        outcome.etag = "\"e\""
        try killed.apply(
            .active(JobSeq(1), attempts: 2, startedAt: t0), .active(JobSeq(2), attempts: 1, startedAt: t0),
            .publishing(
                JobSeq(2), part: "2.part", path: OutputPath(trusted: "f2"), device: 5, inode: .max, size: 9,
                outcome: outcome)
        )
        // No close: as after kill -9, the WAL is all there is.
        let copy = try Scratch()
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: scratch.ledger + suffix, toPath: copy.ledger + suffix)
        }
        let store = try copy.open()
        let recovery = try store.group { () throws(LedgerError) in try store.recover(now: at(1)) }
        #expect(recovery.requeued == 1)
        let publish = try #require(recovery.publishes.first)
        #expect(publish.job.seq == JobSeq(2))
        #expect(publish.inode == .max)
        #expect(publish.part == "2.part")
        #expect(publish.outcome == outcome)
        let counts = try #require(try store.list(list)?.counts)
        #expect(counts.queued == 3)
        #expect(counts.publishing == 1)
        #expect(try store.queuedJobs(list).first?.attempts == 2)
        // The claim of job 1 stood.
        #expect(try store.claim(3, "f1", "https://example.org/f1") == .duplicate(of: JobSeq(1), ended: nil))
        #expect(try store.audit().isEmpty)
        try store.apply(.requeued(JobSeq(2), attempts: 1, fetchedBytes: 9, waited: 0, resume: nil))
        #expect(try store.group { () throws(LedgerError) in try store.recover(now: at(2)) }.publishes.isEmpty)
        #expect(try store.audit().isEmpty)
        try store.close()
        try killed.close()
    }

    @Test func `a hard stop in a group keeps the groups before it and nothing of it`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a"), download(2, "b")])
        let copy = try Scratch()
        try store.group { () throws(LedgerError) in
            try store.apply([.active(JobSeq(1), attempts: 1, startedAt: t0)], now: t0)
            do {
                for suffix in ["", "-wal"] {
                    try FileManager.default.copyItem(
                        atPath: scratch.ledger + suffix, toPath: copy.ledger + suffix)
                }
            } catch {
                Issue.record(error)
            }
        }
        let restarted = try copy.open()
        #expect(try restarted.list(list)?.counts.queued == 2)
        #expect(try restarted.audit().isEmpty)
        try restarted.close()
        try store.close()
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func `after any sequence of events every count is the count of its rows`(seed: UInt64) throws {
        var random = SeededGenerator(state: seed)
        let scratch = try Scratch()
        var store = try scratch.open()
        var lists: [ListID] = []
        for round in 0..<60 {
            if round % 10 == 0 { lists.append(try store.list(named: "list-\(round)").id) }
            let list = lists.randomElement(using: &random) ?? ListID(1)
            if Bool.random(using: &random) {
                let first = store.nextSeq.rawValue
                let entries = (0..<Int64(Int.random(in: 1...8, using: &random))).map { offset in
                    RecoveryTests.entry(first + offset, &random)
                }
                try store.admit(list, entries)
            }
            try store.group { () throws(LedgerError) in
                for _ in 0..<12 { try Self.step(store, list, now: at(Int64(round)), &random) }
            }
            if round % 15 == 14 {
                try store.close()
                store = try scratch.open()
                _ = try store.group { () throws(LedgerError) in try store.recover(now: at(Int64(round))) }
            }
            let wrong = try store.audit()
            #expect(wrong.isEmpty, "round \(round)")
            if !wrong.isEmpty { break }
        }
        try store.close()
    }

    @Test func `the audit sees a count that is not the count of its rows`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a")])
        #expect(try store.audit().isEmpty)
        for table in ["list", "host", "lane", "total"] {
            let sql = "UPDATE \(table) SET n_queued = n_queued + 1"
            try store.queue.writeWithoutTransaction { try $0.execute(sql: sql) }
        }
        // The row of the host of sums is wrong as well.
        #expect(try store.audit().count == 5)
        try store.close()
    }

    @Test func `a full disk undoes the group, and it goes in when there is room`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        let entries = (1...2000).map { download(Int64($0), "file-\($0)") }
        try store.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = 40") }
        let error = #expect(throws: LedgerError.self) { try store.admit(list, entries) }
        #expect(error?.code == .diskFull)
        #expect(error?.isTransient == true)
        #expect(try store.audit().isEmpty)
        try store.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
        #expect(try store.admit(list, entries).isApplied)
        #expect(try store.list(list)?.counts.queued == 2000)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `every error code comes back as it went in`() {
        for code in ErrorCode.fixed + [.http(404), .http(599)] {
            #expect(ErrorColumn.error(code.name, "m") == JobError(code, "m"))
        }
        #expect(ErrorColumn.error("from_the_future", "m")?.code == .disk)
    }

    private static func entry(_ seq: Int64, _ random: inout SeededGenerator) -> AdmittedEntry {
        let kind = Int.random(in: 0..<10, using: &random)
        if kind == 0 {
            return AdmittedEntry(
                seq: JobSeq(seq), line: Int(seq), kind: .bad(JobError(.badLine, "x")), options: .none)
        }
        if kind == 1 {
            return AdmittedEntry(
                seq: JobSeq(seq), line: Int(seq), kind: .sum(SumRange(from: 0, to: UInt64(seq))),
                options: .none)
        }
        return download(
            seq, "n\(Int.random(in: 0..<20, using: &random))",
            host: "h\(Int.random(in: 0..<4, using: &random))",
            priority: Int.random(in: -1...1, using: &random), paused: kind == 2)
    }

    /// One random event on one random job or list, legal or not.
    private static func step(
        _ store: LedgerStore, _ list: ListID, now: WallTime, _ random: inout SeededGenerator
    ) throws(LedgerError) {
        let seq = JobSeq(Int64.random(in: 1...max(store.nextSeq.rawValue, 1), using: &random))
        let path = OutputPath(trusted: "n\(Int.random(in: 0..<20, using: &random))")
        switch Int.random(in: 0..<17, using: &random) {
        case 0, 1, 2: try store.apply([.active(seq, attempts: 1, startedAt: now)], now: now)
        case 3:
            try store.apply([.requeued(seq, attempts: 1, fetchedBytes: 1, waited: 2, resume: nil)], now: now)
        case 4:
            let change = JobChange.waiting(
                seq, due: WallTime(milliseconds: now.rawValue + 3), attempts: 1, fetchedBytes: 1, waited: 1,
                error: JobError(.dns, "x"), resume: nil)
            try store.apply([change], now: now)
        case 5: try store.apply([.paused(seq, attempts: 1, fetchedBytes: 0, resume: nil)], now: now)
        case 6, 7:
            let change = JobChange.publishing(
                seq, part: "p", path: path, device: 1, inode: 2, size: 3,
                outcome: done(path.description, at: now))
            try store.apply([change], now: now)
        case 8, 9: try store.apply([.ended(seq, done(path.description, at: now))], now: now)
        case 10: try store.apply([.ended(seq, failed(at: now))], now: now)
        case 11: _ = try store.releaseDue(now: now, limit: 3)
        case 12: _ = try store.retry(seq, now: now)
        case 13: _ = try store.pause(seq, now: now)
        case 14: _ = try store.resume(seq, now: now)
        case 15:
            _ = try store.retrySlice(list: list, after: nil, limit: 5, now: now)
            _ = try store.cancelSlice(list: list, limit: 1, now: now)
        default:
            let row = try store.results(of: list, after: nil, limit: 10_000).records
                .first { $0.seq == seq && !$0.state.isTerminal }
            if row != nil { _ = try store.claim(seq, path: path, url: "https://h/\(path)") }
        }
    }
}
