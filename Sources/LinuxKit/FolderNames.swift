// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// The names in one directory, one after the other: however many there are, one is held at a time.
@safe public final class FolderNames {
    /// One directory entry.
    public struct Entry: Sendable {
        /// As its bytes say, damaged UTF-8 replaced: for looking at, and for names that we made ourselves.
        public let name: String
        public let inode: UInt64
    }
    private let stream: OpaquePointer
    private let path: String

    /// Opens it; links on the way are followed. Used by one thread.
    public init(_ directory: FilePath) throws(SystemError) {
        guard let stream = unsafe opendir(directory.string) else {
            throw .last("read directory", directory.string)
        }
        unsafe self.stream = stream
        path = directory.string
    }

    deinit { unsafe _ = closedir(stream) }

    /// The next one, without `.` and `..`; nil at the end.
    public func next() -> Entry? {
        while let record = unsafe readdir(stream) {
            let bytes = unsafe withUnsafeBytes(of: &record.pointee.d_name) {
                unsafe Array($0.prefix { $0 != 0 })
            }
            if bytes == [0x2E] || bytes == [0x2E, 0x2E] { continue }
            let inode = UInt64(unsafe record.pointee.d_ino)
            return Entry(name: String(decoding: bytes, as: UTF8.self), inode: inode)
        }
        return nil
    }
}
