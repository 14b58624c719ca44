// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Ledger

private func resume(_ part: String, bytes: Int64 = 5) -> ResumePoint {
    ResumePoint(
        url: "https://example.org/a", bytes: bytes, total: 10, etag: "\"x\"", lastModified: nil, device: 1,
        inode: 3, part: part)
}

private let names = (1...9).map { "000000000000000\($0).part" }

extension LedgerStore {
    fileprivate func takeOver(_ list: ListID) throws -> ResumePoint? {
        let job = try #require(try queuedJobs(list).first)
        return try group { () throws(LedgerError) in try takeOverPart(job) }
    }
    fileprivate func expire(before time: WallTime, limit: Int = 100) throws -> [String] {
        try group { () throws(LedgerError) in try expireParts(endedBefore: time, limit: limit).map(\.name) }
    }
}

@Suite struct KeptPartTests {
    @Test func `a checkpoint counts for an active job only`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a")])
        try store.apply(.checkpoint(JobSeq(1), fetchedBytes: 7, resume: resume(names[0])))
        #expect(try store.queuedJobs(list).first?.resume == nil)
        try store.apply(
            .active(JobSeq(1), attempts: 1, startedAt: t0),
            .checkpoint(JobSeq(1), fetchedBytes: 7, resume: resume(names[0])))
        // As after kill -9.
        _ = try store.group { () throws(LedgerError) in try store.recover(now: at(1)) }
        let job = try #require(try store.queuedJobs(list).first)
        #expect(job.resume == resume(names[0]))
        #expect(job.fetchedBytes == 7)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `what a failed job left is taken over once, by the same URL and path`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a")], named: "one.txt")
        try store.apply(
            .active(JobSeq(1), attempts: 1, startedAt: t0),
            .checkpoint(JobSeq(1), fetchedBytes: 7, resume: resume(names[0])),
            .ended(JobSeq(1), failed(.truncated)))
        #expect(try store.knows(part: names[0]))
        let other = try store.running([download(2, "b")], named: "two.txt")
        #expect(try store.takeOver(other) == nil)
        let same = try store.running([download(3, "a")], named: "three.txt")
        #expect(try store.takeOver(same) == resume(names[0]))
        #expect(try store.queuedJobs(same).first?.resume == resume(names[0]))
        #expect(try store.knows(part: names[0]))
        let later = try store.running([download(4, "a")], named: "four.txt")
        #expect(try store.takeOver(later) == nil)
        #expect(try scratch.shell("SELECT count(*) FROM part") == ["0"])
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `of jobs that were cancelled or had the wrong bytes nothing is taken over`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let ends = [
            failed(.tooLarge), failed(.digestMismatch), failed(.badLength),
            Outcome(state: .cancelled, endedAt: t0),
        ]
        for (index, outcome) in ends.enumerated() {
            let seq = JobSeq(Int64(index + 1))
            _ = try store.running([download(Int64(index + 1), "a")], named: "\(index).txt")
            try store.apply(
                .active(seq, attempts: 1, startedAt: t0),
                .checkpoint(seq, fetchedBytes: 7, resume: resume(names[index])), .ended(seq, outcome))
        }
        let later = try store.running([download(9, "a")], named: "later.txt")
        #expect(try store.takeOver(later) == nil)
        // They go with the next look, however young they are.
        #expect(try store.expire(before: WallTime(milliseconds: 1)).sorted() == Array(names[..<4]))
        #expect(try !store.knows(part: names[0]))
        try store.close()
    }

    @Test func `kept parts go by age, in batches`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running((1...5).map { download(Int64($0), "f\($0)") })
        for number in 1...5 {
            let seq = JobSeq(Int64(number))
            try store.apply(
                .active(seq, attempts: 1, startedAt: t0),
                .checkpoint(seq, fetchedBytes: 7, resume: resume(names[number - 1])),
                .ended(seq, failed(.truncated, at: at(Int64(number * 100)))))
        }
        #expect(try store.expire(before: at(100)).isEmpty)
        #expect(try store.expire(before: at(400), limit: 2) == [names[0], names[1]])
        #expect(try store.expire(before: at(400), limit: 2) == [names[2]])
        #expect(try store.knows(part: names[4]))
        #expect(try store.expire(before: at(10_000)) == [names[3], names[4]])
        #expect(try store.expire(before: at(10_000)).isEmpty)
        try store.close()
    }

    @Test func `a job that fails while it rests leaves its part too`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a")])
        try store.apply(.active(JobSeq(1), attempts: 1, startedAt: t0))
        try store.apply(
            .waiting(
                JobSeq(1), due: at(500), attempts: 1, fetchedBytes: 5, waited: 7,
                error: JobError(.stalled, "no byte"), resume: resume(names[0])))
        try store.apply(.ended(JobSeq(1), failed(.hostUnavailable)))
        #expect(try store.knows(part: names[0]))
        let later = try store.running([download(2, "a")], named: "later.txt")
        #expect(try store.takeOver(later) == resume(names[0]))
        try store.close()
    }

    @Test func `a host that lied is remembered over a restart, also one that no list names`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running([download(1, "a", host: "known.example")])
        for host in ["known.example", "cdn.example"] {
            try store.group { () throws(LedgerError) in
                try store.note(liesAboutRanges: true, host: HostKey(host))
            }
        }
        try store.close()
        let again = try scratch.open()
        let liars = try again.hostsLyingAboutRanges(limit: 10).map(\.rawValue).sorted()
        #expect(liars == ["cdn.example", "known.example"])
        try again.group { () throws(LedgerError) in
            try again.note(liesAboutRanges: false, host: HostKey("cdn.example"))
        }
        #expect(try again.hostsLyingAboutRanges(limit: 10) == [HostKey("known.example")])
        #expect(try again.audit().isEmpty)
        try again.close()
    }
}
