// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import Spool

/// Rows of lists that are no longer wanted.
extension LedgerLoop {
    struct Removal {
        let row: ListRow
        /// The list goes too, and the spool is told; else only its rows: those of a list that was no good.
        let isForgotten: Bool
    }
    /// Jobs removed in one turn, with their outcomes and ids: some 10 ms.
    static let removalLimit = 500

    /// True: it was about a removal.
    func serveRemoval(
        _ request: SpoolRequest, removals: inout [Removal], replies: inout Replies
    ) throws(LedgerError) -> Bool {
        switch request {
        case .expired(let time, let after, let limit):
            let rows = try store.expiredLists(endedBefore: time, after: after, limit: limit)
            replies.spool.append(.expired(rows))
        case .forget(let list):
            guard let (row, audits) = try store.beginRemoval(of: list) else {
                replies.spool.append(.forgotten(list, nil))
                return true
            }
            removals.append(Removal(row: row, isForgotten: true))
            let audit = ports.audits
            if !audits.isEmpty { replies.answers.append { audit.send(.forgotten(audits)) } }
        case .reject(let list, _):
            if let row = try store.list(list) { removals.append(Removal(row: row, isForgotten: false)) }
            return false
        case .begin, .admit, .finish, .page, .close, .digests: return false
        }
        return true
    }

    /// A part of the oldest removal.
    func slice(_ removals: inout [Removal], replies: inout Replies) throws(LedgerError) {
        guard let removal = removals.first else { return }
        let list = removal.row.id
        guard try store.removeSlice(list: list, limit: Self.removalLimit).isComplete else { return }
        removals.removeFirst()
        guard removal.isForgotten else { return }
        try store.forget(list: list)
        replies.spool.append(.forgotten(list, removal.row))
    }
}
