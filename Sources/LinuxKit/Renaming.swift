// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import SystemPackage

/// Renames without ever replacing: EEXIST if the name is taken. Atomic.
///
/// Where the file system has no RENAME_NOREPLACE (EINVAL: NFS, some FUSE), link and unlink: a crash in
/// between leaves both names on one file, which the caller tells by the inode. Directories cannot be moved
/// that way.
/// - Parameter directory: each path is relative to its own; nil is the working directory.
public func renameNoReplace(
    _ old: FilePath, in oldDirectory: Int32? = nil, to new: FilePath, in newDirectory: Int32? = nil
) throws(SystemError) {
    let (from, into) = (oldDirectory ?? AT_FDCWD, newDirectory ?? AT_FDCWD)
    let answer = unsafe old.withPlatformString { oldName in
        unsafe new.withPlatformString { newName in unsafe dld_rename_noreplace(from, oldName, into, newName) }
    }
    if answer == 0 { return }
    switch errno {
    case EINVAL, ENOSYS, EOPNOTSUPP: try linkAndUnlink(old, in: from, to: new, in: into)
    default: throw .last("rename", "\(old) -> \(new)")
    }
}

/// Renames, replacing a file of the new name in one step: it is whole before and after.
public func renameReplace(
    _ old: FilePath, in oldDirectory: Int32? = nil, to new: FilePath, in newDirectory: Int32? = nil
) throws(SystemError) {
    let (from, into) = (oldDirectory ?? AT_FDCWD, newDirectory ?? AT_FDCWD)
    _ = try systemCall("rename", "\(old) -> \(new)") { () in
        unsafe old.withPlatformString { oldName in
            unsafe new.withPlatformString { newName in unsafe renameat(from, oldName, into, newName) }
        }
    }
}

/// The way round for file systems without RENAME_NOREPLACE. EEXIST comes from link(2).
func linkAndUnlink(
    _ old: FilePath, in from: Int32, to new: FilePath, in into: Int32
) throws(SystemError) {
    _ = try systemCall("link", "\(old) -> \(new)") { () in
        unsafe old.withPlatformString { oldName in
            unsafe new.withPlatformString { newName in unsafe linkat(from, oldName, into, newName, 0) }
        }
    }
    try unlink(old, in: from)
}

/// Gives a file a second name; EEXIST if it is taken (link(2)).
public func addName(_ old: FilePath, to new: FilePath) throws(SystemError) {
    _ = try systemCall("link", "\(old) -> \(new)") { () in
        unsafe old.withPlatformString { oldName in
            unsafe new.withPlatformString { newName in unsafe linkat(AT_FDCWD, oldName, AT_FDCWD, newName, 0)
            }
        }
    }
}

/// Removes a file's name. - Returns: false if there was none.
@discardableResult
public func unlink(_ path: FilePath, in directory: Int32? = nil) throws(SystemError) -> Bool {
    do throws(SystemError) {
        _ = try systemCall("unlink", path.string) { () in
            unsafe path.withPlatformString { unsafe unlinkat(directory ?? AT_FDCWD, $0, 0) }
        }
        return true
    } catch {
        if error.code == .noSuchFileOrDirectory { return false }
        throw error
    }
}

/// Writes back everything of the file system that the descriptor lies on (syncfs(2)): one call for many
/// files. Since Linux 5.8 it reports errors of any file there; which one, only that file's own fsync tells.
public func syncFileSystem(of descriptor: Int32, _ object: String = "") throws(SystemError) {
    _ = try systemCall("syncfs", object) { () in dld_syncfs(descriptor) }
}

/// Starts writing back a range, in bytes, and waits for nothing: keeps the last fsync short. A hint without
/// promise of durability; file systems that do not know it answer with an error that may be left aside.
public func startWriteback(of descriptor: Int32, offset: Int64, length: Int64) throws(SystemError) {
    _ = try systemCall("sync_file_range", "descriptor \(descriptor)") { () in
        dld_start_writeback(descriptor, offset, length)
    }
}
