// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit
import SystemPackage

/// The directory calls that only the spool needs.
enum FolderCalls {
    /// `mkdirat`; that it is there already is no error. The mode is set by the caller with `fchmod`.
    static func makeDirectory(_ name: FilePath, in parent: Int32?, _ path: String) throws(SystemError) {
        let answer = unsafe name.withPlatformString { unsafe mkdirat(parent ?? AT_FDCWD, $0, 0o700) }
        if answer == -1, errno != EEXIST { throw .last("mkdir", path) }
    }
}

/// A walk over a directory that stops and goes on: a hundred thousand names are never held at once.
///
/// Names that come or go meanwhile may or may not be seen (readdir(3)); the watch reports those that come.
@safe final class FolderScan {
    struct Entry {
        /// As its bytes: a name need not be UTF-8.
        var name: [UInt8]
        var inode: UInt64
        var text: String? { String(validating: name, as: UTF8.self) }
    }
    private let stream: OpaquePointer

    init(_ folder: OpenFolder) throws(SystemError) {
        // An open file of its own: the position of a directory stream belongs to the open file, not the descriptor.
        let own = try Descriptor.openDirectory(".", in: folder.descriptor.rawValue).release()
        guard let stream = unsafe fdopendir(own) else {
            let error = SystemError.last("read directory", folder.path)
            close(own)
            throw error
        }
        unsafe self.stream = stream
    }

    deinit { unsafe _ = closedir(stream) }

    /// The next entry, without `.` and `..`; nil at the end. An error ends it too: the next scan tries again.
    func next() -> Entry? {
        while let record = unsafe readdir(stream) {
            let name = unsafe Self.name(of: record)
            if name == [0x2E] || name == [0x2E, 0x2E] { continue }
            return Entry(name: name, inode: UInt64(unsafe record.pointee.d_ino))
        }
        return nil
    }

    private static func name(of record: UnsafeMutablePointer<dirent>) -> [UInt8] {
        unsafe withUnsafeBytes(of: &record.pointee.d_name) { bytes in
            unsafe Array(bytes.prefix { $0 != 0 })
        }
    }
}

extension FilePath {
    /// One component from its bytes, whatever their encoding.
    init(component bytes: [UInt8]) {
        self = unsafe (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
            unsafe FilePath(platformString: $0.baseAddress!)
        }
    }
}
