// SPDX-License-Identifier: Apache-2.0

import Glibc

extension ProcessFacts {
    /// The corresponding C function is `getpid`.
    public static var pid: Int32 { getpid() }

    /// The program that runs, from /proc/self/exe (proc(5)); nil where /proc is not mounted.
    public static var executablePath: String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
