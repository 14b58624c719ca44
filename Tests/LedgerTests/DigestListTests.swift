// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import Testing

/// Entries that wait for a list of digests: their gate, its opening, and what becomes of those it does not name.
@Suite struct DigestListTests {
    private static let source = DownloadURL(
        text: "https://sums.example/SHA256SUMS", scheme: "https", host: HostKey("sums.example"))

    private func sha(_ digit: Character) -> Checksum {
        Checksum(
            algorithm: .sha256,
            bytes: [UInt8](repeating: UInt8(ascii: digit.unicodeScalars.first ?? "0"), count: 32))
    }
    private func gated(_ seq: Int64, _ name: String, source: DownloadURL = source) -> AdmittedEntry {
        var entry = download(seq, name)
        entry.digestList = DigestListWish(source: .url(source), checksum: nil, options: JobOptions())
        return entry
    }
    private func errands(_ store: LedgerStore) throws -> [QueuedJob] {
        try store.queuedJobs(DigestErrand.list)
    }
    private func take(
        _ store: LedgerStore, _ id: DigestListID, _ lines: [(String, Checksum)], first: Bool = true
    ) throws {
        let batch = DigestBatch(
            id: id, isFirst: first, lines: lines.map { DigestBatch.Line(name: $0.0, checksum: $0.1) })
        try store.group { () throws(LedgerError) in try store.take(batch) }
    }
    /// Everything that is due is done.
    private func work(_ store: LedgerStore, limit: Int = 2) throws {
        var works = store.takeDigestNews().works
        for _ in 0..<100 where !works.isEmpty {
            let isDone = try store.group { () throws(LedgerError) in
                switch works[0] {
                case .open(let id): try store.openSlice(id, limit: limit, now: t0).isComplete
                case .drop(let id): try store.dropSlice(id, limit: limit)
                }
            }
            if isDone { works.removeFirst() }
            works += store.takeDigestNews().works
        }
        #expect(works.isEmpty)
    }
    private func end(_ store: LedgerStore, _ errand: QueuedJob, _ state: JobState = .done) throws {
        try end(store, errand.seq, state)
    }
    private func end(_ store: LedgerStore, _ errand: JobSeq, _ state: JobState) throws {
        var outcome = Outcome(state: state, endedAt: t0)
        if state == .failed { outcome.error = JobError(.http(404), "gone") }
        try store.apply(.active(errand, attempts: 1, startedAt: t0), .ended(errand, outcome))
    }

    @Test func `entries wait for their list, each list is fetched once, and then they have their digests`()
        throws
    {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([gated(1, "a"), gated(2, "d/b"), download(3, "c"), gated(4, "x")])
        #expect(try store.queuedJobs(list).map(\.seq) == [JobSeq(3)])
        let all = try errands(store)
        let errand = try #require(all.first)
        #expect(all.count == 1)
        #expect(errand.work == .download(urls: [Self.source], path: OutputPath(trusted: ".dld/checksums/1")))
        #expect(errand.errand == DigestErrand(id: DigestListID(rawValue: 1), file: nil))
        #expect(store.takeDigestNews().hasErrands)
        #expect(try store.audit().isEmpty)
        let id = DigestListID(rawValue: 1)
        try take(store, id, [("a", sha("1")), ("d/b", sha("2")), ("spare", sha("4"))])
        try take(store, id, [("b", sha("3")), ("a", sha("9"))], first: false)
        try end(store, errand)
        try work(store)
        let jobs = try store.queuedJobs(list)
        #expect(jobs.map(\.seq) == [JobSeq(1), JobSeq(2), JobSeq(3)])
        #expect(jobs.map(\.options.checksum) == [sha("1"), sha("2"), nil])
        let row = try #require(try store.list(list))
        #expect(row.counts.queued == 3 && row.counts.failed == 1)
        let results = try store.results(of: list, after: nil, limit: 10).records
        #expect(results.count == 4)
        #expect(results[3].outcome?.error?.code == .digestMissing)
        #expect(results[3].outcome?.error?.message == "x is not named in https://sums.example/SHA256SUMS")
        let notes = try store.digestNotes(of: list)
        #expect(notes == ["2 names of https://sums.example/SHA256SUMS match no entry: b, spare"])
        #expect(try store.audit().isEmpty)
    }

    @Test func `the stronger of two digests counts, whatever their order`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([gated(1, "a"), gated(2, "b")])
        let md5 = Checksum(algorithm: .md5, bytes: [UInt8](repeating: 7, count: 16))
        try take(
            store, DigestListID(rawValue: 1), [("a", md5), ("a", sha("1")), ("b", sha("2")), ("b", md5)])
        try end(store, try #require(try errands(store).first))
        try work(store)
        #expect(try store.queuedJobs(list).map(\.options.checksum) == [sha("1"), sha("2")])
    }

    @Test func `a digest alone is that of every entry of the list`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([gated(1, "a")])
        try take(store, DigestListID(rawValue: 1), [("", sha("1"))])
        try end(store, try #require(try errands(store).first))
        try work(store)
        #expect(try store.queuedJobs(list).map(\.options.checksum) == [sha("1")])
    }

    @Test func `entries fail with the list they wait for, and a retry fetches it again`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([gated(1, "a"), gated(2, "b"), download(3, "c")])
        try end(store, try #require(try errands(store).first), .failed)
        try work(store)
        #expect(try store.list(list)?.counts.failed == 2)
        let record = try #require(try store.results(of: list, after: nil, limit: 1).records.first)
        #expect(
            record.outcome?.error?.message
                == "the list of digests https://sums.example/SHA256SUMS: http_404: gone")
        #expect(try errands(store).isEmpty)
        _ = try store.group { () throws(LedgerError) in try store.retry(JobSeq(1), now: t0) }
        #expect(store.takeDigestNews().hasErrands)
        #expect(try store.queuedJobs(list).map(\.seq) == [JobSeq(3)])
        let again = try #require(try errands(store).first)
        try take(store, DigestListID(rawValue: 1), [("a", sha("1"))])
        try end(store, again)
        try work(store)
        #expect(try store.queuedJobs(list).map(\.seq) == [JobSeq(1), JobSeq(3)])
        #expect(try store.audit().isEmpty)
    }

    @Test func `a list that is paused fetches no list of digests before it is resumed`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.list(named: "a.txt").id
        _ = try store.admit(list, [gated(1, "a")])
        #expect(try store.errands(of: list).map(\.seq) == [JobSeq(-1)])
        try store.group { () throws(LedgerError) in try store.set(list: list, paused: true) }
        let verdict = try store.group { () throws(LedgerError) in try store.pause(JobSeq(-1), now: t0) }
        #expect(verdict == .changed(from: .queued))
        // Named by an entry that comes in meanwhile.
        let other = DownloadURL(
            text: "https://sums.example/B", scheme: "https", host: HostKey("sums.example"))
        _ = try store.admit(list, [gated(2, "b", source: other)])
        #expect(try store.errands(of: list).map(\.seq) == [JobSeq(-1), JobSeq(-2)])
        #expect(try errands(store).isEmpty)
        #expect(try store.audit().isEmpty)
        // One that had failed is wanted again by a retry.
        try end(store, JobSeq(-2), .failed)
        try work(store)
        #expect(try store.errands(of: list).map(\.seq) == [JobSeq(-1)])
        _ = try store.group { () throws(LedgerError) in try store.retry(JobSeq(2), now: t0) }
        #expect(try errands(store).isEmpty)
        try store.group { () throws(LedgerError) in
            try store.set(list: list, paused: false)
            for errand in try store.errands(of: list) { _ = try store.resume(errand.seq, now: t0) }
        }
        #expect(try errands(store).map(\.seq).sorted() == [JobSeq(-2), JobSeq(-1)])
        #expect(try store.audit().isEmpty)
    }

    @Test
    func `a stop between two slices loses nothing, and lines of a reading that was cut off do not count`()
        throws
    {
        let scratch = try Scratch()
        var store = try scratch.open()
        let list = try store.running((1...5).map { gated($0, "f\($0)") })
        try take(store, DigestListID(rawValue: 1), [("f1", sha("8")), ("f9", sha("9"))])
        try store.close()
        store = try scratch.open()
        try take(store, DigestListID(rawValue: 1), (1...5).map { ("f\($0)", sha("1")) })
        try end(store, try #require(try errands(store).first))
        _ = try store.group { () throws(LedgerError) in
            try store.openSlice(DigestListID(rawValue: 1), limit: 2, now: t0)
        }
        #expect(try store.queuedJobs(list).count == 2)
        try store.close()
        store = try scratch.open()
        #expect(try store.openDigestWorks() == [.open(DigestListID(rawValue: 1))])
        _ = try store.group { () throws(LedgerError) in
            try store.openSlice(DigestListID(rawValue: 1), limit: 9, now: t0)
        }
        #expect(try store.queuedJobs(list).allSatisfy { $0.options.checksum == sha("1") })
        #expect(try store.queuedJobs(list).count == 5)
        #expect(try store.openDigestWorks().isEmpty)
        #expect(try store.digestNotes(of: list).isEmpty)
    }

    @Test func `cancelled entries leave their gate, and with the list's end all of it goes`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running((1...5).map { gated($0, "f\($0)") })
        try take(store, DigestListID(rawValue: 1), (1...5).map { ("f\($0)", sha("1")) })
        let slice = try store.group { () throws(LedgerError) in
            try store.cancelSlice(list: list, limit: 9, now: t0)
        }
        #expect(slice.changed == 5 && slice.isComplete)
        try store.group { () throws(LedgerError) in try store.close(list, finalName: "a.txt", now: t0) }
        try work(store)
        #expect(try errands(store).isEmpty)
        let left =
            "SELECT (SELECT count(*) FROM digest_line), (SELECT count(*) FROM digest_list), "
            + "(SELECT count(*) FROM job WHERE seq < 0), (SELECT n_queued + n_done FROM total)"
        #expect(try scratch.shell(left) == ["0|0|0|0"])
        #expect(try store.audit().isEmpty)
    }
}
