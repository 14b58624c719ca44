// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import SystemPackage
import TestKit
import Testing

@testable import Publish

@Suite struct DigestMarkingTests {
    private let digest = Checksum(algorithm: .crc32c, bytes: [0xDE, 0xAD, 0xBE, 0xEF])

    private func part(
        _ fixture: PublishFixture, _ number: Int64, _ mark: DigestMark, replaces: Bool = false,
        to path: String
    ) -> PublishItem {
        var item = fixture.part(number, "x", to: path, replaces: replaces)
        item.mark = mark
        item.digest = digest
        return item
    }

    @Test(arguments: [true, false])
    func `the attribute is on the part before its fsync, and goes along with the rename`(isKept: Bool) throws
    {
        let fixture = PublishFixture()
        var item = fixture.part(1, "x", to: "d/a", isKept: isKept)
        item.mark = .xattr
        item.digest = digest
        #expect(fixture.ask(.sync([item])) == [.synced(1)])
        let part = fixture.scratch.sub("out/.dld/ID/1.part").string
        #expect(attribute("user.checksum.crc32c", part) == "deadbeef")
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        #expect(attribute("user.checksum.crc32c", fixture.scratch.sub("out/d/a").string) == "deadbeef")
    }

    @Test func `a sidecar lies beside the file, whole, and a repeat changes nothing`() {
        let fixture = PublishFixture()
        let item = part(fixture, 1, .sidecar, to: "d/a")
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        #expect(fixture.text("d/a.crc32c") == "deadbeef  a\n")
        // As after a crash between the rename and its commit, with the sidecar or before it.
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        #expect(unlinked("out/d/a.crc32c", fixture))
        #expect(fixture.ask(.rename([item])) == [.renamed(1)])
        #expect(fixture.text("d/a.crc32c") == "deadbeef  a\n")
        #expect(fixture.parts.isEmpty)
    }

    @Test func `a file that has the sidecar's name stays, unless the job replaces and it can be one`() {
        let fixture = PublishFixture()
        fixture.scratch.write("out/a.crc32c", "somebody's\n")
        let item = part(fixture, 1, .sidecar, to: "a")
        #expect(Set(fixture.ask(.rename([item]), answers: 2)) == [.unmarked(1), .renamed(1)])
        #expect(fixture.text("a.crc32c") == "somebody's\n")
        #expect(fixture.message(of: 1).contains("a.crc32c is there already"))
        let again = part(fixture, 2, .sidecar, replaces: true, to: "a")
        #expect(fixture.ask(.rename([again])) == [.renamed(2)])
        #expect(fixture.text("a.crc32c") == "deadbeef  a\n")
        fixture.scratch.write("out/a.crc32c", String(repeating: "long ", count: 1000))
        let third = part(fixture, 3, .sidecar, replaces: true, to: "a")
        #expect(Set(fixture.ask(.rename([third]), answers: 2)) == [.unmarked(3), .renamed(3)])
    }

    @Test func `a bad part goes to the quarantine and leaves it by its age`() {
        let fixture = PublishFixture()
        _ = fixture.part(1, "bad", to: "a")
        _ = fixture.part(2, "x", to: "b")
        fixture.send(.quarantine("1.part", as: "1.a", home: .output))
        fixture.send(.emptyQuarantine(before: WallTime(milliseconds: 1), home: .output))
        #expect(fixture.ask(.keep(JobSeq(2), partName: "2.part", home: .output)) == [.kept(2, true)])
        #expect(fixture.ask(.keep(JobSeq(2), partName: "2.part", home: .output)) == [.kept(2, true)])
        #expect(fixture.text(".dld/quarantine/1.a") == "bad")
        #expect(fixture.parts == ["2.part"])
        let later = WallTime(milliseconds: WallClock.milliseconds() + 3_600_000)
        fixture.send(.emptyQuarantine(before: later, home: .output))
        #expect(fixture.ask(.keep(JobSeq(2), partName: "2.part", home: .output)) == [.kept(2, true)])
        #expect(fixture.ask(.keep(JobSeq(2), partName: "2.part", home: .output)) == [.kept(2, true)])
        #expect(fixture.text(".dld/quarantine/1.a") == nil)
    }

    private func unlinked(_ path: String, _ fixture: PublishFixture) -> Bool {
        unlink(fixture.scratch.sub(path).string) == 0
    }

    /// By a program that users have: the name is what counts.
    private func attribute(_ name: String, _ path: String) -> String? {
        let script = "import os,sys; sys.stdout.write(os.getxattr(sys.argv[2], sys.argv[1]).decode())"
        do {
            return try ProgramRun.run("/usr/bin/python3", ["-c", script, name, path]).output
        } catch {
            return nil
        }
    }
}
