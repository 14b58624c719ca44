// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit
import SystemPackage

extension Descriptor {
    /// `ftruncate`: the file ends here, in bytes from its start.
    borrowing func truncate(to size: Int64, _ object: String) throws(SystemError) {
        let number = rawValue
        while ftruncate(number, off_t(size)) == -1 {
            let code = Errno(rawValue: errno)
            if code != .interrupted { throw SystemError(code, "truncate", object) }
        }
    }
}
