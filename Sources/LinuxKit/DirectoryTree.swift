// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import SystemPackage

/// A directory and everything below it, reached so that no path leads out of it.
///
/// Every walk goes through openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS: a
/// symbolic link anywhere below the root is refused with ELOOP (bind mounts are fine), whoever plants it and
/// whenever. Paths are relative to the root, compared by their bytes. Open directories are kept in a bounded
/// cache, which the owner empties (`forgetDirectories`) between batches: a cached one may meanwhile have been
/// moved away by others. Owned by one thread.
public struct DirectoryTree: ~Copyable {
    /// The root as it was opened; for messages.
    public let root: FilePath
    private let rootDescriptor: Descriptor
    private let rootStatus: FileStatus
    private var cache: [FilePath: Entry] = [:]
    private let capacity: Int
    private var turn: UInt64 = 0

    /// A dictionary cannot hold what is not copyable, a class can.
    private final class Entry {
        let descriptor: Descriptor
        var used: UInt64
        init(_ descriptor: consuming Descriptor, used: UInt64) {
            self.descriptor = descriptor
            self.used = used
        }
    }

    /// Opens the root; links on the way *to* it are the owner's business and followed.
    /// - Parameter capacity: how many directories stay open at most.
    public init(root: FilePath, capacity: Int = 64) throws(SystemError) {
        try self.init(opened: try Descriptor.openDirectory(root), root: root, capacity: capacity)
    }

    private init(opened: consuming Descriptor, root: FilePath, capacity: Int) throws(SystemError) {
        rootStatus = try opened.status(root.string)
        rootDescriptor = opened
        self.root = root
        self.capacity = max(1, capacity)
    }

    /// The root's number, for `*at` calls. Valid as long as this value lives.
    public var descriptor: Int32 { rootDescriptor.rawValue }

    /// The device that the root lies on.
    public var device: UInt64 { rootStatus.device }

    /// Whether the root's path still leads to the directory that was opened: false once it was removed,
    /// replaced, mounted over or unmounted. Writing on would put files where nobody looks for them.
    public func isRootCurrent() throws(SystemError) -> Bool {
        guard let now = try FileStatus.of(root, followingLinks: true) else { return false }
        return now.isSameFile(as: rootStatus)
    }

    /// Closes all cached directories.
    public mutating func forgetDirectories() { cache.removeAll(keepingCapacity: true) }

    /// The full path, for messages.
    public func fullPath(_ path: FilePath) -> String { root.appending(path.components).string }

    /// Opens a file below the root. Never follows a link, the last component included.
    public func open(
        _ path: FilePath, _ mode: FileDescriptor.AccessMode, options: FileDescriptor.OpenOptions = [],
        permissions: FilePermissions = []
    ) throws(SystemError) -> Descriptor {
        try openBeneath(path, flags: mode.rawValue | options.rawValue, permissions: permissions)
    }

    /// A tree of its own over a directory below the root, which must be there. Never opened through a link.
    public func subtree(_ path: FilePath, capacity: Int = 64) throws(SystemError) -> DirectoryTree {
        let opened = try openBeneath(path, flags: O_RDONLY | O_DIRECTORY, permissions: [])
        return try DirectoryTree(opened: opened, root: root.appending(path.components), capacity: capacity)
    }

    /// What lies under a path; a link is described, not followed. nil: nothing has that name, or its
    /// directory is missing. ENOTDIR: a file lies where the path needs a directory. ELOOP: a link does.
    public func status(of path: FilePath) throws(SystemError) -> FileStatus? {
        if path.isEmpty { return rootStatus }
        do throws(SystemError) {
            let found = try openBeneath(path, flags: dld_open_path_only, permissions: [])
            return try found.status(fullPath(path))
        } catch {
            if error.code == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    private func openBeneath(
        _ path: FilePath, flags: Int32, permissions: FilePermissions
    ) throws(SystemError) -> Descriptor {
        let number = rootDescriptor.rawValue
        let opened = try systemCall("open", fullPath(path)) { () in
            unsafe path.withPlatformString { name in
                unsafe dld_openat2_beneath(number, name, flags, permissions.rawValue)
            }
        }
        return Descriptor(owning: opened)
    }
}

extension DirectoryTree {
    /// The number of a directory that exists; empty is the root. Valid until the next mutating call.
    public mutating func directory(_ path: FilePath) throws(SystemError) -> Int32 {
        if path.isEmpty { return rootDescriptor.rawValue }
        turn += 1
        if let entry = cache[path] {
            entry.used = turn
            return entry.descriptor.rawValue
        }
        let opened = try openBeneath(path, flags: O_RDONLY | O_DIRECTORY, permissions: [])
        return keep(opened, as: path)
    }

    /// The number of a directory that is made, with its parents, where it is missing. Valid until the next
    /// mutating call.
    ///
    /// New ones get `permissions` exactly, whatever the umask. One that another made in between is taken as
    /// it is.
    /// - Parameter created: the paths made are added, outermost first; each must be fsynced in its parent
    ///   before what lies in it counts as durable.
    public mutating func directory(
        _ path: FilePath, creating permissions: FilePermissions, created: inout [FilePath]
    ) throws(SystemError) -> Int32 {
        do throws(SystemError) {
            return try directory(path)
        } catch {
            // Missing: made below. Anything else stands in the way.
            guard error.code == .noSuchFileOrDirectory, let name = path.lastComponent else { throw error }
            let parent = path.removingLastComponent()
            let above = try directory(parent, creating: permissions, created: &created)
            if try make(name, in: above, as: path) { created.append(path) }
            // No descriptor was handed out for it yet: the bits are right before anybody of ours uses it.
            let opened = try openBeneath(path, flags: O_RDONLY | O_DIRECTORY, permissions: [])
            if created.last == path { try opened.setPermissions(permissions, fullPath(path)) }
            return keep(opened, as: path)
        }
    }

    /// - Returns: false if it was there by then.
    private func make(
        _ name: FilePath.Component, in directory: Int32, as path: FilePath
    ) throws(SystemError) -> Bool {
        do throws(SystemError) {
            _ = try systemCall("mkdir", fullPath(path)) { () in
                unsafe FilePath(root: nil, [name]).withPlatformString { unsafe mkdirat(directory, $0, 0o700) }
            }
            return true
        } catch {
            if error.code == .fileExists { return false }
            throw error
        }
    }

    private mutating func keep(_ opened: consuming Descriptor, as path: FilePath) -> Int32 {
        if cache.count >= capacity, let oldest = cache.min(by: { $0.value.used < $1.value.used }) {
            cache.removeValue(forKey: oldest.key)
        }
        let entry = Entry(opened, used: turn)
        cache[path] = entry
        return entry.descriptor.rawValue
    }

    /// fsync of a directory: its names are durable.
    public mutating func synchronize(_ path: FilePath) throws(SystemError) {
        let number = try directory(path)
        _ = try systemCall("fsync", fullPath(path)) { () in fsync(number) }
    }
}
