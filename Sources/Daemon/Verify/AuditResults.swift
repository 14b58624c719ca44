// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// `STATE/verify/ID.jsonl`: the results of one audit, a line for each file that is bad (or for every file). A line counts
/// once the ledger says that the file is so long: what a crash left behind that is cut off before the next is written.
enum AuditResults {
    static func folder(_ state: String) -> String { state + "/verify" }
    static func path(_ state: String, _ id: AuditID) -> FilePath { FilePath("\(folder(state))/\(id).jsonl") }

    /// Adds lines behind the first `length` bytes and makes them durable.
    static func append(
        _ lines: [UInt8], to id: AuditID, at length: Int64, state: String, isDurable: Bool
    ) throws {
        let path = path(state, id)
        let isNew = try FileStatus.of(path) == nil
        if isNew { try DirectoryMaking.make(FilePath(folder(state)), mode: 0o700) }
        let file = try Descriptor.open(
            path, .writeOnly, options: [.create, .noFollow], permissions: [.ownerReadWrite])
        try file.fileDescriptor.resize(to: length)
        let span = lines.span
        try file.writeAll(unsafe span.bytes, at: length, path.string)
        guard isDurable else { return }
        try file.synchronizeContent(path.string)
        if isNew { try Descriptor.openDirectory(FilePath(folder(state))).synchronize(folder(state)) }
    }

    static func remove(_ id: AuditID, state: String) {
        do { _ = try unlink(path(state, id)) } catch {
            // A file more in STATE/verify, which nobody looks at again.
        }
    }

    /// The lines between two places of the file, at most `limit` of them.
    /// - Returns: where the next page begins; nil: nothing is left before `end`.
    static func page(
        _ id: AuditID, from start: Int64, to end: Int64, limit: Int, state: String
    ) throws -> (items: [AuditFindingDocument], next: Int64?) {
        guard start < end else { return ([], nil) }
        let path = path(state, id)
        let file = try Descriptor.open(path, .readOnly, options: [.noFollow, .nonBlocking])
        try file.fileDescriptor.seek(offset: start, from: .start)
        var items: [AuditFindingDocument] = []
        var place = start
        var rest: [UInt8] = []
        while place < end, items.count < limit {
            let run =
                try file.read(upTo: Int(min(65_536, end - place - Int64(rest.count))), path.string) ?? []
            guard !run.isEmpty else { break }
            rest += run
            while items.count < limit, let cut = rest.firstIndex(of: UInt8(ascii: "\n")) {
                items.append(try ControlAPI.decode(AuditFindingDocument.self, from: Array(rest[..<cut])))
                rest.removeSubrange(...cut)
                place += Int64(cut) + 1
            }
        }
        return (items, place < end && !items.isEmpty ? place : nil)
    }
}
