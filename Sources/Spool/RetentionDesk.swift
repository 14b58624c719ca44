// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Removes lists that ended longer ago than `retention.lists`: a page of them at a time, files first, rows second.
///
/// The order: what lies in `done/` and `failed/` is unlinked and the folders are fsynced, then the ledger is asked to
/// forget the list. A crash in between leaves the row, and the next look finds no files and goes on. The other order would
/// leave files that nobody knows.
///
/// `rejected/` is walked: what was dropped there without ever being a list has no row.
final class RetentionDesk {
    static let pageSize = 100
    /// Names of `rejected/` looked at in one step.
    static let stepSize = 500

    private enum Phase {
        case resting
        /// The ledger was asked for a page.
        case asking
        /// The ledger removes rows of these; `last`: where the next page goes on, nil: this was the last one.
        case forgetting(Set<ListID>, last: ListRow?)
        case walking(FolderScan)
    }

    private let context: SpoolContext
    private var phase = Phase.resting
    private var nextLook = MonotonicTime(nanoseconds: 0)
    /// What ended before this goes in the look under way.
    private var limit = WallTime(milliseconds: 0)

    init(context: SpoolContext) { self.context = context }

    /// When to look again; nil while nothing is to be removed by age, and while an answer is waited for.
    var due: MonotonicTime? {
        guard case .resting = phase, context.settings.listRetention != nil else { return nil }
        return nextLook
    }
    /// There is something to do now.
    var isReady: Bool { if case .walking = phase { true } else { false } }

    /// Settings may ask for another age: it holds at once.
    func changed() { nextLook = MonotonicTime(nanoseconds: 0) }

    func step(now: MonotonicTime) {
        guard let age = context.settings.listRetention else { return }
        switch phase {
        case .resting:
            guard nextLook <= now else { return }
            nextLook = now + ListRetention.interval(age: age)
            limit = ListRetention.limit(now: WallTime(milliseconds: WallClock.milliseconds()), age: age)
            ask(after: nil)
        case .asking, .forgetting: break
        case .walking(let scan): walk(scan)
        }
    }

    private func ask(after last: ListRow?) {
        phase = .asking
        context.ask(.expired(before: limit, after: last, limit: Self.pageSize))
    }

    /// A page from the ledger.
    func expired(_ rows: [ListRow]) {
        guard case .asking = phase else { return }
        var gone: Set<ListID> = []
        for row in rows where remove(row) { gone.insert(row.id) }
        do throws(SystemError) {
            // Rows that went before their files would leave files that nobody knows.
            if !gone.isEmpty { try context.synchronize(.done, .failed) }
        } catch {
            context.remark(.error, "old lists cannot be removed: \(error)", file: "")
            gone = []
        }
        phase = .forgetting(gone, last: rows.count < Self.pageSize ? nil : rows.last)
        for list in gone.sorted() { context.ask(.forget(list)) }
        goOn()
    }

    /// Nothing of the list is left; or, nil, it stays.
    func forgotten(_ list: ListID, _ row: ListRow?) {
        if let row { context.tell(.removed(row)) }
        guard case .forgetting(var lists, let last) = phase, lists.remove(list) != nil else { return }
        phase = .forgetting(lists, last: last)
        goOn()
    }

    private func goOn() {
        guard case .forgetting(let lists, let last) = phase, lists.isEmpty else { return }
        // The age may have been taken back meanwhile.
        if let last, context.settings.listRetention != nil { return ask(after: last) }
        do throws(SystemError) {
            phase = .walking(try FolderScan(context.directories[.rejected]))
        } catch {
            context.remark(.error, "rejected/ cannot be looked through: \(error)", file: "")
            phase = .resting
        }
    }

    /// The files of one list, in whichever folder they lie. False: one of them cannot be removed, so the row stays too.
    private func remove(_ row: ListRow) -> Bool {
        guard let name = row.finalName.map({ ListName($0) }) else { return true }
        context.heartbeat.enter("unlink an old list")
        defer { context.heartbeat.leave() }
        do throws(SystemError) {
            for place in [SpoolPlace.done, .failed] {
                let folder = context.directories[place]
                if try folder.status(of: name.results)?.kind == .regular,
                    try context.isResults(name.results, of: row.id, in: place)
                {
                    // Somebody may have taken the retry list away, and another list of that stem have ended since.
                    if let retries = try folder.status(of: name.failed), let ended = row.endedAt,
                        retries.kind == .regular, retries.modifiedMilliseconds <= ended.rawValue
                    {
                        try remove(FilePath(name.failed), in: folder)
                    }
                    try remove(FilePath(name.results), in: folder)
                }
                if try context.isFile(name.text, in: place, device: row.device, inode: row.inode) {
                    try remove(FilePath(name.text), in: folder)
                }
            }
            return true
        } catch {
            context.remark(.warning, "it cannot be removed: \(error)", list: row.id, file: row.name)
            return false
        }
    }

    /// Some names of `rejected/`: each file that lies beside a reason of ours, where both are old enough.
    private func walk(_ scan: FolderScan) {
        let folder = context.directories[.rejected]
        let ending = Array(".reason.txt".utf8)
        for _ in 0..<Self.stepSize {
            guard let entry = scan.next() else {
                phase = .resting
                return
            }
            guard entry.name.count > ending.count, entry.name.suffix(ending.count).elementsEqual(ending)
            else {
                continue
            }
            let name = Array(entry.name.dropLast(ending.count))
            do throws(SystemError) {
                guard try isOld(entry.name, folder) == true else { continue }
                let file = try isOld(name, folder)
                if file == false { continue }
                if file == true { try remove(FilePath(component: name), in: folder) }
                try remove(FilePath(component: entry.name), in: folder)
                context.remark(
                    .note, "removed from rejected/: it came longer ago than retention.lists",
                    file: String(decoding: name, as: UTF8.self))
            } catch {
                context.remark(
                    .warning, "it cannot be removed from rejected/: \(error)",
                    file: String(decoding: name, as: UTF8.self))
            }
        }
    }

    /// nil: there is none. Only regular files grow old. The time of the last rename counts, which nobody can set.
    private func isOld(_ name: [UInt8], _ folder: OpenFolder) throws(SystemError) -> Bool? {
        let status = try FileStatus.of(FilePath(component: name), in: folder.descriptor.rawValue)
        return status.map { $0.kind == .regular && $0.changedMilliseconds < limit.rawValue }
    }

    private func remove(_ name: FilePath, in folder: OpenFolder) throws(SystemError) {
        _ = try unlink(name, in: folder.descriptor.rawValue)
    }
}
