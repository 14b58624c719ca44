// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger

/// What the dispatcher has to say of hosts. A redirect's target may be a host that no list names: the ledger knows it
/// once it has been held.
extension LedgerLoop {
    /// A host whose jobs all fail, worked off a slice a turn.
    struct Surrender {
        let key: HostKey
        let host: HostID
        let error: JobError
    }

    /// Whether the request was about a host.
    func serveHost(
        _ request: LedgerRequest, now: WallTime, surrenders: inout [Surrender], replies: inout Replies
    ) throws(LedgerError) -> Bool {
        switch request {
        case .hold(let key, let until, let reason):
            try store.hold(host: key, until: until, reason: reason)
        case .barren(let key, let time):
            if let row = try store.host(key) { try store.note(barren: time, host: row.id) }
        case .giveUp(let key, let error):
            if let row = try store.host(key) {
                surrenders.append(Surrender(key: key, host: row.id, error: error))
            } else {
                replies.dispatch.append(.gaveUp(key, failed: 0, isComplete: true))
            }
        case .hurry(let key):
            guard let row = try store.host(key) else { break }
            let lanes = try store.requeueWaiting(host: row.id, limit: Self.sliceLimit, now: now)
            if !lanes.isEmpty { replies.dispatch.append(.reread(lanes)) }
        case .lanes, .jobs, .apply, .suffix, .name, .releaseDue, .expireParts, .rangeConduct, .pieces,
            .dropPieces, .command, .audit, .stop:
            return false
        }
        return true
    }

    /// A part of the oldest surrender.
    func slice(_ surrenders: inout [Surrender], now: WallTime, replies: inout Replies) throws(LedgerError) {
        guard let work = surrenders.first else { return }
        let slice = try store.giveUpSlice(
            host: work.host, error: work.error, limit: Self.sliceLimit, now: now)
        replies.dispatch.append(
            .gaveUp(work.key, failed: slice.changed - slice.passedOn, isComplete: slice.isComplete))
        if slice.isComplete { surrenders.removeFirst() }
    }
}
