// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

extension ProcessFacts {
    /// The corresponding C function is `getpid`.
    public static var pid: Int32 { getpid() }

    /// Names this boot of the machine (random(4)); nil where /proc is not mounted.
    public static var bootID: String? {
        let path = FilePath("/proc/sys/kernel/random/boot_id")
        guard let file = try? Descriptor.open(path, .readOnly) else { return nil }  // see above
        guard let bytes = try? file.read(upTo: 64, path.string) else { return nil }  // see above
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// The program that runs, from /proc/self/exe (proc(5)); nil where /proc is not mounted.
    public static var executablePath: String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
