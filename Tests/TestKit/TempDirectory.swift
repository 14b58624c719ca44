// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What a fixture of the kit could not do, in words.
public struct KitError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }

    /// Reads `errno` at once: call it directly after the failed call.
    public static func system(_ operation: String) -> KitError {
        let code = errno
        return KitError("\(operation): \(String(cString: strerror(code)))")
    }
}

/// A directory of its own for one test, removed with all it holds when the last reference goes.
///
/// Short on purpose (`/tmp/dld-XXXXXX`): socket paths must stay under 108 bytes. `TMPDIR` is honoured. Any thread.
public final class TempDirectory: Sendable {
    /// Absolute, without a trailing slash.
    public let path: String
    private let isKept: Bool

    /// - Parameter mode: permission bits of the directory; root's tests with other users need 0755.
    public init(mode: mode_t = 0o755) throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/dld-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw KitError.system("mkdtemp \(base)") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        chmod(path, mode)
        // For looking at what a failed test left: DLD_TEST_KEEP=1 swift test ...
        isKept = getenv("DLD_TEST_KEEP") != nil
    }

    deinit { if !isKept { FileTree.remove(path) } }

    /// A path inside; nothing is created.
    public func sub(_ name: String) -> String { "\(path)/\(name)" }

    /// Makes a directory (and its parents) inside and returns its path.
    @discardableResult
    public func directory(_ name: String) throws -> String {
        let full = sub(name)
        try FileTree.makeDirectories(full)
        return full
    }

    /// Writes a whole file (parents are made) and returns its path.
    @discardableResult
    public func file(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        let full = sub(name)
        try FileTree.write(Array(bytes), to: full)
        return full
    }

    /// Writes a whole text file (parents are made) and returns its path.
    @discardableResult
    public func file(_ name: String, _ text: String) throws -> String { try file(name, text.utf8) }
}
