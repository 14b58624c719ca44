// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// The moves of a list file between the spool, `accepted/` and `rejected/`, and what a restart finds of them.
extension AdmissionDesk {
    /// Takes a file of the spool, found by a scan or reported by the watch.
    ///
    /// - Parameters:
    ///   - file: its name in the spool.
    ///   - name: what the list is called; differs from `file` for a list from the control socket.
    func take(_ file: FilePath, name: String, ticket: UInt64? = nil) {
        switch ListName(name).verdict {
        case .ignored:
            if let ticket {
                let error = JobError(
                    .badLine, "names that begin with . or end in ~, .tmp or .part are not looked at")
                context.tell(.added(ticket: ticket, .failure(error)))
            }
        case .refused(let reason): reject(file, name: name, reason, ticket)
        case .list(let format, let isGzip):
            let opening = ListOpening.open(
                file, in: context.directories[.spool], maxSize: context.settings.maxListSize)
            switch opening {
            case .gone:
                if let ticket {
                    context.tell(.added(ticket: ticket, .failure(JobError(.disk, "the list is gone"))))
                }
            case .refused(let reason): reject(file, name: name, reason, ticket)
            case .trouble(let error):
                context.remark(.error, "\(error)", file: name)
                if let ticket {
                    context.tell(.added(ticket: ticket, .failure(JobError(.disk, Masking.line("\(error)")))))
                }
            case .opened(let open, let status):
                guard !holds(status) else { return }
                let bytes = ListBytes(open, isGzip: isGzip, limit: isGzip ? status.size : .max)
                let admission = Admission(
                    name: name, fileName: file, place: .spool, format: format, isGzip: isGzip, file: open,
                    status: status, stage: .checking(bytes, unpacked: 0))
                admission.ticket = ticket
                admissions.append(admission)
                if format == .metalink {
                    startProving(admission)
                } else if !isGzip {
                    checkHead(admission, bytes)
                }
            }
        }
    }

    /// A plain list needs no more than its head looked at.
    private func checkHead(_ admission: Admission, _ bytes: ListBytes) {
        do {
            var head: [UInt8] = []
            while head.count < ListReader.headSize, let more = try bytes.next() { head += more }
            try ListReader.checkHead(head.prefix(ListReader.headSize))
            begin(admission)
        } catch let refusal as ListRefusal {
            reject(admission, refusal.reason)
        } catch {
            fail(admission, (error as? ListReadError)?.message ?? "\(error)")
        }
    }

    /// The ledger has made a row, or could not.
    func begun(_ file: ListFile, _ result: Result<ListRow, JobError>) {
        let waiting = admissions.first {
            if case .beginning = $0.stage {
                $0.device == file.device && $0.inode == file.inode
            } else {
                false
            }
        }
        guard let admission = waiting else {
            return context.remark(.error, "the ledger began a list that nobody asked for", file: file.name)
        }
        switch result {
        case .failure(let error): fail(admission, error.message)
        case .success(let row):
            admission.row = row
            accept(admission, row)
        }
    }

    /// Renames into `accepted/`, then reads. What was appended meanwhile is read too: reading starts after the move. The
    /// directories' fsync is `syncMove`'s, while the ledger commits the first batch.
    func accept(_ admission: Admission, _ row: ListRow) {
        do {
            let name = try moveToAccepted(admission, row)
            admission.fileName = FilePath(name)
            admission.place = .accepted
            admission.isMoveUnsynced = true
        } catch {
            // The row is there and the file is open: its lines are safe. A restart looks for the file by its inode.
            context.remark(.warning, "\(error)", list: row.id, file: admission.name)
        }
        context.tell(.accepted(row.id, name: admission.name))
        answer(admission, .success(row.id))
        recheck(admission)
    }

    /// The move lasts: before `running` is asked for, for until then a start finds the file in either place.
    func syncMove(_ admission: Admission) {
        guard admission.isMoveUnsynced else { return }
        admission.isMoveUnsynced = false
        do { try context.synchronize(.accepted, .spool) } catch {
            context.remark(.warning, "\(error)", list: admission.list, file: admission.name)
        }
    }

    private func moveToAccepted(_ admission: Admission, _ row: ListRow) throws(SystemError) -> String {
        let wanted = row.acceptedName.isEmpty ? row.name : row.acceptedName
        do {
            try context.move(admission.fileName, from: .spool, to: .accepted, as: wanted)
            return wanted
        } catch  where error.code == .fileExists || error.code == .fileNameTooLong {
            let numbered = ListName(row.name).numbered(row.id.rawValue)
            try context.move(admission.fileName, from: .spool, to: .accepted, as: numbered)
            return numbered
        }
    }

    /// A gzip file that has changed since it was checked is checked again, as it is now.
    private func recheck(_ admission: Admission) {
        do {
            guard admission.isCheckedWhole, let file = admission.file else { return startReading(admission) }
            let now = try file.status()
            guard now.size != admission.size else { return startReading(admission) }
            admission.size = now.size
            if admission.format == .metalink { return startProving(admission) }
            let bytes = ListBytes(file, isGzip: true, limit: now.size)
            try bytes.rewind()
            admission.stage = .checking(bytes, unpacked: 0)
        } catch {
            startReading(admission)
        }
    }

    /// Rejects a file that has no admission.
    func reject(_ file: FilePath, name: String, _ reason: String, _ ticket: UInt64? = nil) {
        do {
            try Rejection(context: context).move(file, in: .spool, name: name, list: nil, reason: reason)
            context.tell(.rejected(name: name, reason: reason))
        } catch {
            context.remark(.error, "\(reason); and it cannot be moved to rejected/: \(error)", file: name)
            markStuck(file)
        }
        if let ticket { context.tell(.added(ticket: ticket, .failure(JobError(.badLine, reason)))) }
    }

    /// No good entry, or no list at all. The file first, the row second: the other order could leave a file in
    /// `accepted/` that no open list knows about.
    func reject(_ admission: Admission, _ reason: String) {
        guard let list = admission.list else {
            let ticket = admission.ticket
            admission.ticket = nil
            remove(admission)
            return reject(admission.fileName, name: admission.name, reason, ticket)
        }
        do {
            if admission.file != nil, admission.place != .rejected {
                try Rejection(context: context).move(
                    admission.fileName, in: admission.place, name: admission.name, list: list, reason: reason)
            }
        } catch {
            context.remark(.warning, "\(error)", list: list, file: admission.name)
        }
        admission.stage = .rejecting(reason: reason)
        context.ask(.reject(list, reason: reason))
    }

    func rejected(_ list: ListID) {
        guard let admission = admission(of: list), case .rejecting(let reason) = admission.stage else {
            return
        }
        context.tell(.rejected(name: admission.name, reason: reason))
        remove(admission)
    }
}
