// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import SystemPackage

/// `.dld/quarantine`: what is there is said, and what is overdue goes, as it does in the daemon.
struct QuarantineCheck {
    let context: FsckContext
    init(_ context: FsckContext) { self.context = context }

    func run() throws {
        let mounts = try MountMemory.table(context.place, known: try MountMemory.read(context.place)).table
        for home in [.output] + mounts.homes {
            let root = home.root(output: context.place.root)
            try look(in: FilePath(root + "/" + QuarantineName.directory))
        }
    }

    private func look(in folder: FilePath) throws {
        guard try FileStatus.of(folder)?.kind == .directory else { return }
        let age = context.configuration.retention.parts
        let limit = WallTime(milliseconds: WallClock.milliseconds()) + (.zero - age)
        var count = 0
        var bytes: Int64 = 0
        let names = try FolderNames(folder)
        while let entry = names.next() {
            let path = folder.appending(entry.name)
            guard let status = try FileStatus.of(path), status.kind == .regular else { continue }
            if status.modifiedMilliseconds < limit.rawValue {
                context.mend(path.string, "older than retention.parts", weight: .note, done: "removed") {
                    _ = try unlink(path)
                }
            } else {
                count += 1
                bytes &+= status.size
            }
        }
        guard count > 0 else { return }
        context.report.add(
            Finding(
                weight: .note, object: folder.string,
                says: "\(count) files with a wrong digest, \(bytes) bytes",
                remedy: ""))
    }
}
