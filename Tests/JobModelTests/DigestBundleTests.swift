// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct DigestBundleTests {
    @Test func `a bundle has so many files, so many bytes and one algorithm`() {
        var bundle = DigestBundle<Int>(.sha256)
        // The first one always: it is what the bundle is made for.
        #expect(bundle.hasRoom(for: 1 << 40, .md5))
        for number in 0..<BundleLimit.files {
            #expect(bundle.hasRoom(for: 4096, .sha256))
            #expect(number == 0 || !bundle.hasRoom(for: 4096, .sha512))
            bundle.add(number, size: 4096)
        }
        #expect(!bundle.hasRoom(for: 0, .sha256))
        #expect(bundle.files == Array(0..<BundleLimit.files) && bundle.bytes == 4096 * 32)
        var large = DigestBundle<Int>(.sha256)
        for number in 0..<8 { large.add(number, size: BundleLimit.file) }
        #expect(!large.hasRoom(for: 1, .sha256) && large.hasRoom(for: 0, .sha256))
        // Numbers from outside.
        large.add(8, size: .max)
        large.add(9, size: .min)
        #expect(!large.hasRoom(for: .max, .sha256))
    }

    @Test func `long files go alone, and what would be read faster than its rate`() {
        #expect(BundleLimit.suits(0, rate: nil) && BundleLimit.suits(BundleLimit.file, rate: nil))
        #expect(!BundleLimit.suits(BundleLimit.file + 1, rate: nil))
        #expect(BundleLimit.suits(1000, rate: 1000) && !BundleLimit.suits(1001, rate: 1000))
    }

    @Test func `small files have room of their own, three bundles for each process`() {
        var pace = AuditPace(processes: 2)
        var count = 0
        while pace.hasRoom {
            pace.began(4096, bundled: true)
            count += 1
        }
        #expect(count == 6 * BundleLimit.files)
        for _ in 0..<BundleLimit.files { pace.ended(4096, bundled: true) }
        #expect(pace.hasRoom)
        for _ in 0..<16 { pace.began(1 << 20) }
        #expect(!pace.hasRoom)
    }

    @Test func `what went down with others is tried alone, as often as before`() {
        let record = FileRecord(
            path: OutputPath(trusted: "a"), url: "http://h/a", finalURL: nil, size: 10,
            digest: Checksum(algorithm: .crc32c, bytes: [1, 2, 3, 4]), etag: nil, lastModified: nil,
            contentType: nil, publishedAt: WallTime(milliseconds: 0))
        let facts = FileFacts(isRegular: true, size: 10, modifiedAt: 0, identity: [1])
        var page = AuditPage(
            [.init(cursor: .path(record.path), record: record)], options: AuditOptions(), algorithm: .crc32c)
        for _ in 0..<5 {
            let index = page.next()
            #expect(index == 0 && page.looked(0, .file(facts)) == .crc32c)
            #expect(page.isHandedOut && !page.isComplete)
            page.putBack(0, alone: true)
            #expect(page.goesAlone(0) && !page.isHandedOut)
        }
        _ = page.next()
        _ = page.looked(0, .file(facts))
        page.digested(0, Checksum(algorithm: .crc32c, bytes: [1, 2, 3, 4]), after: .file(facts))
        #expect(page.isComplete && page.findings.first?.1.verdict == .fine)
    }
}
