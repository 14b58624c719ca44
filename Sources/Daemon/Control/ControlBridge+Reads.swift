// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import JobModel
import Ledger
import Spool

/// What reads the ledger: a page looks at a bounded number of rows, on the reader's own thread.
extension ControlBridge {
    func lists(_ query: ListQuery, reply: ControlReply<PageDocument<ListDocument>>) {
        ask(reply) { reader in
            let page = try reader.lists(
                after: query.after, limit: query.limit, state: Self.state(query.state))
            return PageDocument(items: page.rows.map { ListDocument($0) }, next: page.next?.description)
        }
    }

    private static func state(_ state: ListDocument.State?) -> ListState? {
        switch state {
        case .admitting: .admitting
        case .running: .running
        case .closed: .closed
        case .rejected: .rejected
        case .spooled, nil: nil
        }
    }

    func list(_ reference: ListReference, reply: ControlReply<ListDocument>) {
        let spoolPath = spoolPath
        let shown = board.read().status.lists
        ask(reply) { reader in
            if let row = try Self.find(reference, reader) {
                var document = ListDocument(row)
                if let live = shown.first(where: { $0.id == row.id.rawValue }) {
                    document.rate = live.rate
                    document.secondsLeft = live.secondsLeft
                }
                return document
            }
            if case .name(let name) = reference, let found = SpooledFile.look(for: name, in: spoolPath) {
                return found
            }
            throw ControlFailure.notFound("no list \(reference)")
        }
    }

    func jobs(_ query: JobQuery, reply: ControlReply<PageDocument<JobDocument>>) {
        let cipher = cipher
        let snapshot = board.read()
        ask(reply) { reader in
            var list: ListID?
            if let reference = query.list {
                guard let row = try Self.find(reference, reader) else {
                    throw ControlFailure.notFound("no list \(reference)")
                }
                list = row.id
            }
            let page = try reader.jobs(
                state: query.state, list: list, after: query.after.map { cipher.seq(of: $0) },
                limit: query.limit)
            return PageDocument(
                items: page.rows.map { Self.document($0, snapshot) },
                next: page.next.map { cipher.id(of: $0).description })
        }
    }

    func job(_ id: JobID, reply: ControlReply<JobDocument>) {
        let snapshot = board.read()
        ask(reply) { reader in
            guard let row = try reader.job(id) else { throw ControlFailure.notFound("no job \(id)") }
            return Self.document(row, snapshot)
        }
    }

    func hosts(_ query: HostQuery, reply: ControlReply<PageDocument<HostDocument>>) {
        let live = board.read().status.hosts
        ask(reply) { reader in
            let after = try query.after.flatMap { try reader.host($0)?.id }
            let page = try reader.hosts(after: after, limit: query.limit)
            let items = page.rows.map { row in
                if let shown = live.first(where: { $0.host == row.host.rawValue }) { return shown }
                var document = HostDocument()
                document.host = row.host.rawValue
                document.queued = row.counts.queued
                document.waiting = row.counts.waiting
                document.heldUntil = row.heldUntil.map { Timestamp($0) }
                document.reason = row.holdReason
                return document
            }
            return PageDocument(items: items, next: page.next == nil ? nil : page.rows.last?.host.rawValue)
        }
    }

    /// The ledger's row and, while it has not ended, why it does not run.
    private static func document(_ row: JobRow, _ snapshot: StatusBoard.Snapshot) -> JobDocument {
        switch row.record.state {
        case .waiting:
            let until = row.due.map { Timestamp($0) }
            return JobDocument(row.record, wait: WaitDocument(reason: .backoff, until: until))
        case .queued where row.isGated:
            return JobDocument(row.record, wait: WaitDocument(reason: .checksums, until: nil))
        case .queued:
            return JobDocument(row.record, wait: wait(of: row.host, snapshot))
        case .active, .publishing, .paused, .done, .failed, .cancelled:
            return JobDocument(row.record)
        }
    }

    /// Why a queued job of this host has not started: everything waits, the host is held or full, or others are first.
    private static func wait(of host: HostKey, _ snapshot: StatusBoard.Snapshot) -> WaitDocument {
        let general = snapshot.status.waiting.first { group in
            group.host == nil && [.disk, .outputMissing, .ledger, .network].contains(group.reason)
        }
        if let general { return WaitDocument(reason: general.reason, until: general.until) }
        if let hold = snapshot.holds[host] {
            return WaitDocument(reason: .hostHeld, until: Timestamp(hold.until))
        }
        let shown = snapshot.status.hosts.first { $0.host == host.rawValue }
        if let shown, shown.active > 0, shown.connections >= shown.connectionLimit {
            return WaitDocument(reason: .hostLimit, until: nil)
        }
        return WaitDocument(reason: .window, until: nil)
    }
}
