// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger

/// Lists of digests: what is done with them beside the turn's requests.
extension LedgerLoop {
    /// A part of one work, in turn: entries get their digests and go on, or lines that nobody needs go.
    func slice(_ works: inout [DigestWork], now: WallTime, replies: inout Replies) throws(LedgerError) {
        let work = works.removeFirst()
        let isComplete: Bool
        switch work {
        case .open(let id):
            let slice = try store.openSlice(id, limit: Self.sliceLimit, now: now)
            if !slice.lanes.isEmpty { replies.dispatch.append(.reread(Array(slice.lanes))) }
            isComplete = slice.isComplete
        case .drop(let id): isComplete = try store.dropSlice(id, limit: Self.sliceLimit)
        }
        if !isComplete { works.append(work) }
    }

    /// What the turn brought up.
    func takeDigestNews(_ works: inout [DigestWork], replies: inout Replies) {
        let news = store.takeDigestNews()
        for work in news.works where !works.contains(work) { works.append(work) }
        if news.hasErrands { replies.dispatch.append(.woke(DigestErrand.list, lowestRank: nil)) }
    }
}
