// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// `.dld/quarantine`: files that came with a wrong digest twice, kept for a look. Only their age bounds them; nothing
/// else of dld's reads them.
enum Quarantine {
    /// Moves a part there. Its times become now: from here its age counts.
    static func take(_ part: String, as name: String, _ home: PartHome, in place: PublishPlace) -> Bool {
        let below = home.isOutput ? "" : String(decoding: home.path, as: UTF8.self) + "/"
        do throws(SystemError) {
            let parts = try place.parts(home)
            try parts.open(part).setTimes(milliseconds: WallClock.milliseconds(), part)
            var created: [FilePath] = []
            let folder = try place.output.directory(
                FilePath(below + QuarantineName.directory), creating: [.ownerReadWriteExecute],
                created: &created)
            try renameReplace(FilePath(part), in: parts.descriptor, to: FilePath(name), in: folder)
            return true
        } catch {
            return false
        }
    }

    /// Removes what was put there before then; `pulse` is called for each.
    static func empty(_ home: PartHome, before time: WallTime, in place: PublishPlace, pulse: () -> Void) {
        do throws(SystemError) {
            for path in try overdue(in: place.quarantine(home), before: time) {
                pulse()
                try unlink(path)
            }
        } catch {
            // Not there, or not to be read: fsck tells.
        }
    }

    /// While the names are read nothing is removed: a directory that changes under `readdir` may repeat or skip.
    static func overdue(in folder: FilePath, before time: WallTime) throws(SystemError) -> [FilePath] {
        guard try FileStatus.of(folder)?.kind == .directory else { return [] }
        var found: [FilePath] = []
        let names = try FolderNames(folder)
        while found.count < 10_000, let entry = names.next() {
            let path = folder.appending(entry.name)
            guard let status = try FileStatus.of(path), status.kind == .regular else { continue }
            if status.modifiedMilliseconds < time.rawValue { found.append(path) }
        }
        return found
    }
}
