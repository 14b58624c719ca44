// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct AuditScopeTests {
    private func paths(_ given: String...) throws -> [String] {
        switch try AuditScope.paths(given, output: "/srv/dld") {
        case .paths(let paths): paths.map(\.description)
        case .all: ["(all)"]
        case .list: []
        }
    }

    @Test func `paths are below the output, however they are spelt`() throws {
        #expect(try paths("/srv/dld/a/b", "./c", "d//e/") == ["a/b", "c", "d/e"])
        #expect(try paths("a", "a/b", "a-b", "a") == ["a", "a-b"])
        #expect(try paths("/srv/dld/") == ["(all)"])
        #expect(try paths("x", ".") == ["(all)"])
    }

    @Test(arguments: ["/srv/dldx/a", "/etc/passwd", "a/../../b", "..", "/"])
    func `a path that leads out of the output is refused`(path: String) {
        #expect(throws: JobError.self) { try AuditScope.paths([path], output: "/srv/dld") }
    }

    /// What the ranges hold, in the order an audit comes by.
    private func walk(_ scope: AuditScope, _ names: [String], from cursor: AuditCursor? = nil) -> [String] {
        let sorted = names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        return scope.ranges(after: cursor).flatMap { range in
            sorted.filter { name in
                let bytes = Array(name.utf8)
                let isBefore = range.upper.map { bytes.lexicographicallyPrecedes($0) } ?? true
                return !bytes.lexicographicallyPrecedes(range.lower) && isBefore
            }
        }
    }

    @Test func `a path is itself and all below it, and nothing that only begins alike`() throws {
        let names = ["a", "a-b", "a-b/x", "a.txt", "a/b", "a/b/c", "a0", "b", "é/ü"]
        let scope = try AuditScope.paths(["a", "a0", "é"], output: "/o")
        let all = walk(scope, names)
        #expect(all == ["a", "a/b", "a/b/c", "a0", "é/ü"])
        // From any place on, what is left is what had not come yet.
        for (index, name) in all.enumerated() {
            let cursor = AuditCursor.path(OutputPath(trusted: name))
            #expect(walk(scope, names, from: cursor) == Array(all[(index + 1)...]), "\(name)")
        }
        #expect(
            walk(.all, names, from: .path(OutputPath(trusted: "a.txt"))) == [
                "a/b", "a/b/c", "a0", "b", "é/ü",
            ])
    }
}

@Suite struct AuditPageTests {
    private let published = WallTime(milliseconds: 1_000_000)
    private let good = Checksum(algorithm: .crc32c, bytes: [1, 2, 3, 4])
    private let other = Checksum(algorithm: .crc32c, bytes: [9, 9, 9, 9])

    private func record(
        _ name: String = "a", digest: Checksum? = nil, at time: Int64 = 1_000_000
    ) -> FileRecord {
        FileRecord(
            path: OutputPath(trusted: name), url: "http://h/\(name)", finalURL: nil, size: 10, digest: digest,
            etag: nil, lastModified: nil, contentType: nil, publishedAt: WallTime(milliseconds: time))
    }
    private func page(_ records: [FileRecord], _ options: AuditOptions = AuditOptions()) -> AuditPage {
        AuditPage(
            records.map { AuditPage.Entry(cursor: .path($0.path), record: $0) }, options: options,
            algorithm: .crc32c)
    }
    private func facts(size: Int64 = 10, at time: Int64 = 999_000, inode: Int64 = 7) -> FileFacts {
        FileFacts(isRegular: true, size: size, modifiedAt: time, identity: [1, inode, time])
    }
    private func verdicts(_ page: AuditPage) -> [AuditVerdict?] { page.findings.map { $0.1.verdict } }

    @Test func `what is seen of a file decides, and only a known digest calls it fine`() {
        let folder = FileFacts(isRegular: false, size: 10, modifiedAt: 0)
        let table: [(AuditPage.Look, AuditVerdict)] = [
            (.gone, .missing), (.file(facts()), .plausible), (.file(facts(size: 9)), .changed),
            (.file(facts(at: 1_003_000)), .changed), (.file(facts(at: 1_001_000)), .plausible),
            (.file(folder), .changed),
        ]
        for (look, verdict) in table {
            var page = page([record()])
            let index = page.next()
            #expect(page.looked(index ?? -1, look) == nil)
            #expect(page.isComplete && verdicts(page) == [verdict], "\(look)")
        }
    }

    @Test func `a known digest has the last word, also on a file that was only touched`() {
        for (found, verdict) in [(good, AuditVerdict.fine), (other, .changed)] {
            var page = page([record(digest: good)])
            let index = page.next() ?? -1
            let touched = facts(at: 5_000_000)
            #expect(page.looked(index, .file(touched)) == .crc32c)
            #expect(!page.isComplete && page.digesting == 1)
            page.digested(index, found, after: .file(touched))
            #expect(page.isComplete && verdicts(page) == [verdict])
        }
    }

    @Test func `a file that is written to while it is read is looked at again, and then left alone`() {
        var page = page([record(digest: good)])
        for round in 0..<Int64(AuditPage.tries) {
            let index = page.next() ?? -1
            #expect(page.looked(index, .file(facts(inode: round))) == .crc32c)
            page.digested(index, other, after: .file(facts(inode: round + 1)))
        }
        #expect(page.isComplete && verdicts(page) == [nil] && page.suspects.isEmpty)
    }

    @Test func `a file that cannot be read is asked for three times before it is called unreadable`() {
        var page = page([record(digest: good), record("b")])
        let first = page.next() ?? -1
        #expect(page.looked(first, .file(facts())) == .crc32c)
        page.undigested(first, "EIO", isUnreadable: true)
        #expect(page.next() == first)
        #expect(page.looked(first, .refused("EACCES")) == nil)
        #expect(page.next() == first)
        _ = page.looked(first, .refused("EACCES"))
        #expect(page.next() == 1)
        _ = page.looked(1, .file(facts()))
        #expect(verdicts(page) == [.unreadable, .plausible])
        // At the second look it is there, and still will not be read.
        page.recheck(first, .file(facts()))
        #expect(page.isComplete && page.suspects == [first])
    }

    @Test func `a file whose digest cannot be computed is not called unreadable for it`() {
        var page = page([record(digest: good)])
        for _ in 0..<AuditPage.tries {
            let index = page.next() ?? -1
            #expect(page.looked(index, .file(facts())) == .crc32c)
            page.undigested(index, "no such algorithm", isUnreadable: false)
        }
        #expect(page.isComplete && verdicts(page) == [.plausible] && page.suspects.isEmpty)
    }

    @Test func `what the pool could not do for its own reasons is not charged to the file`() {
        var page = page([record(digest: good)])
        for _ in 0..<10 {
            let index = page.next() ?? -1
            #expect(page.looked(index, .file(facts())) == .crc32c)
            page.putBack(index)
        }
        let index = page.next() ?? -1
        _ = page.looked(index, .file(facts()))
        page.digested(index, good, after: .file(facts()))
        #expect(verdicts(page) == [.fine])
    }

    @Test func `a suspect that a job has replaced, or is replacing, is not told of`() {
        var page = page([record("a"), record("b"), record("c")])
        while let index = page.next() { _ = page.looked(index, .gone) }
        #expect(page.suspects == [0, 1, 2])
        page.confirm(0, record: record("a"))
        page.confirm(1, record: record("b", at: 2_000_000))
        page.confirm(2, record: nil)
        #expect(verdicts(page) == [.missing, nil, nil])
    }

    @Test func `a suspect that is another file at the second look is judged anew`() {
        var page = page([record("a"), record("b")])
        while let index = page.next() { _ = page.looked(index, .gone) }
        page.recheck(0, .gone)
        page.recheck(1, .file(facts()))
        #expect(!page.isComplete && page.next() == 1)
        _ = page.looked(1, .file(facts()))
        #expect(verdicts(page) == [.missing, .plausible])
    }

    @Test func `a page that is cut takes no new file, and its cursor is the last it took`() {
        var page = page([record("a"), record("b"), record("c")])
        _ = page.looked(page.next() ?? -1, .gone)
        let second = page.next() ?? -1
        page.cut()
        #expect(!page.isComplete && page.isCut && page.next() == nil)
        _ = page.looked(second, .gone)
        page.cut()
        #expect(page.cursor == .path(OutputPath(trusted: "b")) && page.findings.count == 2)
        var whole = self.page([record("a")])
        whole.cut()
        #expect(whole.cursor == nil && !whole.hasBegun)
    }

    @Test func `digests are recorded only on request and only of what looks untouched`() {
        let options = AuditOptions(recordsDigests: true)
        var page = page([record("a"), record("b")], options)
        #expect(page.looked(page.next() ?? -1, .file(facts())) == .crc32c)
        #expect(page.looked(page.next() ?? -1, .file(facts(at: 9_000_000))) == nil)
        page.digested(0, other, after: .file(facts()))
        #expect(verdicts(page) == [.fine, .changed])
        #expect(page.findings[0].1.digest == other)
    }
}

@Suite struct AuditPaceTests {
    @Test func `a rate is kept on the average, and a file costs at least a block`() {
        let start = MonotonicTime(nanoseconds: 0)
        var pace = AuditPace(processes: 2)
        pace.setRate(8192, now: start)
        #expect(pace.delay(now: start) == nil)
        // A full second's worth is saved up; then two blocks a second.
        for _ in 0..<2 { pace.charge(1, now: start) }
        #expect(pace.delay(now: start) == nil)
        pace.charge(8192, now: start)
        #expect(pace.delay(now: start) == .seconds(1))
        #expect(pace.delay(now: start + .seconds(1)) == nil)
        pace.setRate(nil, now: start)
        pace.charge(1 << 40, now: start)
        #expect(pace.delay(now: start) == nil)
    }

    @Test func `one process stays free of large files`() {
        for (processes, large) in [(1, 1), (2, 1), (8, 7)] {
            var pace = AuditPace(processes: processes)
            var count = 0
            while pace.hasRoom, count < 100 {
                pace.began(1 << 30)
                count += 1
            }
            #expect(count == large)
            pace.ended(1 << 30)
            #expect(pace.hasRoom)
        }
        var pace = AuditPace(processes: 100)
        for _ in 0..<64 { pace.began(1) }
        #expect(!pace.hasRoom)
    }
}
