// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Ledger

@Suite struct AdmissionTests {
    @Test func `a batch sent twice goes in once`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        let batch = AdmissionBatch(
            list: list, from: ListPosition(), to: ListPosition(offset: 20, line: 2, entries: 2),
            defaults: nil,
            entries: [download(1, "a"), download(2, "b")])
        func send() throws -> AdmitResult {
            try store.group { () throws(LedgerError) in try store.admit(batch, now: t0) }
        }
        #expect(try send().isApplied)
        let again = try send()
        #expect(!again.isApplied)
        #expect(again.position == batch.to)
        #expect(try store.list(list)?.counts.queued == 2)
        #expect(store.nextSeq == JobSeq(3))
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `what was admitted comes back whole`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        var defaults = JobOptions()
        defaults.userAgent = "default"
        defaults.headers = [HeaderField(name: "X-A", value: "1")]
        var options = JobOptions()
        options.id = "mine"
        options.retryDelaySeconds = 1.5
        options.headers = [HeaderField(name: "X-B", value: "2")]
        options.checksum = Checksum("md5:0123456789abcdef0123456789abcdef")
        let urls = [url("https://a.org/x?y=1"), url("ftp://b.net:2121/x", host: "b.net:2121")]
        let mirrors = [urls[0], DownloadURL(text: urls[1].text, scheme: "ftp", host: urls[1].host)]
        let entry = AdmittedEntry(
            seq: JobSeq(1), line: 7, kind: .download(urls: mirrors, path: OutputPath(trusted: "d/é/x")),
            options: SharedOptions(options), gid: JobID("00000000000000ff"), priority: 3)
        let sum = AdmittedEntry(
            seq: JobSeq(2), line: 9, kind: .sum(SumRange(from: 1, to: .max)), options: .none)
        try store.admit(list, [entry, sum], defaults: defaults)
        let jobs = try store.queuedJobs(list)
        let job = try #require(jobs.first { $0.seq == JobSeq(1) })
        #expect(job.work == .download(urls: mirrors, path: OutputPath(trusted: "d/é/x")))
        #expect(job.options == options.over(defaults))
        #expect(job.id.description == "00000000000000ff")
        #expect(job.rank == -3)
        #expect(job.line == 7)
        #expect(jobs.first { $0.seq == JobSeq(2) }?.work == .sum(SumRange(from: 1, to: .max)))
        #expect(try store.seq(of: job.id) == JobSeq(1))
        #expect(try store.seq(of: store.cipher.id(of: JobSeq(2))) == JobSeq(2))
        #expect(try store.seq(of: store.cipher.id(of: JobSeq(3))) == nil)
        #expect(try store.list(list)?.defaults == defaults)
        try store.close()
    }

    @Test func `a bad line goes in as a failed job without an id`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let bad = AdmittedEntry(
            seq: JobSeq(1), line: 1, kind: .bad(JobError(.badURL, "no scheme")), options: .none)
        let list = try store.running([bad, download(2, "a", paused: true)])
        let records = try store.results(of: list, after: nil, limit: 10).records
        #expect(records.map(\.state) == [.failed, .paused])
        #expect(records[0].kind == .badLine)
        #expect(records[0].job == nil)
        #expect(records[0].outcome?.error == JobError(.badURL, "no scheme"))
        #expect(
            try store.group { () throws(LedgerError) in try store.retry(JobSeq(1), now: t0) }
                != .unchanged(.failed))
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `a gid held by a live job is a bad line, one of an ended job is not given again`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let gid = JobID("deadbeefdeadbeef")
        let list = try store.list().id
        let first = try store.admit(list, [download(1, "a", gid: gid), download(2, "b", gid: gid)])
        #expect(first.gidConflicts == 1)
        try store.apply(.ended(JobSeq(1), done()))
        #expect(try store.admit(list, [download(3, "c", gid: gid)]).gidConflicts == 0)
        let records = try store.results(of: list, after: nil, limit: 10).records
        #expect(records[0].job == gid)
        #expect(records[1].kind == .badLine)
        #expect(records[2].job == store.cipher.id(of: JobSeq(3)))
        try store.close()
    }

    @Test func `a list without a good entry is rejected and its rows go`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        try store.admit(
            list,
            (1...50).map {
                AdmittedEntry(
                    seq: JobSeq($0), line: Int($0), kind: .bad(JobError(.badLine, "x")), options: .none
                )
            })
        try store.group { () throws(LedgerError) in try store.reject(list, reason: "nothing good", now: t0) }
        let slice = try store.group { () throws(LedgerError) in try store.removeSlice(list: list, limit: 100)
        }
        #expect(slice == Slice(changed: 50, isComplete: true))
        let row = try #require(try store.list(list))
        #expect(row.state == .rejected)
        #expect(row.counts.total == 0)
        #expect(try store.totals().total == 0)
        #expect(try store.openLists().isEmpty)
        #expect(store.nextSeq == JobSeq(51))
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `entries of a list cancelled during its admission go in as cancelled`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        try store.admit(list, [download(1, "a")])
        let slice = try store.group { () throws(LedgerError) in
            try store.cancelSlice(list: list, limit: 10, now: t0)
        }
        #expect(slice == Slice(changed: 1, isComplete: true))
        try store.admit(list, [download(2, "b")])
        #expect(try store.list(list)?.counts.cancelled == 2)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `the id goes before the extension`() {
        #expect(LedgerStore.numberedName("hourly.txt", ListID(4711)) == "hourly.4711.txt")
        #expect(LedgerStore.numberedName("a.b.jsonl.gz", ListID(2)) == "a.b.2.jsonl.gz")
        #expect(LedgerStore.numberedName("plain", ListID(2)) == "plain.2")
        #expect(LedgerStore.numberedName("x.gz", ListID(2)) == "x.2.gz")
    }

    @Test func `a group that fails leaves nothing, in the file or in memory`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list().id
        let batch = AdmissionBatch(
            list: list, from: ListPosition(), to: ListPosition(offset: 1, line: 1, entries: 1), defaults: nil,
            entries: [download(1, "a", host: "new.host")])
        #expect(throws: LedgerError.self) {
            try store.group { () throws(LedgerError) in
                _ = try store.admit(batch, now: t0)
                throw LedgerError(.io, file: "x", message: "y")
            }
        }
        #expect(store.nextSeq == JobSeq(1))
        #expect(try store.host(HostKey("new.host")) == nil)
        let applied = try store.group { () throws(LedgerError) in try store.admit(batch, now: t0) }
        #expect(applied.isApplied)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `an error a caller swallows still undoes the group`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        #expect(throws: LedgerError.self) {
            try store.group { () throws(LedgerError) in
                try store.set(list: ListID(1), paused: true)
                do { _ = try store.claim(JobSeq(9), path: OutputPath(trusted: "p"), url: "u") } catch {}
            }
        }
        try store.close()
    }
}
