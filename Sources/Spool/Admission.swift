// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// One list on its way from the spool into the ledger.
///
/// Order of writes: file fsynced, row `admitting` committed, file renamed into `accepted/`, entries in batches that store
/// how far they reach, both directories fsynced while the first is committed, `running`. Each step can be done again.
final class Admission {
    enum Stage {
        /// A gzip file is unpacked once to its end before anything is taken from it; counts the text.
        case checking(ListBytes, unpacked: Int64)
        /// A Metalink is looked at to its end before anything is taken from it.
        case proving(MetalinkReader)
        /// The ledger has been asked for a row.
        case beginning
        case reading(ListReader)
        /// All entries are sent; waits for their commits.
        case committing
        /// Nothing good came since a restart: looks whether an entry from before it was good.
        case judging(ListReader)
        case finishing
        case rejecting(reason: String)
    }

    /// What the list is called.
    let name: String
    /// The file's name in the spool, or in `accepted/` once it is there.
    var fileName: FilePath
    var place: SpoolPlace
    let format: ListFormat
    let isGzip: Bool
    /// nil where a restart found no file any more.
    let file: OpenFile?
    let device: UInt64
    let inode: UInt64
    /// As it was when opened or checked again; bytes on disk.
    var size: Int64
    let modified: WallTime
    /// The control socket's, until it is answered.
    var ticket: UInt64?
    var row: ListRow?
    var stage: Stage

    /// Where the last batch sent ends.
    var position = ListPosition()
    /// Batches sent and not committed, each with the position it leads to and what it has of the credit.
    var uncommitted: [(end: ListPosition, share: AdmissionCredit.Share)] = []
    /// The ledger stands elsewhere: read again from there once nothing is under way.
    var rewindsTo: ListPosition?
    /// It lies in `accepted/`, and a power cut may take that back.
    var isMoveUnsynced = false
    var hasGoodEntry = false
    var firstFault: String?

    init(
        name: String, fileName: FilePath, place: SpoolPlace, format: ListFormat, isGzip: Bool, file: OpenFile,
        status: FileStatus, stage: Stage
    ) {
        self.name = name
        self.fileName = fileName
        self.place = place
        self.format = format
        self.isGzip = isGzip
        self.file = file
        (device, inode, size) = (status.device, status.inode, status.size)
        modified = WallTime(milliseconds: status.modifiedMilliseconds)
        self.stage = stage
    }

    /// After a restart: the ledger has a row, and the file may have been found.
    init(_ row: ListRow, fileName: FilePath, place: SpoolPlace, file: OpenFile?, size: Int64) {
        name = row.name
        self.fileName = fileName
        self.place = place
        format = row.format
        isGzip = row.isGzip
        self.file = file
        (device, inode, self.size) = (row.device, row.inode, size)
        modified = row.admittedAt
        stage = .finishing
        self.row = row
        position = row.position
    }

    var list: ListID? { row?.id }

    /// What the ledger keeps of the file. The name in `accepted/` is left to the ledger where NAME is taken.
    func listFile(acceptedName: String) -> ListFile {
        ListFile(
            name: name, acceptedName: acceptedName, format: format, isGzip: isGzip, device: device,
            inode: inode, size: size, modified: modified)
    }

    /// Whether a step could be made now; `credit` says whether another batch may be sent.
    func isReady(_ credit: AdmissionCredit) -> Bool {
        switch stage {
        case .checking, .proving, .judging: true
        case .reading: rewindsTo == nil && credit.allows(listHas: uncommitted.count)
        case .beginning, .committing, .finishing, .rejecting: false
        }
    }

    /// Reads `file` from its beginning, or from what the ledger has of it.
    func reader(_ rules: ListRules, from start: ListPosition) throws(ListReadError) -> ListReader? {
        guard let bytes = try text() else { return nil }
        return ListReader(bytes, name: name, format: format, rules: rules, from: start)
    }

    /// Reads `file` from its beginning, to see whether it is one.
    func metalink(_ rules: ListRules) throws(ListReadError) -> MetalinkReader? {
        guard let bytes = try text() else { return nil }
        return MetalinkReader(bytes, name: name, rules: rules)
    }

    private func text() throws(ListReadError) -> ListBytes? {
        guard let file else { return nil }
        let bytes = ListBytes(file, isGzip: isGzip, limit: isCheckedWhole ? size : .max)
        try bytes.rewind()
        return bytes
    }

    /// What comes into the file after the look at it is not read.
    var isCheckedWhole: Bool { isGzip || format == .metalink }
}

/// What the end of a list's text means.
enum AdmissionVerdict: Equatable {
    case finish
    /// No entry was good.
    case reject(String)
    /// Only entries from before a restart can tell.
    case judge

    init(hasGoodEntry: Bool, entries: Int, startedAt: Int, firstFault: String?) {
        if hasGoodEntry {
            self = .finish
        } else if startedAt > 0 {
            self = .judge
        } else if entries == 0 {
            self = .reject("there is no entry in it. \(ListName.whatIsTaken)")
        } else {
            self = .reject(Self.reason(firstFault))
        }
    }

    static func reason(_ firstFault: String?) -> String {
        "no line of it is good" + (firstFault.map { "; the first fault: \($0)" } ?? "")
    }
}
