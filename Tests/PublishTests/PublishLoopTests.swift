// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import SystemPackage
import TestKit
import Testing

@testable import Publish

struct PublishLoopTests {
    @Test(arguments: [PublishSettings.Durability.full, .none])
    func `a part is synced under its hidden name, then renamed whole`(
        durability: PublishSettings.Durability
    ) {
        let fixture = PublishFixture(durability: durability)
        let item = fixture.part(1, "whole", to: "a/b/file.iso")
        #expect(fixture.ask(.sync([item])) == [.synced(1)])
        #expect(fixture.parts == ["1.part"])
        #expect(fixture.scratch.names("out") == [".dld"])
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        #expect(fixture.parts == [])
        #expect(fixture.text("a/b/file.iso") == "whole")
    }

    @Test func `a thousand files in one group are all published`() {
        let fixture = PublishFixture()
        let items = (1...1000).map { fixture.part(Int64($0), "file \($0)", to: "d\($0 % 50)/f\($0)") }
        let synced = fixture.ask(.sync(items), answers: 1000)
        #expect(Set(synced) == Set((1...1000).map { .synced(Int64($0)) }) && synced.count == 1000)
        let renamed = fixture.ask(.rename(items), answers: 1000)
        #expect(Set(renamed) == Set((1...1000).map { .renamed(Int64($0)) }) && renamed.count == 1000)
        #expect(fixture.parts == [])
        #expect((1...1000).allSatisfy { fixture.text("d\($0 % 50)/f\($0)") == "file \($0)" })
    }

    @Test func `a taken name is reported and nothing changes`() {
        let fixture = PublishFixture()
        fixture.scratch.write("out/a", "theirs")
        let item = fixture.part(1, "ours", to: "a")
        #expect(fixture.ask(.rename([item])) == [.taken(1)])
        #expect(fixture.text("a") == "theirs" && fixture.parts == ["1.part"])
        // The next name of the ledger.
        var next = item
        next.path = OutputPath(trusted: "a.1")
        #expect(fixture.ask(.rename([next])) == [.renamed(1)])
        #expect(fixture.text("a") == "theirs" && fixture.text("a.1") == "ours")
    }

    @Test func `two jobs for one name in a group get it once`() {
        let fixture = PublishFixture()
        let items = [fixture.part(1, "first", to: "a"), fixture.part(2, "second", to: "a")]
        #expect(Set(fixture.ask(.rename(items), answers: 2)) == [.renamed(1), .taken(2)])
        #expect(fixture.text("a") == "first" && fixture.parts == ["2.part"])
    }

    @Test func `replacing takes the old file's name, or a link's, in one step`() {
        let fixture = PublishFixture()
        fixture.scratch.write("out/a", "old")
        fixture.scratch.write("victim", "untouched")
        fixture.scratch.link("out/l", to: "../victim")
        let items = [
            fixture.part(1, "new", to: "a", replaces: true), fixture.part(2, "new", to: "l", replaces: true),
        ]
        #expect(fixture.ask(.rename(items), answers: 2) == [.renamed(1), .renamed(2)])
        #expect(fixture.text("a") == "new" && fixture.text("l") == "new")
        #expect(fixture.scratch.text("victim") == "untouched")
    }

    @Test func `a file where a directory is needed is a path conflict that names it`() {
        let fixture = PublishFixture()
        fixture.scratch.write("out/a", "file")
        let item = fixture.part(1, "x", to: "a/b/c")
        #expect(fixture.ask(.rename([item])) == [.renameFailed(1, .pathConflict)])
        #expect(fixture.message(of: 1).hasPrefix("a/b/c: a is a file, and a directory is needed there"))
        #expect(fixture.text("a") == "file" && fixture.parts == ["1.part"])
        fixture.scratch.folder("out/d")
        let over = fixture.part(2, "x", to: "d", replaces: true)
        #expect(fixture.ask(.rename([over])) == [.renameFailed(2, .pathConflict)])
        let beside = fixture.part(3, "x", to: "d")
        #expect(fixture.ask(.rename([beside])) == [.taken(3)])
    }

    @Test func `no link below the output is followed`() {
        let fixture = PublishFixture()
        fixture.scratch.folder("elsewhere")
        fixture.scratch.link("out/l", to: "../elsewhere")
        let items = [
            fixture.part(1, "x", to: "l/f"), fixture.part(2, "x", to: "l/new/f"),
            fixture.part(3, "y", to: "fine"),
        ]
        let answers = fixture.ask(.rename(items), answers: 3)
        #expect(
            Set(answers) == [
                .renameFailed(1, .outsideOutput), .renameFailed(2, .outsideOutput), .renamed(3),
            ])
        #expect(
            fixture.message(of: 2).contains("l is a symbolic link") && fixture.message(of: 2).contains("bind")
        )
        #expect(fixture.scratch.names("elsewhere") == [])
    }

    @Test func `new directories get the configured mode, old ones keep theirs`() throws {
        let fixture = PublishFixture(dirMode: 0o2775)
        fixture.scratch.folder("out/old")
        let items = [fixture.part(1, "x", to: "old/new/f"), fixture.part(2, "x", to: "old/g")]
        _ = fixture.ask(.rename(items), answers: 2)
        #expect(try FileStatus.of(fixture.scratch.sub("out/old/new"))?.permissions.rawValue == 0o2775)
        #expect(try FileStatus.of(fixture.scratch.sub("out/old"))?.permissions.rawValue == 0o755)
    }

    @Test func `a rename sent again is answered as the first time`() {
        let fixture = PublishFixture()
        let item = fixture.part(1, "x", to: "a/f")
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        // A crash between link and unlink: both names are there.
        #expect(
            link(fixture.scratch.sub("out/a/f").string, fixture.scratch.sub("out/.dld/ID/1.part").string) == 0
        )
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        #expect(fixture.parts == [] && fixture.text("a/f") == "x")
    }

    @Test func `another file under the part's name is never published`() {
        let fixture = PublishFixture()
        var item = fixture.part(1, "right", to: "a")
        item.inode += 1_000_000
        #expect(fixture.ask(.sync([item])) == [.syncFailed(1, .disk)])
        #expect(fixture.ask(.rename([item])) == [.renameFailed(1, .disk)])
        var short = fixture.part(2, "right", to: "a")
        short.size += 1
        #expect(fixture.ask(.sync([short])) == [.syncFailed(2, .disk)])
        var gone = fixture.part(3, "right", to: "a")
        gone.partName = "none.part"
        #expect(fixture.ask(.sync([gone])) == [.syncFailed(3, .disk)])
        #expect(fixture.ask(.rename([gone])) == [.renameFailed(3, .disk)])
        #expect(fixture.message(of: 3).contains("none.part: the part file is gone"))
        #expect(fixture.scratch.names("out") == [".dld"])
    }

    @Test func `parts are kept and discarded`() {
        let fixture = PublishFixture()
        _ = fixture.part(1, "half", to: "a")
        _ = fixture.part(2, "half", to: "b")
        #expect(fixture.ask(.keep(JobSeq(1), partName: "1.part", home: .output)) == [.kept(1, true)])
        #expect(fixture.ask(.keep(JobSeq(9), partName: "9.part", home: .output)) == [.kept(9, false)])
        fixture.send(.discard(["2.part", "none.part"], home: .output))
        // Discards come last in their group; the second question is a group of its own.
        #expect(fixture.ask(.keep(JobSeq(1), partName: "1.part", home: .output)) == [.kept(1, true)])
        #expect(fixture.ask(.keep(JobSeq(1), partName: "1.part", home: .output)) == [.kept(1, true)])
        #expect(fixture.parts == ["1.part"])
    }

    @Test func `a checkpoint of a part that is no more is missed, and no fault of the disk`() {
        let fixture = PublishFixture()
        _ = fixture.part(1, "half", to: "a")
        let there = PublishCommand.checkpoint(JobSeq(1), token: 7, partName: "1.part", home: .output)
        #expect(fixture.ask(there) == [.checkpointed(7, .stored)])
        let gone = PublishCommand.checkpoint(JobSeq(1), token: 8, partName: "1.1.part", home: .output)
        #expect(fixture.ask(gone) == [.checkpointed(8, .missed)])
    }

    @Test func `an output that was replaced is not written to, and found again`() {
        let fixture = PublishFixture()
        let item = fixture.part(1, "x", to: "f")
        #expect(fixture.ask(.sync([item])) == [.synced(1)])
        let (out, moved) = (fixture.scratch.sub("out").string, fixture.scratch.sub("moved").string)
        #expect(rename(out, moved) == 0)
        fixture.scratch.folder("out")
        #expect(fixture.ask(.rename([item])) == [.renameFailed(1, .disk)])
        #expect(fixture.message(of: 1).contains("removed, replaced or unmounted"))
        #expect(fixture.scratch.names("out") == [] && fixture.scratch.names("moved") == [".dld"])
        #expect(rmdir(out) == 0 && rename(moved, out) == 0)
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        #expect(fixture.text("f") == "x")
    }

    @Test func `a directory moved away between two groups is made anew`() {
        let fixture = PublishFixture()
        #expect(fixture.ask(.rename([fixture.part(1, "1", to: "a/f")])) == [.renamed(1)])
        #expect(rename(fixture.scratch.sub("out/a").string, fixture.scratch.sub("taken").string) == 0)
        #expect(fixture.ask(.rename([fixture.part(2, "2", to: "a/g")])) == [.renamed(2)])
        #expect(fixture.text("a/g") == "2" && fixture.scratch.names("taken") == ["f"])
    }
}
