// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// A directory of one test's own, removed with what it holds.
public final class Scratch {
    public let path: FilePath

    public init() {
        var template = Array("/tmp/dld-test-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "mkdtemp: errno \(errno)")
        path = template.withUnsafeBufferPointer { FilePath(platformString: $0.baseAddress!) }
    }
    deinit { Self.remove(path.string) }

    public func sub(_ name: String) -> FilePath { path.appending(name) }

    @discardableResult
    public func write(_ name: String, _ text: String) -> FilePath {
        let full = sub(name)
        let number = open(full.string, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        precondition(number >= 0, "open \(full): errno \(errno)")
        let bytes = Array(text.utf8)
        precondition(Glibc.write(number, bytes, bytes.count) == bytes.count)
        close(number)
        return full
    }

    @discardableResult
    public func folder(_ name: String) -> FilePath {
        let full = sub(name)
        precondition(mkdir(full.string, 0o755) == 0, "mkdir \(full): errno \(errno)")
        return full
    }

    public func link(_ name: String, to target: String) {
        precondition(symlink(target, sub(name).string) == 0, "symlink \(name): errno \(errno)")
    }

    public func text(_ name: String) -> String? {
        let number = open(sub(name).string, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return nil }
        defer { close(number) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(number, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    public func names(_ name: String = "") -> [String] {
        Self.list(name.isEmpty ? path.string : sub(name).string)
    }

    private static func list(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func remove(_ path: String) {
        if unlink(path) == 0 { return }
        for name in list(path) { remove(path + "/" + name) }
        rmdir(path)
    }
}
