// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// What a restart finds: each list's file lies in the spool, in `accepted/`, in `rejected/`, or nowhere.
extension AdmissionDesk {
    /// Goes on with a list that the ledger holds as `admitting`.
    func recover(_ row: ListRow) {
        guard row.state == .admitting else { return }
        let found = find(row)
        let admission = Admission(
            row, fileName: found?.file ?? "", place: found?.place ?? .spool, file: found?.open,
            size: found?.status.size ?? 0)
        admissions.append(admission)
        switch found?.place {
        case .spool: accept(admission, row)
        case .accepted:
            dropSecondName(row)
            startReading(admission)
        case .rejected: reject(admission, "no line of it is good")
        case .done, .failed: finish(admission)
        case nil:
            if row.position.entries == 0 {
                reject(admission, "the list was gone before it was read")
            } else {
                context.remark(
                    .warning,
                    "the file is gone; its first \(row.position.line) lines are in the ledger and go on",
                    list: row.id, file: row.name)
                finish(admission)
            }
        }
    }

    private struct Found {
        var place: SpoolPlace
        var file: FilePath
        var open: OpenFile
        var status: FileStatus
    }

    private func find(_ row: ListRow) -> Found? {
        let numbered = ListName(row.name).numbered(row.id.rawValue)
        for (place, name) in [
            (SpoolPlace.accepted, row.acceptedName), (.accepted, numbered), (.spool, row.name),
            (.rejected, row.name),
            (.rejected, numbered),
        ] where !name.isEmpty {
            if let found = open(FilePath(name), place, row) { return found }
        }
        // A list from the control socket lies in the spool under a name of its own.
        let found = try? FolderScan(context.directories[.spool])  // not to be read: not found
        guard let scan = found else { return nil }
        while let entry = scan.next() {
            guard entry.inode == row.inode else { continue }
            if let found = open(FilePath(component: entry.name), .spool, row) { return found }
        }
        return nil
    }

    /// Where a rename is a link and an unlink, dying in between leaves the name in the spool too.
    private func dropSecondName(_ row: ListRow) {
        do {
            if try context.isFile(row.name, in: .spool, device: row.device, inode: row.inode) {
                try unlink(FilePath(row.name), in: context.directories[.spool].descriptor.rawValue)
            }
        } catch {
            context.remark(.warning, "\(error)", list: row.id, file: row.name)
        }
    }

    private func open(_ name: FilePath, _ place: SpoolPlace, _ row: ListRow) -> Found? {
        let folder = context.directories[place]
        guard
            case .opened(let open, let status) = ListOpening.open(
                name, in: folder, maxSize: nil, isOurs: true),
            (try? context.isSame(status, device: row.device, inode: row.inode)) == true  // unknown: not it
        else { return nil }
        return Found(place: place, file: name, open: open, status: status)
    }
}
