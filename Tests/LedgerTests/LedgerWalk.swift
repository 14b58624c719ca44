// SPDX-License-Identifier: Apache-2.0

import GRDB
import JobModel
import Testing

@testable import Ledger

/// Goes through everything that the ledger can be asked, so that each of its statements is prepared once.
struct LedgerWalk {
    let store: LedgerStore
    let reader: LedgerReader
    private let scratch: Scratch

    init(scratch: Scratch, seen: Seen) throws {
        self.scratch = scratch
        store = try scratch.open()
        try store.read { seen.listen($0) }
        reader = try LedgerReader.open(path: scratch.ledger, cipher: store.cipher)
        try reader.read { seen.listen($0) }
    }

    private func inGroup<T>(_ body: () throws(LedgerError) -> T) throws -> T { try store.group(body) }

    func run() throws {
        // What the opening asks, before anybody could listen.
        _ = try store.read { db in
            try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = ?", arguments: ["identity"])
        }
        _ = try store.read { try Int64.fetchOne($0, sql: "SELECT next_seq FROM total") }
        let list = try admit()
        store.caches = LedgerCaches()
        _ = try store.queuedJobs(list)
        try transfer(list)
        try commands(list)
        try hosts(list)
        try digests()
        try piecesAndMirrors()
        try audits(list)
        try questions(list)
        try endings(list)
    }

    private func admit() throws -> ListID {
        let list = try store.list(named: "walk.txt")
        try inGroup { () throws(LedgerError) in
            try store.setAcceptedName(list.id, "walk.txt")
            try store.noteReadmission(inode: 2, size: 3)
        }
        var entries = (1...20).map { download($0, "f\($0)", host: $0 < 15 ? "a.example" : "b.example") }
        entries.append(download(21, "gid", gid: JobID(rawValue: 77)))
        entries.append(download(22, "paused", paused: true))
        entries.append(
            AdmittedEntry(
                seq: JobSeq(23), line: 23, kind: .bad(JobError(.badLine, "no")), options: .none,
                gid: nil,
                priority: 0, startsPaused: false))
        entries.append(download(24, "again", gid: JobID(rawValue: 77)))
        try store.admit(list.id, entries, defaults: JobOptions())
        _ = try inGroup { () throws(LedgerError) in
            try store.finishAdmission(list.id, position: ListPosition(entries: entries.count))
        }
        return list.id
    }

    private func resume(_ part: String) -> ResumePoint {
        ResumePoint(
            url: "https://a.example/x", bytes: 5, total: 10, etag: "\"e\"", lastModified: nil, device: 1,
            inode: 2,
            part: part)
    }

    private func transfer(_ list: ListID) throws {
        for seq in [1, 2, 3, 4, 5, 6] as [Int64] {
            _ = try store.claim(seq, "f\(seq)", "https://a.example/f\(seq)")
            try store.apply(.active(JobSeq(seq), attempts: 1, startedAt: t0))
        }
        _ = try store.claim(7, "f1", "https://a.example/f1")
        _ = try inGroup { () throws(LedgerError) in try store.nextSuffix(for: OutputPath(trusted: "f1")) }
        _ = try store.claim(8, "f8.1", "u")
        _ = try store.claim(8, "f8.2", "u")
        try store.apply(.checkpoint(JobSeq(1), fetchedBytes: 5, resume: resume("one.part")))
        try store.apply(
            .publishing(
                JobSeq(1), part: "p", path: OutputPath(trusted: "f1"), device: 1, inode: 2, size: 3,
                outcome: done("f1")))
        try store.apply(.ended(JobSeq(1), done("f1")))
        _ = try store.claim(9, "f1", "https://a.example/f9")
        try store.apply(
            .publishing(
                JobSeq(2), part: "p", path: OutputPath(trusted: "f2"), device: 1, inode: 2, size: 3,
                outcome: done("f2")))
        try store.apply(.requeued(JobSeq(2), attempts: 1, fetchedBytes: 0, waited: 0, resume: nil))
        try store.apply(.checkpoint(JobSeq(3), fetchedBytes: 5, resume: resume("three.part")))
        try store.apply(.ended(JobSeq(3), failed(.http(500))))
        let error = JobError(.http(503), "later")
        try store.apply(
            .waiting(
                JobSeq(4), due: at(5), attempts: 1, fetchedBytes: 0, waited: 0, error: error, resume: nil))
        try store.apply(.paused(JobSeq(5), attempts: 1, fetchedBytes: 0, resume: nil))
        var unchanged = done("f6")
        unchanged.flags = [.unchanged]
        try store.apply(.ended(JobSeq(6), unchanged))
        let parts = try inGroup { () throws(LedgerError) in
            for job in try store.queued(
                in: LaneKey(list: list, host: HostID(rawValue: 1)), after: .start, limit: 5)
            {
                _ = try store.takeOverPart(job)
            }
            _ = try store.knows(part: "three.part")
            return try store.expireParts(endedBefore: at(99), limit: 10)
        }
        #expect(parts.count == 1)
        // One more is left to be taken over.
        try store.apply(.active(JobSeq(10), attempts: 1, startedAt: t0))
        try store.apply(.checkpoint(JobSeq(10), fetchedBytes: 5, resume: resume("ten.part")))
        try store.apply(.ended(JobSeq(10), failed(.http(500))))
        _ = try inGroup { () throws(LedgerError) in
            try store.retry(JobSeq(10), now: t0)
        }
        for job in try store.queuedJobs(list) where job.seq == JobSeq(10) {
            #expect(try inGroup { () throws(LedgerError) in try store.takeOverPart(job) } != nil)
        }
        _ = try inGroup { () throws(LedgerError) in
            _ = try store.releaseDue(now: at(9), limit: 5)
            return try store.recover(now: t0)
        }
        _ = try store.nextDue()
    }

    private func commands(_ list: ListID) throws {
        try inGroup { () throws(LedgerError) in
            _ = try store.pause(JobSeq(11), now: t0)
            _ = try store.resume(JobSeq(11), now: t0)
            _ = try store.cancel(JobSeq(11), now: t0)
            _ = try store.retry(JobSeq(11), now: t0)
            try store.set(list: list, paused: true)
            try store.set(list: list, paused: false)
            _ = try store.resumeSlice(list: list, limit: 5, now: t0)
            _ = try store.retrySlice(list: list, after: nil, limit: 5, now: t0)
            _ = try store.seq(of: JobID(rawValue: 77))
        }
        _ = try store.takeChangedLists()
        _ = try store.takeChangedHosts()
    }

    private func hosts(_ list: ListID) throws {
        let key = HostKey("b.example")
        try inGroup { () throws(LedgerError) in
            try store.hold(host: key, until: at(9), reason: "429")
            try store.note(liesAboutRanges: true, host: HostKey("liar.example"))
            guard let host = try store.host(key) else { return }
            try store.note(barren: .seconds(5), host: host.id)
            _ = try store.requeueWaiting(host: host.id, limit: 5, now: t0)
            _ = try store.giveUpSlice(
                host: host.id, error: JobError(.hostUnavailable, "gone"), limit: 1, now: t0)
            _ = try store.lanes(of: list, after: nil, limit: 5, now: t0)
            _ = try store.lane(of: JobSeq(11))
        }
        _ = try store.hostsLyingAboutRanges(limit: 5)
        _ = try store.heldHosts(now: t0, limit: 5)
        _ = try store.nextHoldEnd(after: t0)
    }

    private func piecesAndMirrors() throws {
        let bytes = [UInt8](repeating: 7, count: 60)
        let pieces = PieceHashes(algorithm: .sha1, length: 262_144, bytes: bytes)
        let url = DownloadURL(text: "http://p.example/f", scheme: "http", host: HostKey("p.example"))
        let other = DownloadURL(text: "http://q.example/f", scheme: "http", host: HostKey("q.example"))
        var options = JobOptions()
        options.pieces = pieces?.layout
        let entries = (201...202 as ClosedRange<Int64>).map { seq in
            var entry = AdmittedEntry(
                seq: JobSeq(seq), line: Int(seq),
                kind: .download(urls: [url, other], path: OutputPath(trusted: "p\(seq)")), options: SharedOptions(options))
            entry.pieces = pieces
            return entry
        }
        let list = try store.running(entries, named: "pieces.meta4")
        #expect(try store.pieces(of: JobSeq(201)) == pieces)
        try store.apply(.mirrored(JobSeq(201), host: HostKey("q.example"), record: MirrorRecord()))
        #expect(store.takeJoinedLanes().count == 1)
        _ = try inGroup { () throws(LedgerError) in
            if let host = try store.host(HostKey("p.example")) {
                _ = try store.giveUpSlice(
                    host: host.id, error: JobError(.hostUnavailable, "gone"), limit: 9, now: t0)
            }
            try store.dropPieces(of: JobSeq(201))
        }
        try store.apply(.ended(JobSeq(202), failed()))
        #expect(try store.results(of: list, after: nil, limit: 5).records.count == 2)
    }

    private func digests() throws {
        let source = DownloadURL(
            text: "https://sums.example/S", scheme: "https", host: HostKey("sums.example"))
        let entries = (101...104 as ClosedRange<Int64>).map { seq in
            var entry = download(seq, "d\(seq)")
            entry.digestList = DigestListWish(source: .url(source), checksum: nil, options: JobOptions())
            return entry
        }
        let list = try store.running(entries, named: "digests.txt")
        let id = DigestListID(rawValue: 1)
        let sum = Checksum(algorithm: .sha256, bytes: [UInt8](repeating: 1, count: 32))
        let lines = [("d101", sum), ("d101", sum), ("unknown", sum)].map {
            DigestBatch.Line(name: $0.0, checksum: $0.1)
        }
        try inGroup { () throws(LedgerError) in
            try store.take(DigestBatch(id: id, isFirst: true, lines: lines))
        }
        _ = try store.queuedJobs(DigestErrand.list)
        let errand = JobSeq(-1)
        #expect(try store.errands(of: list).map(\.seq) == [errand])
        try store.apply(
            .active(errand, attempts: 1, startedAt: t0), .ended(errand, Outcome(state: .done, endedAt: t0)))
        _ = try store.openDigestWorks()
        _ = try inGroup { () throws(LedgerError) in try store.openSlice(id, limit: 10, now: t0) }
        _ = try store.digestNotes(of: list)
        _ = try inGroup { () throws(LedgerError) in
            _ = try store.retry(JobSeq(102), now: t0)
            return try store.cancelSlice(list: list, limit: 10, now: t0)
        }
        try inGroup { () throws(LedgerError) in try store.close(list, finalName: "digests.txt", now: t0) }
        while try !inGroup({ () throws(LedgerError) in try store.dropSlice(id, limit: 10) }) {}
    }

    private func audits(_ list: ListID) throws {
        let path = OutputPath(trusted: "f1")
        for scope in [AuditScope.all, .list(list), .paths([path])] {
            let id = try inGroup { () throws(LedgerError) in
                let row = try store.makeAudit(scope, AuditOptions(), now: t0)
                _ = try store.forgetOldAudits()
                try store.begin(row.id, filesTotal: 1, bytesTotal: 1, now: t0)
                return row.id
            }
            _ = try reader.slice(of: scope, after: nil, limit: 5)
            _ = try reader.sizes(of: scope, after: nil, limit: 5)
            try inGroup { () throws(LedgerError) in
                var progress = AuditProgress(id: id, resultBytes: 0)
                progress.files = [
                    AuditProgress.File(path: path, publishedAt: t0, verdict: .fine, digest: nil)
                ]
                try store.note(progress, now: t0)
                try store.set(id, paused: true)
                try store.beginRepair(id)
                try store.finish(id, repairs: nil, now: t0)
            }
            _ = try store.audit(id)
            _ = try reader.audit(id)
        }
        try inGroup { () throws(LedgerError) in
            for _ in 0...LedgerStore.auditsKept {
                try store.cancel(try store.makeAudit(.all, AuditOptions(), now: t0).id, now: t0)
            }
            #expect(try !store.forgetOldAudits().isEmpty)
        }
        _ = try reader.audits(after: nil, limit: 5)
        _ = try reader.openAudits()
        _ = try reader.published(at: path)
    }

    private func questions(_ list: ListID) throws {
        for state in [nil] + JobState.allCases.map({ Optional($0) }) {
            for list in [nil, list] {
                _ = try reader.jobs(state: state, list: list, after: JobSeq(3), limit: 5)
            }
        }
        _ = try reader.lists(after: nil, limit: 5, state: .closed)
        _ = try reader.list(list)
        _ = try reader.list(newestNamed: "walk.txt")
        _ = try reader.job(JobID(rawValue: 77))
        _ = try reader.hosts(after: nil, limit: 5)
        _ = try reader.host(HostKey("a.example"))
        _ = try reader.totals()
        _ = try reader.record(of: JobSeq(1))
        _ = try store.totals()
        _ = try store.openLists()
        _ = try store.endedLists()
        _ = try store.file(at: OutputPath(trusted: "f1"))
        _ = try store.publishedFiles(after: nil, limit: 5)
        _ = try store.resumePoints(after: JobSeq(0), limit: 5)
        _ = try store.standing(ofPart: JobID(rawValue: 77))
        _ = try store.standing(ofPart: JobID(rawValue: 12345))
        _ = try store.lists(after: nil, limit: 5)
        _ = try store.list(inode: 2)
        _ = try store.record(of: JobSeq(1))
        _ = try store.runNote()
        try inGroup { () throws(LedgerError) in
            try store.forgetResume(of: JobSeq(2))
            try store.noteRun("boot")
            try store.noteRun(nil)
        }
    }

    private func endings(_ list: ListID) throws {
        try inGroup { () throws(LedgerError) in
            while try !store.cancelSlice(list: list, limit: 5, now: t0).isComplete {}
        }
        let empty = try store.list(named: "empty.txt").id
        try inGroup { () throws(LedgerError) in try store.reject(empty, reason: "no", now: t0) }
        _ = try store.results(of: list, after: nil, limit: 5)
        let open = try store.list(list)?.counts.open
        if open == 0 {
            try inGroup { () throws(LedgerError) in
                try store.close(list, finalName: "walk.txt", now: t0)
                try store.reopen(list)
                try store.close(list, finalName: "walk.txt", now: t0)
            }
        }
        #expect(open == 0)
        try inGroup { () throws(LedgerError) in
            try store.cancel(try store.makeAudit(.list(list), AuditOptions(), now: t0).id, now: t0)
        }
        _ = try store.expiredLists(endedBefore: at(99_999_999), after: nil, limit: 5)
        _ = try inGroup { () throws(LedgerError) in try store.beginRemoval(of: list) }
        _ = try store.openRemovals()
        while try !inGroup({ () throws(LedgerError) in try store.removeSlice(list: list, limit: 7) })
            .isComplete
        {}
        try inGroup { () throws(LedgerError) in try store.forget(list: list) }
    }
}
