// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage
import TestKit
import Testing

@testable import LinuxKit

struct RenamingTests {
    @Test func `a rename without replacing refuses a taken name`() throws {
        let scratch = Scratch()
        scratch.write("a", "new")
        scratch.write("b", "old")
        #expect {
            try renameNoReplace(scratch.sub("a"), to: scratch.sub("b"))
        } throws: { ($0 as? SystemError)?.code == .fileExists }
        #expect(scratch.text("b") == "old")
        try renameNoReplace(scratch.sub("a"), to: scratch.sub("c"))
        #expect(scratch.text("c") == "new" && scratch.text("a") == nil)
        try renameReplace(scratch.sub("c"), to: scratch.sub("b"))
        #expect(scratch.names() == ["b"] && scratch.text("b") == "new")
    }

    @Test func `link and unlink stand in where the file system has no such rename`() throws {
        let scratch = Scratch()
        scratch.write("a", "new")
        scratch.write("b", "old")
        #expect {
            try linkAndUnlink(scratch.sub("a"), in: AT_FDCWD, to: scratch.sub("b"), in: AT_FDCWD)
        } throws: { ($0 as? SystemError)?.code == .fileExists }
        #expect(scratch.names() == ["a", "b"])
        try linkAndUnlink(scratch.sub("a"), in: AT_FDCWD, to: scratch.sub("c"), in: AT_FDCWD)
        #expect(scratch.names() == ["b", "c"] && scratch.text("c") == "new")
    }

    @Test func `removing what is not there is told, not thrown`() throws {
        let scratch = Scratch()
        scratch.write("a", "")
        #expect(try unlink(scratch.sub("a")))
        #expect(try !unlink(scratch.sub("a")))
        #expect(throws: SystemError.self) { try unlink(scratch.path) }
    }

    @Test func `whole file systems and ranges are written back`() throws {
        let scratch = Scratch()
        scratch.write("a", "text")
        let file = try Descriptor.open(scratch.sub("a"), .readWrite)
        try startWriteback(of: file.rawValue, offset: 0, length: 4)
        try syncFileSystem(of: file.rawValue)
        #expect(throws: SystemError.self) { try syncFileSystem(of: -1) }
    }
}

struct SafeFileWriterTests {
    @Test func `the name appears with the whole content and the exact permissions`() throws {
        let scratch = Scratch()
        var writer = try SafeFileWriter(
            in: scratch.path, temporaryName: ".w.tmp", permissions: FilePermissions(rawValue: 0o640))
        let line = Array((String(repeating: "x", count: 999) + "\n").utf8)
        for _ in 0..<1000 { try writer.append(line) }
        #expect(scratch.text("results") == nil)
        #expect(scratch.names().count == 1 && scratch.names()[0].hasPrefix("."))
        try writer.commit(as: "results")
        #expect(scratch.names() == ["results"])
        #expect(scratch.text("results")?.utf8.count == 1_000_000)
        #expect(try FileStatus.of(scratch.sub("results"))?.permissions.rawValue == 0o640)
    }

    @Test func `a writer dropped without commit leaves nothing`() throws {
        let scratch = Scratch()
        do {
            var writer = try SafeFileWriter(
                in: scratch.path, temporaryName: ".w.tmp", permissions: [.ownerReadWrite])
            try writer.append([1, 2, 3])
        }
        #expect(scratch.names() == [])
    }

    @Test func `a taken name is kept where replacing was not asked for`() throws {
        let scratch = Scratch()
        scratch.write("a", "old")
        var writer = try SafeFileWriter(
            in: scratch.path, temporaryName: ".w.tmp", permissions: [.ownerReadWrite])
        try writer.append(Array("new".utf8))
        do {
            try writer.commit(as: "a", replacing: false)
            Issue.record("replaced")
        } catch {
            #expect(error.code == .fileExists)
        }
        #expect(scratch.names() == ["a"] && scratch.text("a") == "old")
    }

    @Test func `a leftover of a crash under the temporary name is replaced`() throws {
        let scratch = Scratch()
        scratch.write(".a.tmp", "torn and much longer")
        var writer = try SafeFileWriter(
            in: scratch.path, temporaryName: ".a.tmp", permissions: [.ownerReadWrite])
        try writer.append(Array("whole".utf8))
        try writer.commit(as: "a")
        #expect(scratch.names() == ["a"] && scratch.text("a") == "whole")
    }

    @Test func `one call writes a whole file over an old one`() throws {
        let scratch = Scratch()
        scratch.write("a", "old")
        try SafeFileWriter.write(
            Array("new".utf8), to: scratch.sub("a"), temporaryName: ".w.tmp", permissions: [.ownerReadWrite])
        #expect(scratch.text("a") == "new" && scratch.names() == ["a"])
    }
}

struct DirectoryTreeTests {
    private let mode = FilePermissions(rawValue: 0o751)

    @Test func `missing directories are made with the exact mode and named outermost first`() throws {
        let scratch = Scratch()
        var tree = try DirectoryTree(root: scratch.path)
        var created: [FilePath] = []
        _ = try tree.directory("a/b/c", creating: mode, created: &created)
        #expect(created == ["a", "a/b", "a/b/c"])
        #expect(try tree.status(of: "a/b")?.permissions == mode)
        created = []
        _ = try tree.directory("a/b/d", creating: mode, created: &created)
        #expect(created == ["a/b/d"])
        try tree.synchronize("a/b")
        try tree.synchronize("")
        #expect(tree.fullPath("a/b") == scratch.path.string + "/a/b")
    }

    @Test func `a link below the root is refused wherever it lies`() throws {
        let scratch = Scratch()
        scratch.folder("root")
        scratch.folder("elsewhere")
        scratch.link("root/out", to: "../elsewhere")
        scratch.link("root/in", to: "real")
        scratch.folder("root/real")
        scratch.write("root/real/file", "")
        scratch.link("root/real/alias", to: "file")
        var tree = try DirectoryTree(root: scratch.sub("root"))
        for path: FilePath in ["out", "out/x", "in", "in/x"] {
            var created: [FilePath] = []
            do {
                _ = try tree.directory(path, creating: mode, created: &created)
                Issue.record("went through \(path)")
            } catch {
                #expect(error.code == .tooManySymbolicLinkLevels)
            }
            #expect(created == [])
        }
        #expect(scratch.names("elsewhere") == [])
        #expect(try tree.status(of: "real/alias")?.kind == .symbolicLink)
        #expect(try tree.status(of: "real/file")?.kind == .regular)
        for path: FilePath in ["real/alias", "../elsewhere", "real/../../elsewhere", "/etc/passwd"] {
            do {
                _ = try tree.open(path, .readOnly)
                Issue.record("opened \(path)")
            } catch {
                #expect(
                    error.code == .tooManySymbolicLinkLevels || error.code == .improperLink,
                    "\(path): \(error)")
            }
        }
    }

    @Test func `a file where a directory is needed answers ENOTDIR`() throws {
        let scratch = Scratch()
        scratch.write("a", "")
        var tree = try DirectoryTree(root: scratch.path)
        var created: [FilePath] = []
        for path: FilePath in ["a", "a/b"] {
            do {
                _ = try tree.directory(path, creating: mode, created: &created)
                Issue.record("made \(path)")
            } catch {
                #expect(error.code == .notDirectory)
            }
        }
        #expect(try tree.status(of: "none/at/all") == nil)
    }

    @Test func `names that differ only in their bytes are different directories`() throws {
        let scratch = Scratch()
        var tree = try DirectoryTree(root: scratch.path)
        var created: [FilePath] = []
        _ = try tree.directory("\u{e9}", creating: mode, created: &created)
        _ = try tree.directory("e\u{301}", creating: mode, created: &created)
        #expect(created.count == 2 && scratch.names().count == 2)
    }

    @Test func `the cache stays within its bound and can be emptied`() throws {
        let scratch = Scratch()
        var tree = try DirectoryTree(root: scratch.path, capacity: 3)
        var created: [FilePath] = []
        for number in 0..<50 {
            _ = try tree.directory(FilePath("d\(number)"), creating: mode, created: &created)
        }
        #expect(created.count == 50)
        let first = try tree.directory("d0")
        #expect(try tree.directory("d0") == first)
        // Moved away by somebody: found out once the cache is empty.
        #expect(rename(scratch.sub("d0").string, scratch.sub("gone").string) == 0)
        tree.forgetDirectories()
        do {
            _ = try tree.directory("d0")
            Issue.record("still there")
        } catch {
            #expect(error.code == .noSuchFileOrDirectory)
        }
    }

    @Test func `a root that was replaced is told from the one opened`() throws {
        let scratch = Scratch()
        scratch.folder("root")
        let tree = try DirectoryTree(root: scratch.sub("root"))
        #expect(try tree.isRootCurrent())
        #expect(rename(scratch.sub("root").string, scratch.sub("moved").string) == 0)
        #expect(try !tree.isRootCurrent())
        scratch.folder("root")
        #expect(try !tree.isRootCurrent())
    }
}
