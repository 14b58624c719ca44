// SPDX-License-Identifier: Apache-2.0

import Config
import Glibc
import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// Whether the output directory is this ledger's.
struct OutputCheck {
    let context: FsckContext
    init(_ context: FsckContext) { self.context = context }

    /// - Returns: whether parts and published files may be looked for there.
    func run() throws -> Bool {
        let place = context.place
        let owner = try place.owner()
        if owner == place.identity { return true }
        // Nothing was ever put there: the first start makes the place.
        if owner == nil, try context.store.totals().total == 0, try isUnused() { return true }
        let says =
            owner.map { "belongs to another ledger (\($0)), not to \(place.identity)" }
            ?? "has no .dld/id though the ledger has jobs there: not mounted?"
        guard context.options.adopt else {
            context.report.add(
                Finding(
                    weight: .wrong, object: place.root, says: says,
                    remedy: "if the files are there all the same: dld fsck --adopt"))
            return false
        }
        try adopt(from: owner)
        context.report.add(
            Finding(weight: .wrong, object: place.root, says: says, remedy: "adopted", isMended: true))
        return true
    }

    private func isUnused() throws -> Bool { try context.store.publishedFiles(after: nil, limit: 1).isEmpty }

    private func adopt(from owner: String?) throws {
        if let owner {
            let parts = FilePath("\(context.place.root)/.dld/\(owner)")
            if owner.utf8.count == 16, try FileStatus.of(parts)?.kind == .directory {
                // Its daemon may be alive, under another config.
                withExtendedLifetime(try PartCheck.lock(parts)) {}
            }
        }
        try context.place.claim(dirMode: context.configuration.output.dirMode)
    }
}

/// Modes of what others must not read or change.
struct ModeCheck {
    let context: FsckContext
    init(_ context: FsckContext) { self.context = context }

    func run(withOutput: Bool) throws {
        let state = context.configuration.stateDir
        // SQLite gives -wal and -shm the mode of the database, which the start restricts.
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            try check("\(state)/\(name)", forbidden: 0o077, mode: 0o600)
        }
        try check("\(context.spool)/accepted", forbidden: 0o022, mode: 0o2750)
        if withOutput { try check(context.place.parts, forbidden: 0o077, mode: 0o700) }
    }

    private func check(_ path: String, forbidden: CInterop.Mode, mode: CInterop.Mode) throws {
        guard let status = try FileStatus.of(FilePath(path)) else { return }
        let found = status.permissions.rawValue
        guard found & forbidden != 0 else { return }
        func octal(_ number: CInterop.Mode) -> String { String(number, radix: 8) }
        context.mend(path, "its mode is \(octal(found)), others get in", done: "mode \(octal(mode))") {
            guard unsafe chmod(path, mode) == 0 else { throw SystemError.last("chmod", path) }
        }
    }
}
