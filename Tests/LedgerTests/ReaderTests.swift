// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import JobModel
import Testing

@testable import Ledger

@Suite struct ReaderTests {
    @Test func `a reader sees the last commit and never the group under way`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a"), download(2, "b")])
        let reader = try LedgerReader.open(path: scratch.ledger, cipher: store.cipher)
        #expect(try reader.list(list)?.counts.queued == 2)
        try store.group { () throws(LedgerError) in
            try store.apply([.active(JobSeq(1), attempts: 1, startedAt: t0)], now: t0)
            let counts = try reader.list(list)?.counts
            #expect(counts?.queued == 2)
        }
        #expect(try reader.list(list)?.counts.active == 1)
        #expect(try reader.totals() == store.totals())
        try reader.close()
        try store.close()
    }

    @Test func `jobs are found by id, by gid, by state, by list`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let gid = try #require(JobID("00000000deadbeef"))
        let one = try store.running([
            download(1, "a", gid: gid), download(2, "b"), download(3, "c", paused: true),
        ])
        let two = try store.running([download(4, "d", host: "z.net")], named: "two.txt")
        let resume = ResumePoint(
            url: "u", bytes: 1, total: nil, etag: "\"e\"", lastModified: nil, device: 1, inode: 1,
            part: "p")
        try store.apply(
            .waiting(
                JobSeq(2), due: at(50), attempts: 3, fetchedBytes: 8, waited: 0,
                error: JobError(.dns, "no host"),
                resume: resume),
            .ended(JobSeq(1), done("a.1", at: at(2))))
        let reader = try LedgerReader.open(path: scratch.ledger, cipher: store.cipher)
        let first = try #require(try reader.job(gid))
        #expect(first.record.seq == JobSeq(1))
        #expect(first.path == OutputPath(trusted: "a.1"))
        #expect(first.record.outcome == done("a.1", at: at(2)))
        // The computed id of a job that asked for another is nobody's.
        #expect(try reader.job(store.cipher.id(of: JobSeq(1))) == nil)
        let second = try #require(try reader.job(store.cipher.id(of: JobSeq(2))))
        #expect(second.due == at(50))
        #expect(second.lastError == JobError(.dns, "no host"))
        #expect(second.resume == resume)
        #expect(second.attempts == 3)
        func seqs(_ state: JobState?, _ list: ListID?) throws -> [Int64] {
            try reader.jobs(state: state, list: list, after: nil, limit: 10).rows.map(\.record.seq.rawValue)
        }
        #expect(try seqs(nil, nil) == [1, 2, 3, 4])
        #expect(try seqs(.waiting, nil) == [2])
        #expect(try seqs(.waiting, one) == [2])
        #expect(try seqs(.paused, one) == [3])
        #expect(try seqs(.queued, two) == [4])
        #expect(try seqs(.done, one) == [1])
        #expect(try seqs(.active, two) == [])
        #expect(try reader.jobs(state: nil, list: one, after: JobSeq(1), limit: 1).next == JobSeq(2))
        #expect(try reader.list(newestNamed: "two.txt")?.id == two)
        #expect(try reader.lists(after: one, limit: 10, state: .running).rows.map(\.id) == [two])
        #expect(
            try reader.hosts(after: nil, limit: 10).rows.map(\.host.rawValue) == ["example.org", "z.net"])
        #expect(try reader.host(HostKey("z.net"))?.counts.queued == 1)
        try reader.close()
        try store.close()
    }

    @Test func `a page looks at 10,000 rows and says where to go on`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        for batch in 0..<21 {
            try store.admit(list, (1...500).map { download(Int64(batch * 500 + $0), "f\($0)") })
        }
        try store.apply(.ended(JobSeq(10_400), failed()))
        let reader = try LedgerReader.open(path: scratch.ledger, cipher: store.cipher)
        let first = try reader.jobs(state: .failed, list: list, after: nil, limit: 10)
        #expect(first.rows.isEmpty)
        #expect(first.next == JobSeq(10_000))
        let second = try reader.jobs(state: .failed, list: list, after: first.next, limit: 10)
        #expect(second.rows.map(\.record.seq) == [JobSeq(10_400)])
        #expect(second.next == nil)
        try reader.close()
        try store.close()
    }

    @Test func `a page from the end of a long list costs no more than its first`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        for batch in 0..<20 {
            try store.admit(list, (1...500).map { download(Int64(batch * 500 + $0), "f\($0)") })
        }
        try store.close()
        func steps(after seq: Int64) throws -> Int {
            var sql = "SELECT j.seq FROM \(SpanPages.jobs) WHERE \(SpanPages.condition) LIMIT 100"
            for value in SpanPages.values(list, JobSeq(seq)) {
                sql.replaceSubrange(try #require(sql.firstRange(of: "?")), with: "\(value)")
            }
            let script = scratch.directory + "/page.sql"
            try ".stats on\n\(sql);\n".write(toFile: script, atomically: false, encoding: .utf8)
            let shown = try scratch.shell(".read '\(script)'")
            let line = try #require(shown.last { $0.hasPrefix("Virtual Machine Steps:") })
            return try #require(line.split(separator: " ").last.flatMap { Int($0) })
        }
        let first = try steps(after: 0)
        #expect(first > 0)
        #expect(try steps(after: 9900) <= first + 100)
    }

    @Test func `a reader cannot write and its absence of a file is an error`() throws {
        let scratch = try Scratch()
        let error = #expect(throws: LedgerError.self) {
            try LedgerReader.open(path: scratch.ledger, cipher: JobIDCipher(key: 1))
        }
        #expect(error?.code == .cannotOpen)
    }
}
