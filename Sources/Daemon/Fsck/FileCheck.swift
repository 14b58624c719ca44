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
    /// Clocks of the file system and of the program differ by a tick; the end of a job is noted after its last byte.
    private static let slack: Int64 = 2000

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
        let status: FileStatus
        do {
            guard let found = try tree.status(of: FilePath(record.path.description)) else {
                return "it is gone"
            }
            status = found
        } catch {
            return "it cannot be reached (\(error.code))"
        }
        guard status.kind == .regular else { return "it is no regular file any more" }
        guard status.size == record.size else {
            return "it has \(status.size) bytes, \(record.size) were published"
        }
        if status.modifiedMilliseconds > record.publishedAt.rawValue + Self.slack,
            !hasRemoteTime(status, record)
        {
            return "it was written to after it was published"
        }
        return nil
    }

    /// With `remote_time` a file bears the server's time, which may lie ahead of ours.
    private func hasRemoteTime(_ status: FileStatus, _ record: FileRecord) -> Bool {
        guard let text = record.lastModified, let time = HTTPDate.parse(text) else { return false }
        return time.rawValue / 1000 == status.modifiedSeconds
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

/// The list that fetches again what is gone or changed: made when the first file needs it.
struct RefetchList: ~Copyable {
    private let spool: String
    private var writer: SafeFileWriter?
    private(set) var count = 0

    init(spool: String) {
        self.spool = spool
        writer = nil
    }

    /// - Parameter record: the job that published it, with all its options; nil where its row is gone.
    mutating func add(_ file: PublishedFile, record: ResultRecord?) throws {
        var again: ResultRecord
        if let record, case .download(let urls, _) = record.kind, urls.contains(file.record.url) {
            again = record
        } else {
            again = ResultRecord(
                list: ListID(0), line: 0, seq: JobSeq(0), job: nil, userID: nil,
                kind: .download(urls: [file.record.url], host: .none), options: JobOptions(), state: .failed,
                outcome: nil)
        }
        // Under the very name it had, whatever the layout says, and over what lies there.
        again.options.out = file.record.path.description
        again.options.dir = nil
        again.options.exists = .overwrite
        guard let line = again.entryLine() else { return }
        if count == 0 {
            writer = try SafeFileWriter(
                in: FilePath(spool), temporaryName: ".dld-refetch.tmp",
                permissions: [.ownerReadWrite, .groupRead])
        }
        try writer?.append(line)
        count += 1
    }

    /// - Returns: the list's name in the spool, where one was needed.
    mutating func commit() throws -> String? {
        guard let whole = writer.take() else { return nil }
        let name = "fsck-refetch-\(WallClock.milliseconds()).jsonl"
        try whole.commit(as: name, replacing: false)
        return name
    }
}
