// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// Part files against jobs, both ways.
struct PartCheck {
    let context: FsckContext
    private static let page = 1000

    init(_ context: FsckContext) { self.context = context }

    private func folder(_ home: PartHome) -> FilePath {
        FilePath(home.parts(output: context.place.root, main: context.place.parts))
    }

    /// Held by a daemon for life.
    static func lock(_ directory: FilePath) throws(StartError) -> FileLock {
        do { return try FileLock(directory: directory) } catch {
            guard error.isWouldBlock else { throw StartError(ExitStatus.io, "\(error)") }
            throw StartError(ExitStatus.held, "\(directory) is in use by another dld: stop it first")
        }
    }

    func run() throws {
        for home in context.homes { try checkFiles(in: folder(home)) }
        try checkResumePoints()
    }

    private func checkFiles(in folder: FilePath) throws {
        guard try FileStatus.of(folder) != nil else { return }
        let scan = try FolderNames(folder)
        while let entry = scan.next() {
            let path = folder.appending(entry.name)
            guard let part = PartName(entry.name) else {
                guard try FileStatus.of(path)?.kind == .regular else { continue }
                context.mend(path.string, "no part has such a name", done: "removed") { _ = try unlink(path) }
                continue
            }
            context.report.parts += 1
            let isKnown = try context.store.knows(part: entry.name)
            if !isKnown, case .orphan = try context.store.standing(ofPart: part.job) {
                context.mend(path.string, "no job goes on with this part", done: "removed") {
                    _ = try unlink(path)
                }
            }
        }
    }

    /// A point whose part is not what it says costs only time: the attempt starts from zero.
    private func checkResumePoints() throws {
        var last = JobSeq(0)
        while true {
            let points = try context.store.resumePoints(after: last, limit: Self.page)
            for point in points {
                guard let home = context.home(of: point.path),
                    let fault = try fault(of: point.resume, in: folder(home))
                else { continue }
                context.mend(
                    "job \(point.id)", fault, weight: .note, done: "the job starts from zero"
                ) {
                    try context.store.group { () throws(LedgerError) in
                        try context.store.forgetResume(of: point.seq)
                    }
                }
            }
            guard points.count == Self.page, let end = points.last?.seq else { return }
            last = end
        }
    }

    private func fault(of point: ResumePoint, in folder: FilePath) throws -> String? {
        let name = point.part
        let path = folder.appending(name)
        guard let status = try FileStatus.of(path) else { return "its part \(name) is gone" }
        if status.inode != point.inode { return "its part \(name) is another file than the one it wrote" }
        guard status.size < point.extent else { return nil }
        return "its part \(name) has \(status.size) bytes, \(point.extent) were on disk"
    }
}
