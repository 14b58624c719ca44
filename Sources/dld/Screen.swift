// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Standard output and standard error, whole lines, without stdio's buffers.
enum Screen {
    static func show(_ text: String) { write(text, to: 1) }
    static func complain(_ text: String) { write(text, to: 2) }

    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let written = unsafe bytes.span.bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress! + start, buffer.count - start)
            }
            if written < 0, errno == EINTR { continue }
            // Nobody listens any more.
            guard written > 0 else { return }
            start += written
        }
    }
}

/// This process becomes another program.
enum Replacement {
    /// Returns only when it failed, with the reason. The corresponding C function is `execv`.
    static func become(_ program: String, arguments: [String]) -> String {
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map {
            unsafe strdup($0)
        }
        unsafe pointers.append(nil)
        unsafe _ = execv(program, &pointers)
        return unsafe String(cString: strerror(errno))
    }
}
