// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// What `stat` tells of a file, as plain values.
public struct FileStatus: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case regular, directory, symbolicLink, fifo, socket, device
    }
    /// What it is.
    public var kind: Kind
    /// With `inode`, the identity of a file while it lives; a freed inode number is given out again.
    public var device: UInt64
    public var inode: UInt64
    public var links: UInt64
    public var owner: UInt32
    public var group: UInt32
    /// The twelve permission bits.
    public var permissions: FilePermissions
    /// In bytes.
    public var size: Int64
    /// Last change of the content: seconds since 1970 UTC and the nanoseconds within.
    public var modifiedSeconds: Int64
    public var modifiedNanoseconds: Int64
    /// Last change of anything about the file, its names included; nobody can set it.
    public var changedSeconds: Int64
    public var changedNanoseconds: Int64

    /// Milliseconds since 1970 UTC; held within Int64 whatever a damaged inode says.
    public var modifiedMilliseconds: Int64 { Self.milliseconds(modifiedSeconds, modifiedNanoseconds) }
    /// The same of the last change of anything.
    public var changedMilliseconds: Int64 { Self.milliseconds(changedSeconds, changedNanoseconds) }

    private static func milliseconds(_ seconds: Int64, _ nanoseconds: Int64) -> Int64 {
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = scaled.addingReportingOverflow(nanoseconds / 1_000_000)
        return overflowed ? .max : sum
    }

    /// Whether both are names of one file.
    public func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }

    init(_ raw: stat) {
        switch raw.st_mode & S_IFMT {
        case S_IFREG: kind = .regular
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .symbolicLink
        case S_IFIFO: kind = .fifo
        case S_IFSOCK: kind = .socket
        default: kind = .device
        }
        device = UInt64(raw.st_dev)
        inode = UInt64(raw.st_ino)
        links = UInt64(raw.st_nlink)
        owner = raw.st_uid
        group = raw.st_gid
        permissions = FilePermissions(rawValue: raw.st_mode & 0o7777)
        size = Int64(raw.st_size)
        modifiedSeconds = Int64(raw.st_mtim.tv_sec)
        modifiedNanoseconds = Int64(raw.st_mtim.tv_nsec)
        changedSeconds = Int64(raw.st_ctim.tv_sec)
        changedNanoseconds = Int64(raw.st_ctim.tv_nsec)
    }
}

extension FileStatus {
    /// Of a path, relative to `directory` or else to the working directory; nil where nothing has that name.
    /// A symbolic link is described itself unless `followingLinks`.
    public static func of(
        _ path: FilePath, in directory: Int32? = nil, followingLinks: Bool = false
    ) throws(SystemError) -> FileStatus? {
        var raw = stat()
        let flags = followingLinks ? 0 : AT_SYMLINK_NOFOLLOW
        let answer = unsafe path.withPlatformString { name in
            unsafe fstatat(directory ?? AT_FDCWD, name, &raw, flags)
        }
        if answer == 0 { return FileStatus(raw) }
        if errno == ENOENT { return nil }
        throw .last("stat", path.string)
    }
}
