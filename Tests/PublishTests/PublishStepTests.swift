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
    private func io(_ operation: String) -> SystemError { SystemError(.ioError, operation, "x") }

    private func verdicts(_ events: [PublishEvent]) -> [Int64: String] {
        var found: [Int64: String] = [:]
        for event in events {
            switch event {
            case .synced(let all): for seq in all { found[seq.rawValue] = "synced" }
            case .syncFailed(let seq, let trouble):
                found[seq.rawValue] = trouble.isUntried ? "untried" : "errno \(trouble.systemCode)"
            default: found[-1] = "other"
            }
        }
        return found
    }

    @Test func `from the threshold up one call syncs all, below it each by itself`() throws {
        let fixture = PublishFixture(threshold: 3)
        let items = (1...3).map { fixture.part($0, "x", to: "f\($0)") }
        let place = try PublishPlace(fixture.settings)
        var sync = PartSync(settings: fixture.settings, heartbeat: fixture.heartbeat)
        sync.syncAll = { (_, _) throws(SystemError) in }
        sync.syncOne = { (_, _) throws(SystemError) in Issue.record("a call for each of three files") }
        #expect(sync.run(items, in: place) == [.synced([JobSeq(1), JobSeq(2), JobSeq(3)])])
        sync.syncAll = { (_, _) throws(SystemError) in Issue.record("one call for two files") }
        sync.syncOne = { (_, _) throws(SystemError) in }
        #expect(sync.run(Array(items.prefix(2)), in: place) == [.synced([JobSeq(1), JobSeq(2)])])
        #expect(sync.run([], in: place) == [])
    }

    @Test func `after a failed syncfs a part is believed by its own descriptor only`() throws {
        let fixture = PublishFixture(threshold: 3)
        let items = (1...4).map { fixture.part($0, "x", to: "f\($0)", isKept: $0 > 2) }
        let place = try PublishPlace(fixture.settings)
        var sync = PartSync(settings: fixture.settings, heartbeat: fixture.heartbeat)
        sync.syncAll = { (_, _) throws(SystemError) in throw SystemError(.ioError, "syncfs", "x") }
        let bad = try #require(items[3].file).descriptor.rawValue
        sync.syncOne = { (file, _) throws(SystemError) in
            if file.rawValue == bad { throw SystemError(.ioError, "fsync", "x") }
        }
        #expect(
            verdicts(sync.run(items, in: place)) == [1: "errno 5", 2: "errno 5", 3: "synced", 4: "errno 5"])
    }

    @Test func `a part whose descriptor was closed is never believed by a new one`() throws {
        let fixture = PublishFixture()
        let item = fixture.part(1, "x", to: "f", isKept: false)
        let place = try PublishPlace(fixture.settings)
        var sync = PartSync(settings: fixture.settings, heartbeat: fixture.heartbeat)
        sync.syncOne = { (_, _) throws(SystemError) in Issue.record("fsync by a new descriptor") }
        sync.syncAll = { (_, _) throws(SystemError) in throw SystemError(.ioError, "syncfs", "x") }
        #expect(verdicts(sync.run([item], in: place)) == [1: "errno 5"])
        sync.syncAll = { (_, _) throws(SystemError) in }
        #expect(verdicts(sync.run([item], in: place)) == [1: "synced"])
    }

    @Test func `no room in fsync is told with its errno and nothing is called durable`() throws {
        let fixture = PublishFixture()
        let place = try PublishPlace(fixture.settings)
        var sync = PartSync(settings: fixture.settings, heartbeat: fixture.heartbeat)
        sync.syncOne = { (_, _) throws(SystemError) in throw SystemError(.noSpace, "fsync", "x") }
        #expect(verdicts(sync.run([fixture.part(1, "x", to: "f")], in: place)) == [1: "errno 28"])
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

struct InterruptedPublishCheckTests {
    private func verdict(_ fixture: PublishFixture, _ item: PublishItem) throws -> InterruptedPublishCheck {
        try #require(try InterruptedPublishCheck.of([item], settings: fixture.settings).first)
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
