// SPDX-License-Identifier: Apache-2.0

import LinuxKit
import SystemPackage
import TestKit
import Testing

@Suite struct PageCacheTests {
    @Test func `a file is cold once it was dropped and warm once it was read, and loses nothing`() throws {
        let directory = try TempDirectory()
        let path = directory.sub("file")
        let bytes = [UInt8](repeating: 7, count: 300_000)
        try FileTree.write(bytes, to: path)
        let file = try Descriptor.open(FilePath(path), .readWrite)
        let size = Int64(bytes.count)
        let wasCold = file.isCold(size: size)
        try file.synchronize(path)
        file.dropFromCache()
        let isCold = file.isCold(size: size)
        #expect(try FileTree.read(path) == bytes)
        let isColdAfter = file.isCold(size: size)
        let isEmptyCold = file.isCold(size: 0)
        #expect(!wasCold && !isColdAfter && !isEmptyCold)
        // What has no disk below it (tmpfs) is never cold.
        if !isCold { print("SKIP cold: no disk below \(path)") }
    }
}
