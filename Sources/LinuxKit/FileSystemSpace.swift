// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// How much room a file system has left (statvfs(3)).
public struct FileSystemSpace: Sendable, Hashable {
    /// Bytes that a user who is not root may still write.
    public let freeBytes: Int64
    /// Bytes in all.
    public let totalBytes: Int64
    /// Files that may still be made; nil where the file system has no fixed number (btrfs).
    public let freeFiles: Int64?
    /// Files that there may be in all; nil likewise.
    public let totalFiles: Int64?
    public let isReadOnly: Bool

    /// Of the file system that the path lies on.
    public static func of(_ path: FilePath) throws(SystemError) -> FileSystemSpace {
        var raw = statvfs()
        _ = try systemCall("statvfs", path.string) { () in
            unsafe path.withPlatformString { unsafe statvfs($0, &raw) }
        }
        return FileSystemSpace(raw)
    }

    /// Of the file system that an open file or directory lies on.
    public static func of(
        descriptor: Int32, _ object: String = ""
    ) throws(SystemError) -> FileSystemSpace {
        var raw = statvfs()
        _ = try systemCall("statvfs", object) { () in unsafe fstatvfs(descriptor, &raw) }
        return FileSystemSpace(raw)
    }

    private init(_ raw: statvfs) {
        func bytes(_ blocks: UInt) -> Int64 {
            let (product, overflow) = UInt64(blocks).multipliedReportingOverflow(by: UInt64(raw.f_frsize))
            return overflow ? .max : Int64(clamping: product)
        }
        freeBytes = bytes(raw.f_bavail)
        totalBytes = bytes(raw.f_blocks)
        freeFiles = raw.f_files == 0 ? nil : Int64(clamping: raw.f_favail)
        totalFiles = raw.f_files == 0 ? nil : Int64(clamping: raw.f_files)
        isReadOnly = Int32(truncatingIfNeeded: raw.f_flag) & Int32(ST_RDONLY) != 0
    }
}
