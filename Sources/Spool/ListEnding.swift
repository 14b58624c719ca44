// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// One ended list on its way to `done/` or `failed/`: results from the ledger page by page, then the file beside them.
///
/// Results and retry list are written under hidden names, fsynced and renamed, then the list file is renamed, the
/// directories are fsynced, and only then the ledger is asked to close the list. Each step can be done again.
final class ListEnding {
    let row: ListRow
    let place: SpoolPlace
    private let context: SpoolContext
    /// nil once they are under their final names.
    private var results: SafeFileWriter?
    private var retries: SafeFileWriter?
    private var hasRetries = false
    /// The last job written.
    private(set) var reached: JobSeq?

    init(_ row: ListRow, context: SpoolContext) throws(SystemError) {
        self.row = row
        self.context = context
        place = row.counts.done == row.counts.total ? .done : .failed
        let folder = FilePath(context.directories[place].path)
        let permissions = FilePermissions(rawValue: 0o640)
        // Named by the list: what a crash leaves is removed by the next try.
        results = try SafeFileWriter(
            in: folder, temporaryName: ".\(row.id).results.tmp", permissions: permissions)
        retries = try SafeFileWriter(
            in: folder, temporaryName: ".\(row.id).failed.tmp", permissions: permissions)
    }

    /// Writes one page.
    func add(_ records: [ResultRecord], next: JobSeq?) throws(SystemError) {
        for record in records {
            try results?.append(record.resultLine(masking: true))
            if record.state == .done { continue }
            var whole = record
            // The list's defaults do not travel with the entry; laid under it twice they change nothing.
            whole.options = record.options.over(row.defaults)
            if let line = whole.retryLine() {
                hasRetries = true
                try retries?.append(line)
            }
        }
        reached = next
    }

    /// After the last page. - Returns: the list's final name.
    func finish(isMissing: inout Bool) throws(SystemError) -> String {
        let name = try finalName()
        try commit(name)
        let numbered = ListName(row.name).numbered(row.id.rawValue)
        var isThere = try context.isFile(name.text, in: place, device: row.device, inode: row.inode)
        for old in [row.acceptedName, row.name, numbered] where !isThere && !old.isEmpty {
            guard try context.isFile(old, in: .accepted, device: row.device, inode: row.inode) else {
                continue
            }
            try context.move(FilePath(old), from: .accepted, to: place, as: name.text)
            isThere = true
        }
        isMissing = !isThere
        try context.synchronize(place, .accepted)
        return name.text
    }

    private func commit(_ name: ListName) throws(SystemError) {
        context.heartbeat.enter("fsync results")
        defer { context.heartbeat.leave() }
        if let written = results.take() { try written.commit(as: name.results, replacing: true) }
        // An empty one vanishes here.
        guard let written = retries.take(), hasRetries else { return }
        try written.commit(as: name.failed, replacing: true)
    }

    /// NAME where it is free with all that belongs beside it, or already ours from before a crash; else with the id.
    private func finalName() throws(SystemError) -> ListName {
        let plain = ListName(row.name)
        if plain.fits, try isFree(plain) { return plain }
        var number = row.id.rawValue
        while true {
            let name = ListName(plain.numbered(number))
            if try isFree(name) { return name }
            number &+= 1
        }
    }

    private func isFree(_ name: ListName) throws(SystemError) -> Bool {
        let folder = context.directories[place]
        if try folder.status(of: name.text) != nil,
            try !context.isFile(name.text, in: place, device: row.device, inode: row.inode)
        {
            return false
        }
        if try folder.status(of: name.results) != nil {
            return try context.isResults(name.results, of: row.id, in: place)
        }
        // Beside results of ours the retry list is ours too: both were free when they were begun.
        return try folder.status(of: name.failed) == nil
    }
}
