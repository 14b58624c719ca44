// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// An exclusive flock(2) held for as long as this value lives: on a lock file, or on a directory itself.
///
/// Gone with the process, however it ends; a child that inherited the descriptor would keep it, so it is
/// close-on-exec. Never lay one on a file that SQLite opens.
public struct FileLock: ~Copyable, Sendable {
    private let descriptor: Descriptor
    /// What is locked; for messages.
    public let path: FilePath

    /// Creates the file if need be and locks it; never waits. Held by another: `isWouldBlock`.
    public init(file path: FilePath, permissions: FilePermissions = [.ownerReadWrite]) throws(SystemError) {
        let opened = try Descriptor.open(
            path, .readWrite, options: [.create, .noFollow], permissions: permissions)
        try Self.lock(opened.rawValue, path)
        descriptor = opened
        self.path = path
    }

    /// Locks a directory that exists; never waits. Held by another: `isWouldBlock`.
    public init(directory path: FilePath) throws(SystemError) {
        let opened = try Descriptor.openDirectory(path)
        try Self.lock(opened.rawValue, path)
        descriptor = opened
        self.path = path
    }

    private static func lock(_ number: Int32, _ path: FilePath) throws(SystemError) {
        _ = try systemCall("lock", path.string) { () in flock(number, LOCK_EX | LOCK_NB) }
    }

    /// Replaces the content of the lock file: who holds it, for people (pid and version).
    public borrowing func write(note: String) throws(SystemError) {
        let number = descriptor.rawValue
        _ = try systemCall("truncate", path.string) { () in ftruncate(number, 0) }
        _ = try systemCall("seek", path.string) { () in lseek(number, 0, SEEK_SET) }
        try descriptor.writeAll(Array(note.utf8), path.string)
    }

    /// What the holder wrote; empty where it cannot be read.
    public static func note(in path: FilePath) -> String {
        do throws(SystemError) {
            let file = try Descriptor.open(path, .readOnly, options: [.noFollow, .nonBlocking])
            return String(decoding: try file.read(upTo: 4096, path.string) ?? [], as: UTF8.self)
        } catch {
            return ""
        }
    }
}
