// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Locking
import Spool

/// The ledger's side of the spool's protocol, in memory: rows, positions, entries. Answers at once, or when told to.
final class StandInLedger: Sendable {
    struct State {
        var rows: [ListID: ListRow] = [:]
        var entries: [ListID: [AdmittedEntry]] = [:]
        var closed: [ListID: String] = [:]
        var reasons: [ListID: String] = [:]
        var held: [SpoolRequest] = []
        var isHolding = false
        var mostEntries = 0
        var largestBatch = 0
        var order: [ListID] = []
        var nextID: Int64 = 1
        var refusal: JobError?
        var digests: [DigestListID: [DigestBatch.Line]] = [:]
        var forgotten: [ListID] = []
    }
    let state = Guarded(State())
    private let inbox: Mailbox<SpoolMessage>

    init(inbox: Mailbox<SpoolMessage>) { self.inbox = inbox }

    /// Called by the spool's thread.
    func ask(_ request: SpoolRequest) {
        let answers = state.withLock { state -> [SpoolMessage] in
            if case .admit(let batch) = request {
                state.order.append(batch.list)
                state.largestBatch = max(state.largestBatch, batch.entries.count)
                if state.isHolding {
                    state.held.append(request)
                    state.mostEntries = max(
                        state.mostEntries, Self.batches(state).reduce(0) { $0 + $1.entries.count })
                    return []
                }
            }
            return Self.answer(request, &state)
        }
        inbox.send(contentsOf: answers)
    }

    private static func batches(_ state: State) -> [AdmissionBatch] {
        state.held.compactMap { if case .admit(let batch) = $0 { batch } else { nil } }
    }
    /// Entries that are held back.
    var heldEntries: Int { state.withLock { Self.batches($0).reduce(0) { $0 + $1.entries.count } } }
    /// Of each batch that is held back: whether its list ends with it.
    var endings: [Bool] { state.withLock { Self.batches($0).map(\.isLast) } }

    func hold() { state.withLock { $0.isHolding = true } }
    func release(_ count: Int) {
        let answers = state.withLock { state -> [SpoolMessage] in
            let taken = state.held.prefix(count)
            state.held.removeFirst(taken.count)
            return taken.flatMap { Self.answer($0, &state) }
        }
        inbox.send(contentsOf: answers)
    }
    func releaseAll() {
        state.withLock { $0.isHolding = false }
        release(.max)
    }

    var nextSeq: JobSeq {
        state.withLock { JobSeq(1 + ($0.entries.values.joined().map(\.seq.rawValue).max() ?? 0)) }
    }
    func openRows() -> [ListRow] {
        state.withLock {
            $0.rows.values.filter { $0.state == .admitting || $0.state == .running }.sorted { $0.id < $1.id }
        }
    }
    func row(named name: String) -> ListRow? {
        state.withLock { $0.rows.values.filter { $0.name == name }.max { $0.id < $1.id } }
    }
    func entries(of list: ListID) -> [AdmittedEntry] { state.withLock { $0.entries[list] ?? [] } }

    /// Ends every job of the list: good ones as `end`, bad lines as failed.
    func endJobs(of list: ListID, as end: JobState = .done) -> ListRow? {
        state.withLock { state in
            guard var row = state.rows[list] else { return nil }
            let entries = state.entries[list] ?? []
            var counts = StateCounts()
            for entry in entries { counts[Self.isBad(entry) ? .failed : end] += 1 }
            row.counts = counts
            state.rows[list] = row
            return row
        }
    }

    private static func isBad(_ entry: AdmittedEntry) -> Bool {
        if case .bad = entry.kind { true } else { false }
    }

    private static func answer(_ request: SpoolRequest, _ state: inout State) -> [SpoolMessage] {
        switch request {
        case .digests(let batch):
            state.digests[batch.id, default: []] += batch.lines
            return [.digestsTaken(batch.id)]
        case .begin(let file):
            if let refusal = state.refusal { return [.begun(file, .failure(refusal))] }
            let id = ListID(state.nextID)
            state.nextID += 1
            let accepted =
                file.acceptedName.isEmpty ? ListName(file.name).numbered(id.rawValue) : file.acceptedName
            let row = ListRow(
                id: id, name: file.name, acceptedName: accepted, finalName: nil, format: file.format,
                isGzip: file.isGzip,
                state: .admitting, device: file.device, inode: file.inode, position: ListPosition(),
                defaults: JobOptions(),
                isPaused: false, counts: StateCounts(), bytes: 0, admittedAt: WallTime(milliseconds: 0),
                endedAt: nil)
            state.rows[id] = row
            return [.begun(file, .success(row))]
        case .admit(let batch):
            guard var row = state.rows[batch.list] else { return [] }
            if row.position == batch.from {
                state.entries[batch.list, default: []] += batch.entries
                row.position = batch.to
                if let defaults = batch.defaults { row.defaults = defaults }
                state.rows[batch.list] = row
            }
            return [.admitted(batch.list, row.position)]
        case .finish(let list, let position):
            state.rows[list]?.position = position
            state.rows[list]?.state = .running
            return state.rows[list].map { [.finished($0)] } ?? []
        case .reject(let list, let reason):
            state.rows[list]?.state = .rejected
            state.entries[list] = nil
            state.reasons[list] = reason
            return [.rejected(list)]
        case .page(let list, let after, let limit):
            let rest = (state.entries[list] ?? []).filter { entry in after.map { $0 < entry.seq } ?? true }
            return [page(list, rest, limit, state.rows[list])]
        case .close(let list, let name):
            state.rows[list]?.state = .closed
            state.rows[list]?.finalName = name
            state.rows[list]?.endedAt = WallTime(milliseconds: WallClock.milliseconds())
            state.closed[list] = name
            return [.closed(list)]
        case .expired(let time, let after, let limit):
            return [.expired(expired(before: time, after: after, limit, state))]
        case .forget(let list):
            state.forgotten.append(list)
            return [.forgotten(list, state.rows.removeValue(forKey: list))]
        }
    }

    private static func expired(
        before time: WallTime, after: ListRow?, _ limit: Int, _ state: State
    ) -> [ListRow] {
        let rows = state.rows.values.filter { row in
            row.state == .closed && (row.endedAt ?? time) < time && (after.map { $0.id < row.id } ?? true)
        }
        return Array(rows.sorted { $0.id < $1.id }.prefix(limit))
    }

    private static func page(
        _ list: ListID, _ rest: [AdmittedEntry], _ limit: Int, _ row: ListRow?
    ) -> SpoolMessage {
        let taken = rest.prefix(limit)
        let records = taken.map { entry -> ResultRecord in
            let kind: ResultRecord.Kind
            var end: JobState = (row?.counts.failed ?? 0) > (row?.counts.done ?? 0) ? .failed : .done
            switch entry.kind {
            case .download(let urls, _): kind = .download(urls: urls.map(\.text), host: urls[0].host)
            case .sum(let range): kind = .sum(range)
            case .bad:
                kind = .badLine
                end = .failed
            }
            var outcome = Outcome(state: end, endedAt: WallTime(milliseconds: 0))
            if case .bad(let error) = entry.kind { outcome.error = error }
            return ResultRecord(
                list: list, line: entry.line, seq: entry.seq, job: JobID(rawValue: 1),
                userID: entry.options.id, kind: kind,
                options: SharedOptions(entry.options), state: end, outcome: outcome)
        }
        return .page(list, records, next: taken.count < rest.count ? taken.last?.seq : nil)
    }
}
