// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Ledger

@Suite struct ClaimTests {
    private let u = "https://example.org/a"

    @Test func `the same URL for the same path is a duplicate of the live job, another URL finds it taken`()
        throws
    {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a"), download(2, "a"), download(3, "b", path: "a")])
        #expect(try store.claim(1, "a", u) == .granted(known: nil))
        #expect(try store.claim(1, "a", u) == .granted(known: nil))
        #expect(try store.claim(2, "a", u) == .duplicate(of: JobSeq(1), ended: nil))
        #expect(try store.claim(3, "a", "https://example.org/b") == .taken(by: JobSeq(1)))
        try store.close()
    }

    @Test func `a job that was admitted before its twin ended is a duplicate of it`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a"), download(2, "a")])
        _ = try store.claim(1, "a", u)
        let outcome = done("a", at: at(10))
        try store.apply(.ended(JobSeq(1), outcome))
        #expect(try store.claim(2, "a", u) == .duplicate(of: JobSeq(1), ended: outcome))
        try store.close()
    }

    @Test func `a job admitted after the file was published is granted and told what is there`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a")])
        _ = try store.claim(1, "a", u)
        var outcome = done("a", bytes: 42, at: at(-10))
        outcome.etag = "\"v1\""
        outcome.digest = Checksum("md5:0123456789abcdef0123456789abcdef")
        try store.apply(.ended(JobSeq(1), outcome))
        _ = try store.running([download(2, "a")], named: "b.txt")
        guard case .granted(let known?) = try store.claim(2, "a", u) else {
            Issue.record("not granted")
            return
        }
        #expect(known.size == 42)
        #expect(known.etag == "\"v1\"")
        #expect(known.digest == outcome.digest)
        #expect(known.publishedAt == at(-10))
        // Unchanged: a 304 keeps what it does not repeat.
        var unchanged = done("a", bytes: 42, at: at(20))
        unchanged.flags = [.unchanged]
        try store.apply(.ended(JobSeq(2), unchanged))
        #expect(try store.file(at: OutputPath(trusted: "a"))?.etag == "\"v1\"")
        try store.close()
    }

    @Test func `a retried job is no duplicate of its own past, or of its twin's`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a"), download(2, "a"), download(3, "c")])
        _ = try store.claim(1, "a", u)
        try store.apply(.ended(JobSeq(1), failed(at: at(10))))
        try store.apply(.ended(JobSeq(2), failed(at: at(10))))
        let verdict = try store.group { () throws(LedgerError) in try store.retry(JobSeq(2), now: at(10)) }
        #expect(verdict == .changed(from: .failed))
        #expect(try store.claim(2, "a", u).isGranted)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `numbers for a taken name count up and the numbered path is a claim of its own`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a"), download(2, "b", path: "a"), download(3, "b", path: "a.1")])
        _ = try store.claim(1, "a", u)
        let path = OutputPath(trusted: "a")
        let numbers = try store.group { () throws(LedgerError) in
            [try store.nextSuffix(for: path), try store.nextSuffix(for: path)]
        }
        #expect(numbers == [1, 2])
        #expect(try store.claim(2, "a.1", "https://example.org/b").isGranted)
        #expect(try store.claim(3, "a.1", "other") == .taken(by: JobSeq(2)))
        // A third name gives the second back, the job's own stays.
        #expect(try store.claim(2, "a.2", "https://example.org/b").isGranted)
        #expect(try store.claim(3, "a.1", "other").isGranted)
        #expect(try store.claim(2, "a", "https://example.org/b") == .taken(by: JobSeq(1)))
        for seq in 1...3 { try store.apply(.ended(JobSeq(Int64(seq)), done("x\(seq)"))) }
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `paths are bytes: two spellings of a letter are two files`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "\u{E9}"), download(2, "e\u{301}")])
        #expect(try store.claim(1, "\u{E9}", u).isGranted)
        #expect(try store.claim(2, "e\u{301}", u).isGranted)
        try store.close()
    }

    @Test func `a cancelled job gives its path back`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a"), download(2, "b", path: "a")])
        _ = try store.claim(1, "a", u)
        let verdict = try store.group { () throws(LedgerError) in try store.cancel(JobSeq(1), now: at(5)) }
        #expect(verdict == .changed(from: .queued))
        #expect(try store.claim(2, "a", "https://example.org/b").isGranted)
        let record = try store.results(of: list, after: nil, limit: 1).records[0]
        #expect(record.outcome?.error?.code == .cancelled)
        #expect(record.outcome?.timings.total == 5_000_000)
        #expect(try store.audit().isEmpty)
        try store.close()
    }
}
