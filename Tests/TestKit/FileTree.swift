// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Plain whole-file access for tests. Any thread.
public enum FileTree {
    public static func makeDirectories(_ path: String) throws {
        var at = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            at += at.isEmpty || at.hasSuffix("/") ? "\(part)" : "/\(part)"
            guard mkdir(at, 0o755) == 0 || errno == EEXIST else { throw KitError.system("mkdir \(at)") }
        }
    }

    /// Creates or truncates; parents are made.
    public static func write(_ bytes: [UInt8], to path: String) throws {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectories(String(path[..<slash]))
        }
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw KitError.system("open \(path)") }
        defer { close(file) }
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw KitError.system("write \(path)") }
            done += count
        }
    }

    public static func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

    public static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw KitError.system("open \(path)") }
        defer { close(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &block, block.count)
            if count == 0 { return bytes }
            guard count > 0 else { throw KitError.system("read \(path)") }
            bytes.append(contentsOf: block[..<count])
        }
    }

    public static func text(_ path: String) throws -> String {
        String(decoding: try read(path), as: UTF8.self)
    }

    /// The lines without their newlines; an empty last one is left out.
    public static func lines(_ path: String) throws -> [String] {
        try text(path).split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    }

    /// Does not follow a symbolic link.
    public static func exists(_ path: String) -> Bool { status(path) != nil }

    /// lstat, nil where there is nothing.
    public static func status(_ path: String) -> stat? {
        var result = stat()
        return lstat(path, &result) == 0 ? result : nil
    }

    /// Names in a directory, sorted by bytes, without `.` and `..`; empty where there is no directory.
    public static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }

    /// Paths of all regular files below, relative to `path`, sorted by bytes.
    public static func files(below path: String) -> [String] {
        var found: [String] = []
        func walk(_ relative: String) {
            for name in names(relative.isEmpty ? path : "\(path)/\(relative)") {
                let inner = relative.isEmpty ? name : "\(relative)/\(name)"
                guard let status = status("\(path)/\(inner)") else { continue }
                switch status.st_mode & S_IFMT {
                case S_IFDIR: walk(inner)
                case S_IFREG: found.append(inner)
                default: break
                }
            }
        }
        walk("")
        return found
    }

    public static func rename(_ from: String, _ to: String) throws {
        guard Glibc.rename(from, to) == 0 else { throw KitError.system("rename \(from) -> \(to)") }
    }

    /// Removes a file, a link or a whole tree; what is not there is fine.
    public static func remove(_ path: String) {
        guard let status = status(path) else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            chmod(path, 0o700)
            for name in names(path) { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
