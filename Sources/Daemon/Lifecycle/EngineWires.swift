// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Locking
import Publish
import Spool
import SumPool
import Synchronization

extension Engine {
    /// The mailboxes and bells; Sendable, so that closures may hold them.
    final class Wires: Sendable {
        let dispatchBell = Doorbell(), ledgerBell = Doorbell(), spoolBell = Doorbell(), sumBell = Doorbell()
        let readBell = Doorbell(), watchBell = Doorbell(), mainBell = Doorbell()
        let auditBell = Doorbell()
        let publishBells = [Doorbell(), Doorbell()]
        let dispatch: Mailbox<DispatchMessage>
        let ledger: Mailbox<LedgerRequest>
        let spoolRequests: Mailbox<SpoolRequest>
        let spool: Mailbox<SpoolMessage>
        let sums: Mailbox<SumCommand>
        let reads: Mailbox<ReadLoop.Message>
        let audits: Mailbox<AuditMessage>
        let publishers: [Mailbox<PublishCommand>]
        let isStopping = Atomic(false)
        /// The dispatcher has come to its end.
        let hasEnded = Atomic(false)
        /// Homes that the watch thread is to prepare.
        let homes: Mailbox<PartHome>
        /// Why the daemon cannot go on; the main thread ends it.
        private let failure = Guarded<StartError?>(nil)

        func fail(_ error: StartError) {
            failure.withLock { if $0 == nil { $0 = error } }
            mainBell.ring()
        }
        var failed: StartError? { failure.withLock { $0 } }

        init() {
            let auditBell = auditBell
            audits = Mailbox { auditBell.ring() }
            let bells = (dispatchBell, ledgerBell, spoolBell, sumBell, readBell, watchBell)
            dispatch = Mailbox { bells.0.ring() }
            ledger = Mailbox { bells.1.ring() }
            spoolRequests = Mailbox { bells.1.ring() }
            spool = Mailbox { bells.2.ring() }
            sums = Mailbox { bells.3.ring() }
            reads = Mailbox { bells.4.ring() }
            publishers = publishBells.map { bell in Mailbox { bell.ring() } }
            homes = Mailbox { bells.5.ring() }
        }
    }
}
