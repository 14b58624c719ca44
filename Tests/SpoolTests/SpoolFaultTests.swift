// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import Locking
import SystemPackage
import TestKit
import Testing

@testable import Spool

@Suite struct SpoolFaultTests {
    // L24
    @Test func `a file that is being written is taken when its writer closes it, to its last byte`() throws {
        let rig = try SpoolRig(starts: false)
        try rig.start(quiet: .seconds(3600))
        try rig.idle()
        let file = try Descriptor.open(
            FilePath(rig.path("w.txt")), .writeOnly, options: [.create], permissions: .ownerReadWrite)
        try file.writeAll(Array("http://a/1\nhttp://a/".utf8).span.bytes, "w")
        rig.inbox.send(.rescan)
        // A probe behind it: once that is taken, the scan has passed the open file by.
        try rig.drop("probe.txt", "http://a/9\n")
        _ = try rig.running("probe.txt")
        #expect(rig.ledger.row(named: "w.txt") == nil)
        try file.writeAll(Array("2".utf8).span.bytes, "w")
        try file.close("w")
        let row = try rig.running("w.txt")
        #expect(row.position.entries == 2 && row.position.offset == 21)
    }

    // L24
    @Test func `a file found by a scan waits until it has stood still`() throws {
        let rig = try SpoolRig(starts: false)
        try FileTree.write("http://a/1\n", to: rig.path("s.txt"))
        try FileTree.write("http://a/1\n", to: rig.path("ahead.txt"))
        // A time that lies ahead is watched from scan to scan.
        let file = try Descriptor.open(FilePath(rig.path("ahead.txt")), .writeOnly)
        try file.setTimes(milliseconds: WallClock.milliseconds() + 86_400_000)
        try rig.start(quiet: .milliseconds(400), rescan: .milliseconds(50))
        _ = try rig.running("s.txt")
        _ = try rig.running("ahead.txt")
        try rig.idle()
    }

    // L25
    @Test func `a list deleted or cut while it waits costs nothing else`() throws {
        let rig = try SpoolRig(starts: false)
        rig.ledger.hold()
        try rig.drop("l.txt", String(repeating: "http://a/1\n", count: 400_000))
        try rig.start()
        let list = try rig.accepted("l.txt")
        try eventually("the credit is used up") { rig.ledger.heldEntries >= AdmissionCredit.entries }
        let file = try Descriptor.open(FilePath(rig.path("accepted/l.txt")), .writeOnly)
        #expect(ftruncate(file.rawValue, 100) == 0)
        FileTree.remove(rig.path("accepted/l.txt"))
        rig.ledger.releaseAll()
        let row = try rig.running("l.txt")
        #expect(row.position.entries >= 1000 && row.position.entries < 400_000)
        #expect(try rig.close(list) == "failed" || FileTree.exists(rig.path("done/l.txt.results.jsonl")))
    }

    // L28
    @Test func `what is no regular file is rejected with its reason, and a FIFO blocks nobody`() throws {
        let rig = try SpoolRig(starts: false)
        let target = try rig.folder.file("target", "http://a/1\n")
        #expect(symlink(target, rig.path("symlink.txt")) == 0)
        #expect(mkfifo(rig.path("fifo.txt"), 0o644) == 0)
        #expect(link(target, rig.path("hard.txt")) == 0)
        try FileTree.makeDirectories(rig.path("folder"))
        try FileTree.write("x", to: rig.path("table.csv"))
        try rig.start()
        for (name, word) in [
            ("symlink.txt", "symbolic link"), ("fifo.txt", "FIFO"), ("hard.txt", "hard links"),
            ("folder", "directory"),
            ("table.csv", "csv"),
        ] {
            #expect(try rig.rejected(name).contains(word))
            #expect(FileTree.exists(rig.path("rejected/\(name)")))
            #expect(try FileTree.text(rig.path("rejected/\(name).reason.txt")).contains(word))
        }
        #expect(try FileTree.text(target) == "http://a/1\n")
        try rig.idle()
        #expect(rig.ledger.openRows().isEmpty)
    }

    // L28
    @Test func `a list that may not be read says how to mend it`() throws {
        guard case .refused(let reason) = ListOpening.failure(SystemError(.permissionDenied, "open", "x"))
        else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("chmod g+r"))
    }

    @Test func `lists without a good line are rejected, with the first fault`() throws {
        let rig = try SpoolRig()
        try rig.drop("bad.txt", "example.com/a\nftp://b/c\n")
        #expect(try rig.rejected("bad.txt").contains("line 1: "))
        try rig.drop("empty.txt", "# nothing\n\n")
        #expect(try rig.rejected("empty.txt").contains("no entry"))
        try rig.drop("defaults.txt", " max-tries=x\nhttp://a/1\n")
        #expect(try rig.rejected("defaults.txt").contains("line 1"))
        try rig.drop("nul.txt", "h\0t\0t\0p\0")
        #expect(try rig.rejected("nul.txt").contains("NUL"))
        // The same name again: the first stays.
        try rig.drop("bad.txt", "again/bad\n")
        try eventually("a second reason") {
            FileTree.names(rig.path("rejected")).filter {
                $0.hasPrefix("bad.") && $0.hasSuffix(".reason.txt")
            }.count == 2
        }
        #expect(try FileTree.text(rig.path("rejected/bad.txt")) == "example.com/a\nftp://b/c\n")
        // The file is moved first, the row follows.
        try eventually("no list is open") { rig.ledger.openRows().isEmpty }
    }

    @Test func `a gzip list cut short is rejected before any job, a whole one is taken`() throws {
        let rig = try SpoolRig()
        let plain = try rig.folder.file("l.txt", (0..<3000).map { "http://a/\($0)\n" }.joined())
        try gzip(plain)
        let bytes = try FileTree.read(plain + ".gz")
        try FileTree.rename(try rig.folder.file("cut", bytes.dropLast(9)), rig.path("cut.txt.gz"))
        #expect(try rig.rejected("cut.txt.gz").contains("cut short"))
        #expect(rig.ledger.row(named: "cut.txt.gz") == nil)
        try FileTree.rename(plain + ".gz", rig.path("l.txt.gz"))
        #expect(try rig.running("l.txt.gz").position.entries == 3000)
        // A bomb over limits.max_list_size.
        let bomb = try rig.folder.file("bomb", [UInt8](repeating: 0x0A, count: 65 << 20))
        try gzip(bomb)
        try FileTree.rename(bomb + ".gz", rig.path("bomb.gz"))
        #expect(try rig.rejected("bomb.gz").contains("max_list_size"))
    }

    @Test func `a name that is not UTF-8 is rejected`() throws {
        let rig = try SpoolRig(starts: false)
        let aside = try rig.folder.file("aside", "http://a/1\n")
        var name = Array(rig.path("x").utf8CString.dropLast())
        name += [CChar(bitPattern: 0xE9), 0]
        #expect(rename(aside, name) == 0)
        try rig.start()
        try eventually("a reason") { !FileTree.names(rig.path("rejected")).isEmpty }
        try rig.idle()
    }

    // Admission: the ledger has the row, the file lies on either side of its move, or is gone.
    @Test(arguments: ["spool", "accepted", "numbered", "gone"]) func `a restart finds the list`(
        place: String
    ) throws {
        let first = try SpoolRig(starts: false)
        first.ledger.hold()
        try first.drop("l.txt", String(repeating: "http://a/1\n", count: 5000))
        try first.start()
        let list = try first.accepted("l.txt")
        try eventually("all of it waits") { first.ledger.heldEntries == 5000 }
        first.ledger.release(1)
        first.stop()
        let committed = first.ledger.entries(of: list).count
        switch place {
        case "spool": try FileTree.rename(first.path("accepted/l.txt"), first.path("l.txt"))
        case "numbered":
            try FileTree.rename(first.path("accepted/l.txt"), first.path("accepted/l.\(list).txt"))
        case "gone": FileTree.remove(first.path("accepted/l.txt"))
        default: break
        }
        let second = try SpoolRig(folder: first.folder, ledger: first.ledger)
        let row = try second.running("l.txt")
        #expect(row.id == list)
        let entries = second.ledger.entries(of: list)
        #expect(entries.count == (place == "gone" ? committed : 5000))
        #expect(entries.map(\.line) == Array(1...entries.count))
        #expect(Set(entries.map(\.seq)).count == entries.count)
        try second.idle()
        #expect(!FileTree.exists(second.path("l.txt")))
    }

    @Test func `a restart whose remaining lines are bad still knows that one was good`() throws {
        for good in [true, false] {
            let first = try SpoolRig(starts: false)
            first.ledger.hold()
            try first.drop("l.txt", (good ? "http://a/1\n" : "") + String(repeating: "bad\n", count: 5000))
            try first.start()
            _ = try first.accepted("l.txt")
            try eventually("all of it waits") { first.ledger.heldEntries == (good ? 5001 : 5000) }
            first.ledger.release(1)
            first.stop()
            let second = try SpoolRig(folder: first.folder, ledger: first.ledger)
            if good {
                #expect(try second.running("l.txt").position.entries == 5001)
            } else {
                #expect(try second.rejected("l.txt").contains("line 1"))
                #expect(FileTree.exists(second.path("rejected/l.txt")))
            }
        }
    }

    // End of a list: results renamed, list file moved or not, `closed` not committed.
    @Test(arguments: ["none", "results", "moved"]) func `an interrupted end is done again`(
        point: String
    ) throws {
        let rig = try SpoolRig()
        try rig.drop("l.txt", "http://a/1\n")
        let list = try rig.accepted("l.txt")
        let row = try rig.running("l.txt")
        #expect(row.id == list)
        if point != "none" {
            try FileTree.write("{\"list\":\(list),\"line\":1}\n", to: rig.path("done/l.txt.results.jsonl"))
        }
        if point == "moved" { try FileTree.rename(rig.path("accepted/l.txt"), rig.path("done/l.txt")) }
        #expect(try rig.close(list) == "done")
        #expect(FileTree.names(rig.path("done")).sorted() == ["l.txt", "l.txt.results.jsonl"])
        #expect(try FileTree.lines(rig.path("done/l.txt.results.jsonl"))[0].contains("\"urls\""))
    }

    @Test func `a list file removed from accepted changes nothing`() throws {
        let rig = try SpoolRig()
        try rig.drop("l.txt", "http://a/1\n")
        let list = try rig.accepted("l.txt")
        _ = try rig.running("l.txt")
        FileTree.remove(rig.path("accepted/l.txt"))
        #expect(try rig.close(list) == "done")
        #expect(FileTree.names(rig.path("done")) == ["l.txt.results.jsonl"])
    }

    @Test func `a spool that is replaced is found again`() throws {
        let rig = try SpoolRig()
        try rig.idle()
        try FileTree.rename(rig.spool, rig.folder.sub("old"))
        try SpoolDirectories.create(at: rig.spool)
        try rig.drop("l.txt", "http://a/1\n")
        _ = try rig.running("l.txt")
        #expect(FileTree.exists(rig.path("accepted/l.txt")))
    }
}
