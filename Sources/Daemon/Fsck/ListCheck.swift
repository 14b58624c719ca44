// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import Spool
import SystemPackage

/// Lists of the ledger against list files of the spool.
struct ListCheck {
    let context: FsckContext
    private static let page = 500

    init(_ context: FsckContext) { self.context = context }

    func run() throws {
        var last: ListID?
        while true {
            let rows = try context.store.lists(after: last, limit: Self.page)
            for row in rows {
                context.report.lists += 1
                switch row.state {
                case .admitting, .running: try checkOpen(row)
                case .closed: try checkClosed(row)
                case .rejected, .removing: break
                }
            }
            guard rows.count == Self.page else { break }
            last = rows.last?.id
        }
        try checkAccepted()
        try checkUnfinished()
    }

    private func isFile(_ name: String, in folder: String, of row: ListRow) throws -> Bool {
        guard !name.isEmpty else { return false }
        // The device may bear another number since a reboot; within one spool the inode tells.
        return try FileStatus.of(FilePath("\(context.spool)/\(folder)/\(name)"))?.inode == row.inode
    }

    private func checkOpen(_ row: ListRow) throws {
        let numbered = ListName(row.name).numbered(row.id.rawValue)
        for name in [row.acceptedName, row.name, numbered] {
            if try isFile(name, in: "accepted", of: row) { return }
        }
        for folder in ["", "done", "failed", "rejected"] {
            for name in [row.name, numbered] where try isFile(name, in: folder, of: row) {
                // A crash between a move and the commit after it; the next start goes on from there.
                return note(row, "its file lies in \(context.spool)/\(folder) already")
            }
        }
        note(
            row,
            "its file is gone from accepted/; the \(row.position.line) lines that the ledger has go on without it"
        )
    }

    private func note(_ row: ListRow, _ says: String) {
        context.report.add(
            Finding(weight: .note, object: "list \(row.id) (\(row.name))", says: says, remedy: ""))
    }

    /// People may take away a list together with its results, or its results alone after they have read them; only a
    /// list file that was never touched and stands without results is worth a word.
    private func checkClosed(_ row: ListRow) throws {
        guard let name = row.finalName, row.counts.total > 0 else { return }
        for folder in ["done", "failed"] where try isFile(name, in: folder, of: row) {
            let results = "\(context.spool)/\(folder)/\(ListName(name).results)"
            if try FileStatus.of(FilePath(results)) != nil { return }
            context.mend(
                "list \(row.id) (\(row.name))", "it has ended and \(results) is missing", weight: .moved,
                done: "the next start writes it again"
            ) {
                try context.store.group { () throws(LedgerError) in try context.store.reopen(row.id) }
            }
            return
        }
    }

    /// Files in `accepted/` that no open list knows.
    private func checkAccepted() throws {
        let folder = FilePath(context.spool).appending("accepted")
        guard try FileStatus.of(folder, followingLinks: true) != nil else { return }
        let scan = try FolderNames(folder)
        var unknown: [(name: String, status: FileStatus, row: ListRow?)] = []
        while let entry = scan.next() {
            guard let status = try FileStatus.of(folder.appending(entry.name)), status.kind == .regular else {
                continue
            }
            let row = try context.store.list(inode: entry.inode)
            if let row, row.state == .admitting || row.state == .running { continue }
            unknown.append((entry.name, status, row))
        }
        for file in unknown { try settle(file.name, file.status, file.row) }
    }

    private func settle(_ name: String, _ status: FileStatus, _ row: ListRow?) throws {
        let path = FilePath(context.spool).appending("accepted").appending(name)
        if let row, row.state == .closed, row.acceptedName == name, let final = row.finalName {
            let folder = row.counts.done == row.counts.total ? "done" : "failed"
            context.mend(
                path.string, "list \(row.id) has ended and its file is still here",
                done: "moved to \(folder)/\(final)"
            ) {
                try move(path, to: FilePath("\(context.spool)/\(folder)/\(final)"))
            }
            return
        }
        context.mend(
            path.string, "the ledger knows no such list",
            done: "moved back into the spool, to be admitted again"
        ) {
            try context.store.group { () throws(LedgerError) in
                try context.store.noteReadmission(inode: status.inode, size: status.size)
            }
            var target = FilePath(context.spool).appending(name)
            if try FileStatus.of(target) != nil {
                let number = WallClock.milliseconds()
                target = FilePath(context.spool).appending(ListName(name).numbered(number))
            }
            try move(path, to: target)
        }
    }

    private func move(_ path: FilePath, to target: FilePath) throws {
        try renameNoReplace(path, to: target)
        for folder in [target.removingLastComponent(), path.removingLastComponent()] {
            try Descriptor.openDirectory(folder).synchronize(folder.string)
        }
    }

    /// What was under way when dld was killed.
    private func checkUnfinished() throws {
        let totals = try context.store.totals()
        func note(_ count: Int, _ state: String, _ next: String) {
            guard count > 0 else { return }
            context.report.add(
                Finding(
                    weight: .note, object: "\(count) jobs", says: "\(state) when dld was killed", remedy: next
                ))
        }
        note(totals.active, "under way", "the next start queues them")
        note(totals.publishing, "being published", "the next start finishes them")
    }
}
