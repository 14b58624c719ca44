// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// Hidden files that only a crash leaves: half-written results, uploads, probes.
struct LeftoverCheck {
    let context: FsckContext
    init(_ context: FsckContext) { self.context = context }

    func run(withOutput: Bool) throws {
        try look(in: context.spool) { name in
            name.hasPrefix(".dld-")
        }
        for folder in ["accepted", "done", "failed", "rejected"] {
            try look(in: "\(context.spool)/\(folder)", Self.isTemporary)
        }
        try look(in: context.configuration.stateDir) { name in
            name.hasPrefix(".dld-") || name == "ledger.db.new" || name == "ledger.db.new-journal"
        }
        if withOutput {
            try look(in: context.place.root + "/.dld") { $0.hasPrefix(".") && $0.hasSuffix(".tmp") }
        }
    }

    /// `.LIST.results.tmp`, `.LIST.failed.tmp`, `.reason.tmp`, `.dld-...`; `.HEX.tmp` by earlier versions.
    private static func isTemporary(_ name: String) -> Bool {
        if name.hasPrefix(".dld-") || name == ".reason.tmp" { return true }
        guard name.hasPrefix("."), name.hasSuffix(".tmp") else { return false }
        var stem = name.dropFirst().dropLast(4)
        for kind in [".results", ".failed"] where stem.hasSuffix(kind) { stem = stem.dropLast(kind.count) }
        return !stem.isEmpty && stem.allSatisfy(\.isHexDigit)
    }

    private func look(in directory: String, _ isLeftover: (String) -> Bool) throws {
        let folder = FilePath(directory)
        guard try FileStatus.of(folder, followingLinks: true) != nil else { return }
        let scan = try FolderNames(folder)
        while let entry = scan.next() {
            guard isLeftover(entry.name), try !isList(entry.inode) else { continue }
            let path = folder.appending(entry.name)
            guard try FileStatus.of(path)?.kind == .regular else { continue }
            context.mend(path.string, "left by a crash", done: "removed") { _ = try unlink(path) }
        }
    }

    /// An upload that the ledger has taken and that is still to be moved.
    private func isList(_ inode: UInt64) throws -> Bool {
        switch try context.store.list(inode: inode)?.state {
        case .admitting, .running: true
        case .closed, .rejected, .removing, nil: false
        }
    }
}
