// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Takes lists in: several in turn, a batch of each, as many unacknowledged as `AdmissionCredit` allows, so that a short
/// list is not stuck behind a long one.
final class AdmissionDesk {
    /// Lists open at a time: bounds descriptors and readers. Others wait in their directory.
    static let limit = 32

    let context: SpoolContext
    private let cipher: JobIDCipher
    private var nextSeq: JobSeq
    var admissions: [Admission] = []
    /// Whose turn it is.
    private var turn = 0
    private var credit = AdmissionCredit()
    /// What could be neither taken nor moved away: left alone until it changes, so that not every scan says so again.
    private var stuck: [String: FileStatus] = [:]

    init(context: SpoolContext, cipher: JobIDCipher, nextSeq: JobSeq) {
        self.context = context
        self.cipher = cipher
        self.nextSeq = nextSeq
    }

    var hasRoom: Bool { admissions.count < Self.limit }
    var isEmpty: Bool { admissions.isEmpty }
    var isReady: Bool { admissions.contains { $0.isReady(credit) } }

    /// Whether this file of the spool is being taken in.
    func holds(_ status: FileStatus) -> Bool {
        admissions.contains { $0.device == status.device && $0.inode == status.inode }
    }

    func isStuck(_ name: String, _ status: FileStatus) -> Bool { stuck[name] == status }
    func markStuck(_ file: FilePath) {
        // A full table forgets: saying it again is better than growing.
        if stuck.count >= 1000 { stuck = [:] }
        let folder = context.directories[.spool].descriptor.rawValue
        if let status = try? FileStatus.of(file, in: folder) {  // gone: fine
            stuck[file.string] = status
        }
    }

    /// One bounded step for the list whose turn it is.
    func step() {
        for offset in 0..<admissions.count {
            let index = (turn + offset) % admissions.count
            let admission = admissions[index]
            guard admission.isReady(credit) else { continue }
            turn = index + 1
            switch admission.stage {
            case .checking(let bytes, let unpacked): check(admission, bytes, unpacked)
            case .proving(let reader): prove(admission, reader)
            case .reading(let reader): read(admission, reader)
            case .judging(let reader): judge(admission, reader)
            case .beginning, .committing, .finishing, .rejecting: break
            }
            return
        }
    }

    /// Asks the ledger for a row, once the file is known to be good to read.
    func begin(_ admission: Admission) {
        do {
            try context.heartbeat.within("fsync a list") { () throws(SystemError) in
                try admission.file?.descriptor.synchronize(admission.name)
            }
            let name = ListName(admission.name)
            let isTaken = try context.directories[.accepted].status(of: name.text) != nil
            // Another list of this name may be between its row and its move.
            let isSpokenFor = admissions.contains {
                $0 !== admission && $0.row == nil && $0.name == admission.name
            }
            let isFree = name.fits && !isTaken && !isSpokenFor
            admission.stage = .beginning
            context.ask(.begin(admission.listFile(acceptedName: isFree ? name.text : "")))
        } catch {
            fail(admission, "\(error)")
        }
    }

    /// Nothing is in the ledger yet: the file stays where it is and is looked at again by the next scan.
    func fail(_ admission: Admission, _ message: String) {
        context.remark(.error, message, file: admission.name)
        answer(admission, .failure(JobError(.disk, Masking.line(message))))
        remove(admission)
    }

    /// Tells the control socket, once.
    func answer(_ admission: Admission, _ result: Result<ListID, JobError>) {
        guard let ticket = admission.ticket else { return }
        admission.ticket = nil
        context.tell(.added(ticket: ticket, result))
    }

    func remove(_ admission: Admission) { admissions.removeAll { $0 === admission } }

    func admission(of list: ListID) -> Admission? { admissions.first { $0.list == list } }

    private func check(_ admission: Admission, _ bytes: ListBytes, _ before: Int64) {
        var unpacked = before
        let goal = before + Int64(ListReader.bytesPerSlice)
        do {
            while unpacked < goal {
                guard let chunk = try bytes.next() else {
                    if admission.row == nil { begin(admission) } else { startReading(admission) }
                    return
                }
                if unpacked == 0 { try ListReader.checkHead(chunk.prefix(ListReader.headSize)) }
                unpacked += Int64(chunk.count)
                if let limit = context.settings.maxListSize, unpacked > limit {
                    throw ListRefusal("unpacked it is over limits.max_list_size, \(limit) bytes")
                }
            }
            admission.stage = .checking(bytes, unpacked: unpacked)
        } catch let refusal as ListRefusal {
            reject(admission, refusal.reason)
        } catch ListReadError.damaged(let what) {
            reject(admission, "\(what): a .gz is taken when it is whole")
        } catch {
            unreadable(admission, (error as? ListReadError)?.message ?? "\(error)")
        }
    }

    /// The row is committed and the file lies in `accepted/`.
    func startReading(_ admission: Admission) {
        do {
            guard let reader = try admission.reader(context.settings.rules, from: admission.position) else {
                return finish(admission)
            }
            admission.stage = .reading(reader)
        } catch {
            context.remark(.error, error.message, list: admission.list, file: admission.name)
            finish(admission)
        }
    }

    private func read(_ admission: Admission, _ reader: ListReader) {
        guard let row = admission.row else { return }
        let slice: ListReader.Slice
        do throws(ListRefusal) { slice = try reader.next() } catch {
            if admission.position.entries == 0 { return reject(admission, error.reason) }
            context.remark(.error, error.reason, list: row.id, file: admission.name)
            return finish(admission)
        }
        for remark in slice.remarks {
            context.remark(
                remark.level, remark.message, list: row.id, file: admission.name, line: remark.line)
        }
        var entries = slice.entries
        if let trouble = slice.trouble {
            // What came before stands; that the rest is missing must show in the results.
            entries.append(
                .bad(slice.mark.line + 1, .badLine, "the list could not be read further: \(trouble)"))
        }
        send(
            entries, to: slice.mark, isLast: slice.isAtEnd, of: admission, row,
            defaults: reader.defaults ?? JobOptions())
        syncMove(admission)
        if slice.isAtEnd {
            admission.stage = .committing
            conclude(admission)
        }
    }

    private func send(
        _ entries: [ListEntry], to mark: ListMark, isLast: Bool, of admission: Admission, _ row: ListRow,
        defaults: JobOptions
    ) {
        let count = admission.position.entries + entries.count
        let end = ListPosition(offset: mark.offset, line: mark.line, entries: count)
        guard !entries.isEmpty else { return }
        let settings = context.settings
        let builder = EntryBuilder(
            rules: settings.rules, layout: settings.layout, outputRoot: settings.outputRoot, cipher: cipher)
        var batch = AdmissionBatch(
            list: row.id, from: admission.position, to: end,
            defaults: admission.position.entries == 0 ? defaults : nil, entries: [], isLast: isLast)
        batch.entries.reserveCapacity(entries.count)
        for entry in entries {
            let admitted = builder.admitted(entry, list: row.id, seq: nextSeq, defaults: defaults)
            nextSeq = JobSeq(nextSeq.rawValue + 1)
            if case .bad(let error) = admitted.kind {
                if admission.firstFault == nil { admission.firstFault = error.message }
            } else {
                admission.hasGoodEntry = true
            }
            batch.entries.append(admitted)
        }
        let share = AdmissionCredit.Share(batch)
        admission.position = end
        admission.uncommitted.append((end, share))
        credit.take(share)
        context.ask(.admit(batch))
    }

    /// A batch is committed.
    func committed(_ list: ListID, _ position: ListPosition) {
        guard let admission = admission(of: list), !admission.uncommitted.isEmpty else {
            return context.remark(
                .error, "the ledger confirmed a batch that was not sent", list: list, file: "")
        }
        let expected = admission.uncommitted.removeFirst()
        credit.giveBack(expected.share)
        if position != expected.end { admission.rewindsTo = position }
        if let place = admission.rewindsTo, admission.uncommitted.isEmpty {
            admission.rewindsTo = nil
            admission.position = place
            return startReading(admission)
        }
        conclude(admission)
    }

    /// After the last commit: what becomes of the list.
    private func conclude(_ admission: Admission) {
        guard case .committing = admission.stage, admission.uncommitted.isEmpty, let row = admission.row
        else { return }
        let verdict = AdmissionVerdict(
            hasGoodEntry: admission.hasGoodEntry, entries: admission.position.entries,
            startedAt: row.position.entries, firstFault: admission.firstFault)
        switch verdict {
        case .finish: finish(admission)
        case .reject(let reason): reject(admission, reason)
        case .judge:
            do {
                guard let reader = try admission.reader(context.settings.rules, from: ListPosition()) else {
                    return finish(admission)
                }
                // The first fault of the whole list, not of its rest.
                admission.firstFault = nil
                admission.stage = .judging(reader)
            } catch {
                finish(admission)
            }
        }
    }

    private func judge(_ admission: Admission, _ reader: ListReader) {
        guard let row = admission.row else { return }
        do throws(ListRefusal) {
            let slice = try reader.next()
            let settings = context.settings
            let builder = EntryBuilder(
                rules: settings.rules, layout: settings.layout, outputRoot: settings.outputRoot,
                cipher: cipher)
            for entry in slice.entries {
                let defaults = reader.defaults ?? JobOptions()
                let admitted = builder.admitted(entry, list: row.id, seq: nextSeq, defaults: defaults)
                guard case .bad(let error) = admitted.kind else { return finish(admission) }
                if admission.firstFault == nil { admission.firstFault = error.message }
            }
            if slice.isAtEnd { reject(admission, AdmissionVerdict.reason(admission.firstFault)) }
        } catch {
            reject(admission, error.reason)
        }
    }

    func finish(_ admission: Admission) {
        guard let list = admission.list else { return }
        syncMove(admission)
        admission.stage = .finishing
        context.ask(.finish(list, admission.position))
    }

    func finished(_ row: ListRow) {
        if let admission = admission(of: row.id) { remove(admission) }
    }
}
