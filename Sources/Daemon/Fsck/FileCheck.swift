// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// Published files against the output directory: there, as long as they were, not written to since; with `--digest`
/// their bytes too.
struct FileCheck {
    let context: FsckContext
    private static let page = 1000

    init(_ context: FsckContext) { self.context = context }

    func run() throws {
        let root = FilePath(context.place.root)
        guard try FileStatus.of(root, followingLinks: true) != nil else { return }
        let tree = try DirectoryTree(root: root, capacity: 1)
        let digests =
            context.options.digest
            ? DigestPass(
                root: context.place.root, executable: Programs.sumd,
                processes: context.configuration.sum.processes) : nil
        var last: OutputPath?
        while true {
            let files = try context.store.publishedFiles(after: last, limit: Self.page)
            for file in files where !file.isBeingReplaced && context.home(of: file.record.path) != nil {
                context.report.files += 1
                if let fault = fault(of: file.record, in: tree) {
                    report(file, fault)
                } else if let digests {
                    for (file, fault) in digests.add(file) { report(file, fault) }
                }
            }
            guard files.count == Self.page else { break }
            last = files.last?.record.path
        }
        for (file, fault) in digests?.finish() ?? [] { report(file, fault) }
    }

    private func fault(of record: FileRecord, in tree: borrowing DirectoryTree) -> String? {
        switch AuditPage.Look.at(record.path, in: tree) {
        case .gone: "it is gone"
        case .refused(let why): "it cannot be reached (\(why))"
        case .file(let facts):
            PublishedCheck.fault(record, facts) ?? PublishedCheck.timeFault(record, facts)
        }
    }

    private func report(_ file: PublishedFile, _ fault: String) {
        let path = "\(context.place.root)/\(file.record.path)"
        guard context.options.refetch else {
            context.report.add(
                Finding(
                    weight: .moved, object: path, says: fault, remedy: "dld fsck --refetch fetches it again"))
            return
        }
        do {
            try context.refetch.add(file, record: file.lastJob.flatMap { try context.store.record(of: $0) })
            context.report.add(
                Finding(
                    weight: .moved, object: path, says: fault, remedy: "it will be fetched again",
                    isMended: true)
            )
        } catch {
            context.report.add(
                Finding(
                    weight: .wrong, object: path, says: fault,
                    remedy: "it could not be queued again: \(error)"))
        }
    }
}
