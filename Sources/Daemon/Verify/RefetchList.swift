// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// A list that fetches published files again which are gone or changed: made when the first of them needs it. Shared by
/// `dld fsck --refetch` and the audits.
struct RefetchList: ~Copyable {
    private let spool: String
    /// A file must come back with the digest that it is known by.
    private let keepsDigest: Bool
    private var writer: SafeFileWriter?
    private(set) var count = 0

    init(spool: String, keepsDigest: Bool) {
        self.spool = spool
        self.keepsDigest = keepsDigest
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
                kind: .download(urls: [file.record.url], host: .none), options: .none, state: .failed,
                outcome: nil)
        }
        // Under the very name it had, whatever the layout says, and over what lies there.
        again.options.out = file.record.path.description
        again.options.dir = nil
        again.options.exists = .overwrite
        if keepsDigest, let digest = file.record.digest { again.options.checksum = digest }
        guard let line = again.entryLine() else { return }
        if count == 0 {
            writer = try SafeFileWriter(
                in: FilePath(spool), temporaryName: ".dld-refetch.tmp",
                permissions: [.ownerReadWrite, .groupRead])
        }
        try writer?.append(line)
        count += 1
    }

    /// - Returns: whether there is such a list: none is made for no file.
    mutating func commit(as name: String) throws -> Bool {
        guard let whole = writer.take() else { return false }
        try whole.commit(as: name, replacing: false)
        return true
    }
}
