// SPDX-License-Identifier: Apache-2.0

import JobModel

// What goes into the board and comes out of it.
extension LaneBoard {
    /// A class, for it is large and goes through many hands: from the ledger's thread to the job's start.
    final class Entry: Sendable {
        let job: QueuedJob
        let claim: PathClaim

        init(job: QueuedJob, claim: PathClaim) {
            self.job = job
            self.claim = claim
        }
    }
    struct Pick {
        let entry: Entry
        let host: HostKey
        var job: QueuedJob { entry.job }
        var claim: PathClaim { entry.claim }
    }
    enum Request: Hashable {
        /// `includesHeld`: lanes of held hosts too. They are left out only while there are more lanes than room.
        case lanes(ListID, after: HostID?, limit: Int, includesHeld: Bool)
        case jobs(LaneKey, generation: Int, after: LaneCursor, limit: Int)
    }
}
