// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GRDB
import Glibc
import JobModel
import Testing

@testable import Ledger

/// What `dld fsck --repair` makes of a damaged ledger.
@Suite struct RescueTests {
    /// A ledger with published files, its WAL written home.
    private func filled(_ scratch: Scratch, files: Int) throws -> (identity: String, next: JobSeq) {
        let store = try scratch.open()
        _ = try store.running((1...files).map { download(Int64($0), "f\($0)") })
        for number in 1...files {
            _ = try store.claim(Int64(number), "f\(number)", "https://example.org/f\(number)")
            try store.apply(.ended(JobSeq(Int64(number)), done("f\(number)", bytes: Int64(number))))
        }
        let known = (store.identity, store.nextSeq)
        try store.close()
        return known
    }

    private func overwrite(_ path: String, at offset: Int, count: Int) throws {
        let descriptor = Glibc.open(path, O_WRONLY)
        defer { close(descriptor) }
        let noise = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
        #expect(pwrite(descriptor, noise, count, off_t(offset)) == count)
    }

    private func rebuild(
        _ scratch: Scratch, known: LedgerSalvage = LedgerSalvage()
    ) throws -> (
        LedgerStore, LedgerSalvage
    ) {
        let fresh = scratch.directory + "/fresh.db"
        let salvage = try LedgerRescue.build(
            at: fresh, from: scratch.ledger, known: known, programVersion: "test")
        return (try LedgerStore.open(path: fresh, durability: .none, programVersion: "test"), salvage)
    }

    @Test func `a sound ledger gives up its identity, its numbers and all its files`() throws {
        let scratch = try Scratch()
        let known = try filled(scratch, files: 2500)
        let (store, salvage) = try rebuild(scratch)
        #expect(store.identity == known.identity)
        #expect(store.nextSeq == known.next)
        #expect(salvage.files == 2500)
        #expect(try store.list(named: "next.txt").id == ListID(2))
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `damaged pages cost the rows on them and not the rest`() throws {
        let scratch = try Scratch()
        let known = try filled(scratch, files: 3000)
        let size = try #require(
            try FileManager.default.attributesOfItem(atPath: scratch.ledger)[.size] as? Int)
        // Pages in the second half, where the big tables lie.
        for page in stride(from: size / 8192, to: size / 4096, by: 7) {
            try overwrite(scratch.ledger, at: page * 4096, count: 200)
        }
        let (store, salvage) = try rebuild(scratch)
        #expect(store.identity == known.identity)
        #expect(salvage.files > 2000)
        #expect(store.nextSeq >= known.next)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    /// Damage at both ends of the table and in its middle: once only what lay before the first and behind the last was
    /// taken over.
    @Test func `what lies between two damaged pages is read`() throws {
        let scratch = try Scratch()
        _ = try filled(scratch, files: 3000)
        let leaves = try scratch.shell(
            "SELECT pageno FROM dbstat WHERE name = 'file' AND pagetype = 'leaf' ORDER BY path"
        ).compactMap { Int($0) }
        try #require(leaves.count > 20)
        for leaf in [leaves[1], leaves[leaves.count / 2], leaves[leaves.count - 2]] {
            try overwrite(scratch.ledger, at: (leaf - 1) * 4096, count: 200)
        }
        let (store, salvage) = try rebuild(scratch)
        let lost = 3000 - salvage.files
        // Rows of three leaves; how many a leaf holds follows from their number.
        #expect(lost >= 3 && lost <= 3 * (2 * 3000 / leaves.count))
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    /// Damage can make anything of a key: bytes that are no text, text that is no UTF-8. Once a rescue began anew behind such
    /// a key, for ever.
    @Test(arguments: ["x'ff' || randomblob(40)", "CAST(x'ff' || randomblob(40) AS TEXT)", "randomblob(40)"])
    func `keys that are damaged themselves do not lead a rescue in circles`(key: String) throws {
        let scratch = try Scratch()
        _ = try filled(scratch, files: 1500)
        _ = try scratch.shell(
            "CREATE TEMP TABLE odd AS SELECT * FROM file LIMIT 1400; UPDATE odd SET path = \(key); "
                + "INSERT INTO file SELECT * FROM odd")
        let leaves = try scratch.shell(
            "SELECT pageno FROM dbstat WHERE name = 'file' AND pagetype = 'leaf' ORDER BY path"
        ).compactMap { Int($0) }
        for leaf in [leaves[3], leaves[leaves.count / 2], leaves[leaves.count - 4]] {
            try overwrite(scratch.ledger, at: (leaf - 1) * 4096, count: 200)
        }
        let (store, salvage) = try rebuild(scratch)
        #expect(salvage.files > 1300)
        try store.close()
    }

    @Test(arguments: ["f1234", "\u{D7FF}", "\u{10FFFF}", "", "a"])
    func `probes lie behind their key, each further on than the one before`(key: String) {
        var last = key
        for case .string(let probe) in SalvageProbes.after(key.databaseValue).map(\.storage) {
            #expect(last.utf8.lexicographicallyPrecedes(probe.utf8))
            last = probe
        }
        #expect(!SalvageProbes.after(nil).isEmpty)
    }

    @Test(arguments: ["header", "empty", "gone"])
    func `of a ledger that tells nothing the others tell its name and its numbers`(_ damage: String) throws {
        let scratch = try Scratch()
        _ = try filled(scratch, files: 3)
        switch damage {
        case "header": try overwrite(scratch.ledger, at: 0, count: 4096)
        case "empty": #expect(truncate(scratch.ledger, 0) == 0)
        default: #expect(unlink(scratch.ledger) == 0)
        }
        var known = LedgerSalvage()
        known.identity = "00112233445566ff"
        known.lastList = 41
        let (store, salvage) = try rebuild(scratch, known: known)
        #expect(store.identity == "00112233445566ff")
        #expect(salvage.files == 0)
        #expect(try store.list().id == ListID(42))
        try store.close()
    }

    @Test func `counts that are wrong are taken anew`() throws {
        let scratch = try Scratch()
        let first = try scratch.open()
        let list = try first.running((1...4).map { download(Int64($0), "f\($0)") })
        try first.apply(.ended(JobSeq(1), done("f1")))
        try first.close()
        _ = try scratch.shell(
            "UPDATE list SET n_done = 7, n_queued = 0; UPDATE total SET n_failed = 9; DELETE FROM lane; "
                + "UPDATE host SET n_active = 3")
        let store = try scratch.open()
        #expect(try !store.inconsistencies().isEmpty)
        try store.group { () throws(LedgerError) in try store.recount() }
        #expect(try store.audit().isEmpty)
        #expect(try store.list(list)?.counts.queued == 3)
        try store.close()
    }

    @Test func `published files are paged by path, byte by byte`() throws {
        let scratch = try Scratch()
        _ = try filled(scratch, files: 25)
        let store = try scratch.open()
        var paths: [String] = []
        var last: OutputPath?
        while true {
            let page = try store.publishedFiles(after: last, limit: 7)
            paths += page.map { $0.record.path.description }
            guard let end = page.last, page.count == 7 else { break }
            last = end.record.path
        }
        #expect(paths.count == 25)
        #expect(paths == (1...25).map { "f\($0)" }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        try store.close()
    }
}
