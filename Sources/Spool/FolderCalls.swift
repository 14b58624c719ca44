// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit
import SystemPackage

/// The directory calls of the spool, relative to an open folder.
enum FolderCalls {
    /// `mkdirat`; that it is there already is no error. The mode is set by the caller with `fchmod`.
    static func makeDirectory(_ name: FilePath, in parent: Int32?, _ path: String) throws(SystemError) {
        let answer = unsafe name.withPlatformString { unsafe mkdirat(parent ?? AT_FDCWD, $0, 0o700) }
        if answer == -1, errno != EEXIST { throw .last("mkdir", path) }
    }
}

extension OpenFolder {
    /// `unlinkat`; that it is gone already is no error.
    func remove(_ name: String) throws(SystemError) {
        let answer = unsafe name.withCString { unsafe unlinkat(descriptor.rawValue, $0, 0) }
        if answer == -1, errno != ENOENT { throw .last("unlink", path + "/" + name) }
    }
}
