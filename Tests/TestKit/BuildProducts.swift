// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Finds the programs that were built together with the running tests.
public enum BuildProducts {
    /// The directory that holds the test bundle, and so `dld`, `sumd` and `dlctl`: right for `swift test`, for
    /// `--scratch-path` and for sanitizer builds, since SwiftPM puts all products of one build side by side.
    public static var directory: String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes {
            readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        let executable = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        if let beside = parent(of: executable), FileTree.exists("\(beside)/dld") { return beside }
        // Where a helper program of the toolchain runs the tests, the bundle's path is among its arguments.
        for argument in CommandLine.arguments where argument.contains(".xctest") {
            if let beside = parent(of: argument), FileTree.exists("\(beside)/dld") { return beside }
        }
        return parent(of: executable) ?? "."
    }

    /// The path of a built program.
    public static func path(_ program: String) throws -> String {
        let path = "\(directory)/\(program)"
        guard access(path, X_OK) == 0 else { throw KitError("\(path) is not built") }
        return path
    }

    private static func parent(of path: String) -> String? {
        path.lastIndex(of: "/").map { String(path[..<$0]) }
    }
}
