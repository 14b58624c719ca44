// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import SystemPackage
import TestKit
import Testing

@testable import Publish

struct PublishFaultTests {
    private let path = OutputPath(trusted: "a/b")

    @Test(arguments: [Errno.noSpace, .diskQuotaExceeded, .readOnlyFileSystem, .ioError, .permissionDenied])
    func `trouble of the disk names operation and object`(code: Errno) {
        let error = PublishFault.error(SystemError(code, "fsync", "/srv/dld/.dld/x/1.part"), path: path)
        #expect(error.code == .disk)
        #expect(error.message == "fsync /srv/dld/.dld/x/1.part: \(code)")
    }

    @Test func `what stands in the path's way is told apart from the disk`() {
        func code(_ number: Errno) -> ErrorCode {
            PublishFault.error(SystemError(number, "open", "x"), path: path).code
        }
        #expect(code(.notDirectory) == .pathConflict)
        #expect(code(.isDirectory) == .pathConflict)
        #expect(code(.fileNameTooLong) == .pathConflict)
        #expect(code(.tooManySymbolicLinkLevels) == .outsideOutput)
    }
}

struct PartSyncTests {
    @Test func `from the threshold up one call syncs all, below it each by itself`() throws {
        let fixture = PublishFixture(threshold: 3)
        let items = (1...3).map { fixture.part($0, "x", to: "f\($0)") }
        let place = try PublishPlace(fixture.settings)
        var sync = PartSync(settings: fixture.settings, heartbeat: fixture.heartbeat)
        sync.syncAll = { (_, _) throws(SystemError) in }
        #expect(sync.run(items, in: place) == [.synced([JobSeq(1), JobSeq(2), JobSeq(3)])])
        sync.syncAll = { (_, object) throws(SystemError) in throw SystemError(.ioError, "syncfs", object) }
        // The whole failed, no single one did: another's file.
        #expect(sync.run(items, in: place) == [.synced([JobSeq(1), JobSeq(2), JobSeq(3)])])
        sync.syncAll = { (_, _) throws(SystemError) in Issue.record("one call for two files") }
        #expect(sync.run(Array(items.prefix(2)), in: place) == [.synced([JobSeq(1), JobSeq(2)])])
        #expect(sync.run([], in: place) == [])
    }
}

struct UnsyncedDirectoriesTests {
    @Test func `what one loop has made the other syncs too`() throws {
        let fixture = PublishFixture()
        // As if the other loop had made it and not come to its fsync yet.
        fixture.scratch.folder("out/a")
        fixture.settings.unsynced.insert([Array("a".utf8), Array("other".utf8)])
        #expect(fixture.ask(.rename([fixture.part(1, "x", to: "a/f")])) == [.renamed(1)])
        #expect(
            fixture.settings.unsynced.pending(among: [Array("a".utf8), Array("other".utf8)])
                == [Array("other".utf8)])
    }

    @Test func `directories of a published file are no longer pending`() throws {
        let fixture = PublishFixture()
        #expect(fixture.ask(.rename([fixture.part(1, "x", to: "a/b/f")])) == [.renamed(1)])
        #expect(fixture.settings.unsynced.pending(among: [Array("a".utf8), Array("a/b".utf8)]) == [])
    }
}

struct CrossMountCopyTests {
    /// The step that follows EXDEV, made without a mount: the directories just lie beside each other.
    private func publish(_ fixture: PublishFixture, _ item: PublishItem) throws -> Bool {
        let place = try PublishPlace(fixture.settings)
        var copier = CrossMountCopy(isDurable: true, heartbeat: fixture.heartbeat)
        return try copier.publish(
            item, as: FilePath(item.path.lastComponent), in: place.output.descriptor, of: place)
    }

    @Test func `a copy has content, mode and time of the part and replaces it`() throws {
        let fixture = PublishFixture()
        let text = String(repeating: "0123456789", count: 250_000)
        let item = fixture.part(1, text, to: "f")
        let part = fixture.scratch.sub("out/.dld/ID/1.part")
        #expect(chmod(part.string, 0o640) == 0)
        fixture.scratch.write("out/.1.part.dld-copy", "left by a crash")
        let before = try #require(try FileStatus.of(part))
        #expect(try publish(fixture, item))
        let after = try #require(try FileStatus.of(fixture.scratch.sub("out/f")))
        #expect(fixture.text("f") == text && fixture.parts == [])
        #expect(after.permissions.rawValue == 0o640)
        #expect(after.modifiedMilliseconds == before.modifiedMilliseconds)
        #expect(fixture.scratch.names("out") == [".dld", "f"])
    }

    @Test func `a repeat knows its own file by content and leaves others alone`() throws {
        let fixture = PublishFixture()
        fixture.scratch.write("out/f", "same")
        #expect(try publish(fixture, fixture.part(1, "same", to: "f")))
        #expect(fixture.parts == [] && fixture.text("f") == "same")
        #expect(try !publish(fixture, fixture.part(2, "else", to: "f")))
        #expect(try !publish(fixture, fixture.part(3, "longer", to: "f")))
        #expect(fixture.parts == ["2.part", "3.part"] && fixture.text("f") == "same")
        #expect(try publish(fixture, fixture.part(4, "new", to: "f", replaces: true)))
        #expect(fixture.text("f") == "new")
    }
}

struct InterruptedPublishCheckTests {
    private func verdict(_ fixture: PublishFixture, _ item: PublishItem) throws -> InterruptedPublishCheck {
        try InterruptedPublishCheck.of(
            path: item.path, device: item.device, inode: item.inode, size: item.size, partName: item.partName,
            settings: fixture.settings)
    }

    @Test func `a restart tells renamed, not yet renamed and lost apart`() throws {
        let fixture = PublishFixture()
        let items = [
            fixture.part(1, "x", to: "a/f"), fixture.part(2, "y", to: "g"), fixture.part(3, "z", to: "h"),
        ]
        _ = fixture.ask(.rename([items[0]]))
        // Somebody else's file under the final name is no proof. Made first: a freed inode number is given
        // out again.
        fixture.scratch.write("out/h", "z")
        #expect(unlink(fixture.scratch.sub("out/.dld/ID/3.part").string) == 0)
        #expect(try verdict(fixture, items[0]) == .renamedAlready)
        #expect(
            try InterruptedPublishCheck.of(items, settings: fixture.settings)
                == [.renamedAlready, .partStillThere, .neither])
    }

    @Test func `another device number after a reboot does not hide the file`() throws {
        let fixture = PublishFixture()
        var item = fixture.part(1, "x", to: "f")
        item.device ^= 0xff00
        #expect(try verdict(fixture, item) == .partStillThere)
        _ = fixture.ask(.rename([item]))
        #expect(try verdict(fixture, item) == .renamedAlready)
    }

    @Test func `a link or a file on the way is an answer, a missing output is none`() throws {
        let fixture = PublishFixture()
        fixture.scratch.write("out/a", "")
        fixture.scratch.link("out/l", to: "/")
        #expect(try verdict(fixture, fixture.part(1, "x", to: "a/f")) == .partStillThere)
        #expect(try verdict(fixture, fixture.part(2, "x", to: "l/etc/passwd")) == .partStillThere)
        let item = fixture.part(3, "x", to: "f")
        #expect(rename(fixture.scratch.sub("out").string, fixture.scratch.sub("moved").string) == 0)
        #expect(throws: SystemError.self) { try verdict(fixture, item) }
        #expect(rename(fixture.scratch.sub("moved").string, fixture.scratch.sub("out").string) == 0)
    }
}
