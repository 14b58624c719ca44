// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import Spool

/// Batches of lists on their way in.
extension LedgerLoop {
    /// As many batches as `AdmissionPace` lets share the transaction, those included that come while it is open.
    mutating func admit(
        _ spool: inout [SpoolRequest], _ pace: inout AdmissionPace, now: WallTime, replies: inout Replies
    ) throws(LedgerError) {
        let begin = Monotonic.nanoseconds()
        var last: AdmissionBatch?
        while true {
            if let next = nextSpool(of: spool), case .admit(let batch) = spool[next] {
                spool.remove(at: next)
                try admit(batch, now: now, replies: &replies)
                (last, lastList) = (batch, batch.list)
                takeSpool(&spool)
                guard pace.goesOn(after: batch.entries.count, othersWait: othersWait(spool)) else { return }
            } else {
                let age = Duration.nanoseconds(Monotonic.nanoseconds() - begin)
                let wait = pace.wait(
                    age: age, isLast: last?.isLast ?? true, othersWait: othersWait(spool))
                guard wait > .zero, bell.wait(atMost: wait) else { return }
                takeSpool(&spool)
            }
        }
    }

    /// What has come meanwhile; kept beside, for a group that is run again.
    private mutating func takeSpool(_ spool: inout [SpoolRequest]) {
        let fresh = spoolRequests.drain()
        pendingSpool += fresh
        spool += fresh
    }

    private func othersWait(_ spool: [SpoolRequest]) -> Bool {
        !requests.isEmpty || !hasNoWork || spool.contains { !$0.isBatch }
    }

    private func admit(
        _ batch: AdmissionBatch, now: WallTime, replies: inout Replies
    ) throws(LedgerError) {
        let result = try store.admit(batch, now: now)
        replies.spool.append(.admitted(batch.list, result.position))
        guard let rank = result.lowestRank else { return }
        replies.lowestRanks[batch.list] = min(replies.lowestRanks[batch.list] ?? rank, rank)
    }
}

extension SpoolRequest {
    /// One of those that may wait for each other, and of which several share a turn.
    var isBatch: Bool { if case .admit = self { true } else { false } }
}
