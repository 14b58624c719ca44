// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage
import TestKit
import Testing

@testable import LinuxKit

struct DescriptorTests {
    @Test func `a descriptor is close on exec and closed when let go`() throws {
        let scratch = Scratch()
        var number: Int32 = -1
        do {
            let file = try Descriptor.open(
                scratch.sub("a"), .writeOnly, options: [.create, .exclusiveCreate],
                permissions: [.ownerReadWrite])
            number = file.rawValue
            #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
            // A file of this test's own: another thread may get the number as soon as it is closed.
            #expect(try file.status().inode == FileStatus.of(scratch.sub("a"))?.inode)
        }
        var raw = stat()
        let isSame =
            try fstat(number, &raw) == 0 && UInt64(raw.st_ino) == FileStatus.of(scratch.sub("a"))?.inode
        #expect(!isSame)
    }

    @Test func `an error names operation, object and reason`() {
        #expect {
            _ = try Descriptor.open("/nowhere/file", .readOnly)
        } throws: { error in
            "\(error)" == "open /nowhere/file: No such file or directory"
        }
        let full = SystemError(.noSpace, "rename", "/a/b -> /c")
        #expect(full.description == "rename /a/b -> /c: No space left on device")
        #expect(full.isFileSystemTrouble)
        #expect(!SystemError(.permissionDenied, "open", "/a").isFileSystemTrouble)
        #expect(SystemError(.wouldBlock, "lock", "/a").isWouldBlock)
    }

    @Test func `what is written is read back, whole and at offsets`() throws {
        let scratch = Scratch()
        let file = try Descriptor.open(
            scratch.sub("a"), .readWrite, options: [.create], permissions: [.ownerReadWrite])
        try file.writeAll(Array("hello world".utf8), "a")
        let piece = Array("HELLO".utf8)
        try file.writeAll(piece.span.bytes, at: 0, "a")
        try file.synchronize("a")
        try file.synchronizeContent("a")
        let again = try Descriptor.open(scratch.sub("a"), .readOnly)
        #expect(try again.read(upTo: 5) == Array("HELLO".utf8))
        var buffer = [UInt8](repeating: 0x2e, count: 10)
        #expect(try again.read(into: &buffer, from: 2) == 6)
        #expect(buffer == Array(".. world..".utf8))
        #expect(try again.read(upTo: 5) == [])
        try again.close("a")
    }

    @Test func `permissions are exact and times settable before 1970 too`() throws {
        let scratch = Scratch()
        let file = try Descriptor.open(
            scratch.sub("a"), .writeOnly, options: [.create], permissions: [.ownerReadWrite])
        try file.setPermissions(FilePermissions(rawValue: 0o666))
        try file.setTimes(milliseconds: -1)
        let status = try file.status()
        #expect(status.permissions.rawValue == 0o666)
        #expect(status.modifiedSeconds == -1)
        #expect(status.modifiedMilliseconds == -1)
        #expect(status.kind == .regular && status.links == 1)
    }

    @Test func `a status tells a link from its target and absence from error`() throws {
        let scratch = Scratch()
        scratch.write("a", "12345")
        scratch.link("l", to: "a")
        #expect(try FileStatus.of(scratch.sub("l"))?.kind == .symbolicLink)
        #expect(try FileStatus.of(scratch.sub("l"), followingLinks: true)?.size == 5)
        #expect(try FileStatus.of(scratch.sub("none")) == nil)
        #expect(throws: SystemError.self) { try FileStatus.of(scratch.sub("a/b")) }
    }

    @Test func `non-blocking reads answer nil when nothing waits`() throws {
        let pair = try SocketPair(.stream, isNonBlocking: true)
        #expect(try pair.first.read(upTo: 10) == nil)
        try pair.second.writeAll([1, 2])
        #expect(try pair.first.read(upTo: 10) == [1, 2])
        try pair.first.setNonBlocking(false)
        #expect(fcntl(pair.first.rawValue, F_GETFL) & O_NONBLOCK == 0)
    }

    @Test func `a lock is held once, by note and until let go`() throws {
        let scratch = Scratch()
        let path = scratch.sub("lock")
        do {
            let lock = try FileLock(file: path)
            try lock.write(note: "a much longer note")
            try lock.write(note: "4711 dld 1.0\n")
            #expect(FileLock.note(in: path) == "4711 dld 1.0\n")
            #expect {
                _ = try FileLock(file: path)
            } throws: { ($0 as? SystemError)?.isWouldBlock == true }
        }
        let again = try FileLock(file: path)
        #expect(again.path == path)
        let folder = try FileLock(directory: scratch.path)
        #expect(folder.path == scratch.path)
        #expect(throws: SystemError.self) { _ = try FileLock(directory: scratch.path) }
        #expect(FileLock.note(in: scratch.sub("none")) == "")
    }
}
