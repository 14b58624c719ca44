// SPDX-License-Identifier: Apache-2.0

import JobModel

extension LedgerRequest {
    /// Whether what it does must be on the disk before its answer goes out.
    ///
    /// Not so: what is only read; claims, which a job makes again; starts, which nobody waits for; and the `done` of a
    /// file whose name is on the disk already, for its `publishing` is in the ledger and leads to the same `done`. Each
    /// lasts with the next commit that must.
    var mustLast: Bool {
        switch self {
        case .lanes, .jobs, .pieces: false
        case .apply(let changes, _): changes.contains(where: \.mustLast)
        case .suffix, .name, .hold, .barren, .giveUp, .hurry, .releaseDue, .expireParts, .rangeConduct,
            .command, .dropPieces, .audit, .stop:
            true
        }
    }
}

extension LedgerRequest {
    var isChange: Bool { if case .apply = self { true } else { false } }
}

extension JobChange {
    fileprivate var mustLast: Bool {
        switch self {
        case .active: false
        case .ended(_, let outcome):
            outcome.state != .done || outcome.path == nil || !outcome.flags.isEmpty
        case .requeued, .waiting, .paused, .checkpoint, .mirrored, .publishing: true
        }
    }
}
