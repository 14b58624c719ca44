// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// Where one `dld get` keeps its ledger, and the list it is made into.
struct GetPlace {
    let root: String
    let output: String
    var spool: String { root + "/spool" }
    var state: String { root + "/state" }

    init(_ request: GetRequest) throws {
        output = try Self.absolute(request.directory)
        let list = try Self.list(request)
        let base =
            Environment.value("XDG_STATE_HOME") ?? (Environment.value("HOME") ?? "/tmp") + "/.local/state"
        root = "\(base)/dld/get/\(Self.identity([output] + list.identity))"
        let alreadyKnown = try FileStatus.of(FilePath(root + "/state/ledger.db")) != nil
        try DirectoryMaking.make(FilePath(root + "/state"), mode: 0o700)
        if alreadyKnown {
            try dropFailedAgain()
            return
        }
        try DirectoryMaking.make(FilePath(spool), mode: 0o700)
        try SafeFileWriter.write(
            list.bytes, to: FilePath("\(spool)/\(list.name)"),
            permissions: [.ownerReadWrite])
    }

    /// The same call again: what failed in the last one is tried again, and only that.
    private func dropFailedAgain() throws {
        let folder = spool + "/failed"
        let manager = FileManager.default
        guard manager.fileExists(atPath: folder) else { return }
        for (number, name) in try manager.contentsOfDirectory(atPath: folder).sorted().enumerated() {
            if name.hasSuffix(".failed.jsonl") {
                try manager.moveItem(atPath: "\(folder)/\(name)", toPath: "\(spool)/again-\(number).jsonl")
            } else {
                try manager.removeItem(atPath: "\(folder)/\(name)")
            }
        }
    }

    /// Whether the same call again has something to try.
    var canGoOn: Bool { !files(in: "failed", ending: ".failed.jsonl").isEmpty }

    /// What did not end well, a line each, from the results of the closed lists.
    func failures() -> [String] {
        results(in: "failed").flatMap { text in
            text.split(separator: "\n").compactMap { line in
                let decoder = JSONDecoder()
                let bytes = Data(line.utf8)
                let read = try? decoder.decode(ShownResult.self, from: bytes)  // ours; checked by tests
                guard let result = read, let error = result.error else { return nil }
                // A bad line's message begins with its line, or that of its option.
                let what = result.url ?? result.urls?.first ?? "line \(result.line)"
                let isPlaced = result.url == nil && error.message.hasPrefix("line ")
                return (isPlaced ? "" : "\(what): ") + "\(error.message) (\(error.code))"
            }
        }
    }

    func rejections() -> [String] {
        files(in: "rejected", ending: ".reason.txt").map {
            String($0.split(separator: "\n").first ?? "the list was rejected")
        }
    }

    /// The way out of a damaged ledger, as a command for a shell.
    var mending: String {
        let quoted = root.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        return
            "Forget what this call had begun, by: rm -r '\(quoted)'   (finished files stay, and the same call "
            + "then fetches anew)"
    }

    /// The state goes; the parts directories of this call and each `.dld` too, if they are empty.
    func remove(_ place: OutputPlace) {
        do { try FileManager.default.removeItem(atPath: root) } catch {
            DaemonRun.complain("warning: \(root) could not be removed: \(error)")
        }
        do {
            for home in try MountMemory.read(place) {
                Self.removeEmpty(home.root(output: place.root), parts: place.identity)
            }
            try MountMemory.removeIfLast(place)
        } catch {
            DaemonRun.complain("warning: \(place.root)/.dld could not be removed: \(error)")
        }
        Self.removeEmpty(place.root, parts: place.identity)
    }

    /// rmdir refuses what is not empty, which is just what is wanted: others may have parts there.
    private static func removeEmpty(_ home: String, parts: String) {
        unsafe _ = rmdir("\(home)/.dld/\(parts)")
        unsafe _ = rmdir("\(home)/.dld")
    }

    private struct ShownResult: Decodable {
        struct ShownError: Decodable { let code: String, message: String }
        let url: String?, urls: [String]?, line: Int, error: ShownError?
    }

    private func results(in folder: String) -> [String] { files(in: folder, ending: ".results.jsonl") }

    private func files(in folder: String, ending: String) -> [String] {
        let path = "\(spool)/\(folder)"
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(ending) }
                .map { try String(contentsOfFile: "\(path)/\($0)", encoding: .utf8) }
        } catch {
            return []
        }
    }

    private struct MadeList {
        var name: String
        var bytes: [UInt8]
        var identity: [String]
    }

    private static func list(_ request: GetRequest) throws -> MadeList {
        if let input = request.input {
            let bytes = try input == "-" ? readAll(0) : contents(input)
            let name = input == "-" ? "input.txt" : FilePath(input).lastComponent?.string ?? "input.txt"
            let isText = ![".jsonl", ".meta4", ".gz"].contains { name.hasSuffix($0) }
            guard isText || request.headers.isEmpty && request.urls.isEmpty else {
                throw StartError(
                    ExitStatus.usage,
                    "headers and URLs beside a list are for text lists; put them into \(name)")
            }
            // Indented lines before the first entry are defaults of the whole list.
            let text = defaults(request) + bytes + request.urls.flatMap { Array("\n\(url($0))\n".utf8) }
            return MadeList(
                name: isText && !name.hasSuffix(".txt") ? name + ".txt" : name, bytes: text,
                identity: [input, String(NameHash.of(text), radix: 16)])
        }
        let urls = request.urls.map(url)
        var text = String(decoding: defaults(request), as: UTF8.self)
        for url in urls {
            text += url + "\n"
            if let name = request.name { text += " out=\(name)\n" }
            if let checksum = request.checksum { text += " checksum=\(checksum)\n" }
        }
        return MadeList(name: "get.txt", bytes: Array(text.utf8), identity: [text])
    }

    private static func url(_ text: String) -> String { text.contains("://") ? text : "http://" + text }

    private static func defaults(_ request: GetRequest) -> [UInt8] {
        request.headers.flatMap { Array(" header=\($0.name): \($0.value)\n".utf8) }
    }

    private static func contents(_ path: String) throws -> [UInt8] {
        let file = try Descriptor.open(FilePath(path), .readOnly)
        return try readAll(file.rawValue)
    }

    private static func readAll(_ descriptor: Int32) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw StartError(ExitStatus.io, "the list cannot be read: errno \(errno)")
            }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    private static func absolute(_ path: String) throws -> String {
        if path.hasPrefix("/") { return FilePath(path).lexicallyNormalized().string }
        guard let current = unsafe getcwd(nil, 0) else {
            throw StartError(ExitStatus.io, "no working directory")
        }
        defer { unsafe free(current) }
        return unsafe FilePath(String(cString: current)).appending(path).lexicallyNormalized().string
    }

    private static func identity(_ parts: [String]) -> String {
        let hash = NameHash.of(Array(parts.joined(separator: "\u{0}").utf8))
        let hex = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - hex.utf8.count) + hex
    }
}

/// FNV-1a, 64 bits: stable names, nothing secret.
enum NameHash {
    static func of(_ bytes: [UInt8]) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }
}
