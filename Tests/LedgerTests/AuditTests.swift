// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import Testing

@Suite struct AuditTests {
    private let scratch: Scratch
    private let store: LedgerStore
    private let reader: LedgerReader
    private let list: ListID

    /// Five published files and a failed job.
    init() throws {
        scratch = try Scratch()
        store = try scratch.open()
        list = try store.running([
            download(1, "a/1"), download(2, "a/2"), download(3, "a-b"), download(4, "b"), download(5, "c"),
            download(6, "gone"),
        ])
        for (seq, path) in [(1, "a/1"), (2, "a/2"), (3, "a-b"), (4, "b"), (5, "c")] {
            try store.publish(Int64(seq), path)
        }
        _ = try store.claim(6, "gone", "u")
        try store.apply(.ended(JobSeq(6), failed()))
        reader = try LedgerReader.open(path: scratch.ledger, cipher: store.cipher)
    }

    private func walk(_ scope: AuditScope, limit: Int) throws -> [String] {
        var paths: [String] = []
        var cursor: AuditCursor?
        while true {
            let slice = try reader.slice(of: scope, after: cursor, limit: limit)
            #expect(slice.entries.count <= limit)
            paths += slice.entries.map { $0.record.path.description }
            guard let next = slice.next else { return paths }
            cursor = next
        }
    }

    @Test(arguments: [1, 2, 3, 100])
    func `slices of any size come by every published file once`(limit: Int) throws {
        #expect(try walk(.all, limit: limit) == ["a-b", "a/1", "a/2", "b", "c"])
        #expect(try walk(.list(list), limit: limit) == ["a/1", "a/2", "a-b", "b", "c"])
        let paths = try AuditScope.paths(["a", "c", "nothing"], output: "/o")
        #expect(try walk(paths, limit: limit) == ["a/1", "a/2", "c"])
        #expect(try walk(.list(ListID(99)), limit: limit) == [])
        for scope in [.all, .list(list), paths] {
            var (files, bytes) = (0, Int64(0))
            var cursor: AuditCursor?
            repeat {
                let sizes = try reader.sizes(of: scope, after: cursor, limit: limit)
                files += sizes.files
                bytes += sizes.bytes
                cursor = sizes.next
            } while cursor != nil
            #expect(files == (scope == paths ? 3 : 5) && bytes == Int64(files) * 100)
        }
    }

    @Test func `a file that a job is about to rename over is left out`() throws {
        let again = try store.running([download(7, "b")], named: "again.txt")
        _ = try store.claim(7, "b", "https://example.org/another")
        try store.apply(
            .active(JobSeq(7), attempts: 1, startedAt: t0),
            .publishing(
                JobSeq(7), part: "p", path: OutputPath(trusted: "b"), device: 1, inode: 2, size: 3,
                outcome: done("b")))
        #expect(try walk(.all, limit: 100) == ["a-b", "a/1", "a/2", "c"])
        #expect(try reader.published(at: OutputPath(trusted: "b"))?.isBeingReplaced == true)
        withExtendedLifetime(again) {}
    }

    private func make(_ options: AuditOptions = AuditOptions()) throws -> AuditID {
        try store.group { () throws(LedgerError) in try store.makeAudit(.all, options, now: t0).id }
    }
    private func note(_ progress: AuditProgress, at time: WallTime) throws {
        try store.group { () throws(LedgerError) in try store.note(progress, now: time) }
    }

    @Test func `a step is stored whole, and the next start goes on behind it`() throws {
        let id = try make(AuditOptions(repairs: true, listsAll: true))
        try store.group { () throws(LedgerError) in
            try store.begin(id, filesTotal: 5, bytesTotal: 500, now: at(1))
        }
        var progress = AuditProgress(id: id, resultBytes: 77)
        let digest = Checksum(algorithm: .crc32c, bytes: [1, 2, 3, 4])
        for (path, verdict) in [("a-b", AuditVerdict.fine), ("a/1", .missing)] {
            progress.counts[verdict] += 1
            progress.files.append(
                .init(
                    path: OutputPath(trusted: path), publishedAt: t0, verdict: verdict,
                    digest: verdict == .fine ? digest : nil))
        }
        progress.bytes = 200
        progress.cursor = .path(OutputPath(trusted: "a/1"))
        try note(progress, at: at(5))
        let row = try #require(try reader.openAudits().next)
        #expect(row.id == id && row.state == .running && row.options.repairs && row.options.listsAll)
        #expect(row.cursor == progress.cursor && row.bytes == 200 && row.resultBytes == 77)
        #expect(
            row.counts[.fine] == 1 && row.counts.bad == 1 && row.filesTotal == 5 && row.startedAt == at(1))
        #expect(
            try scratch.shell("SELECT path, verdict, digest FROM files WHERE verified NOT NULL ORDER BY path")
                == ["a-b|fine|\(digest)", "a/1|missing|"])
        try store.group { () throws(LedgerError) in
            try store.finish(id, repairs: ("verify.jsonl", 1), now: at(9))
        }
        // After its end nothing is changed any more.
        try note(progress, at: at(10))
        let ended = try #require(try reader.audit(id))
        #expect(ended.state == .done && ended.counts.total == 2 && ended.repairList == "verify.jsonl")
        #expect(try reader.openAudits().next == nil)
    }

    @Test func `what an audit says of a file is forgotten when it is published anew`() throws {
        let id = try make()
        var progress = AuditProgress(id: id, resultBytes: 0)
        progress.files = [
            .init(path: OutputPath(trusted: "b"), publishedAt: t0, verdict: .changed, digest: nil),
            // Looked at before it was published as it is now.
            .init(path: OutputPath(trusted: "c"), publishedAt: at(-5), verdict: .changed, digest: nil),
        ]
        try note(progress, at: at(1))
        #expect(try scratch.shell("SELECT path FROM file WHERE verdict = 2") == ["b"])
        _ = try store.running([download(7, "b")], named: "again.txt")
        try store.publish(7, "b")
        #expect(
            try scratch.shell("SELECT count(*) FROM file WHERE verdict = 2 OR verified_at NOT NULL") == ["0"])
    }

    @Test func `audits take turns by age, paused ones let others go first`() throws {
        let (first, second) = (try make(), try make())
        #expect(try reader.openAudits().next?.id == first)
        try store.group { () throws(LedgerError) in try store.set(first, paused: true) }
        let open = try reader.openAudits()
        #expect(open.next?.id == second && open.open == 2)
        try store.group { () throws(LedgerError) in try store.cancel(second, now: t0) }
        try store.group { () throws(LedgerError) in try store.set(first, paused: false) }
        #expect(try reader.openAudits().next?.id == first)
        #expect(try reader.audits(after: nil, limit: 10).rows.map(\.state) == [.queued, .cancelled])
    }

    @Test func `only the newest ended audits are kept, open ones always`() throws {
        let kept = try make()
        for _ in 0..<LedgerStore.auditsKept + 3 {
            let id = try make()
            try store.group { () throws(LedgerError) in try store.cancel(id, now: t0) }
        }
        let gone = try store.group { () throws(LedgerError) in try store.forgetOldAudits() }
        #expect(gone.count == 3 && !gone.contains(kept))
        #expect(try reader.audit(kept) != nil && reader.audit(gone[0]) == nil)
    }

    @Test func `an audit's paths survive being stored`() throws {
        let scope = try AuditScope.paths(["a \"quoted\"/ü", "b"], output: "/o")
        let id = try store.group { () throws(LedgerError) in
            try store.makeAudit(scope, AuditOptions(), now: t0).id
        }
        #expect(try reader.audit(id)?.scope == scope)
        let listed = try store.group { () throws(LedgerError) in
            try store.makeAudit(.list(ListID(12)), AuditOptions(recordsDigests: true), now: t0).id
        }
        var progress = AuditProgress(id: listed, resultBytes: 0)
        progress.cursor = .job(JobSeq(44))
        try note(progress, at: t0)
        #expect(try reader.audit(listed)?.cursor == .job(JobSeq(44)))
        #expect(try reader.audit(listed)?.scope == .list(ListID(12)))
    }
}

extension LedgerStore {
    fileprivate func publish(_ seq: Int64, _ path: String) throws {
        _ = try claim(seq, path, "https://example.org/\(path)")
        try apply(.active(JobSeq(seq), attempts: 1, startedAt: t0), .ended(JobSeq(seq), done(path)))
    }
}
