// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import JobModel
import LinuxKit
import Locking

/// How a run that ends by itself went: what `dld once` and `dld get` exit with.
final class RunVerdict: Sendable {
    struct Tally: Sendable {
        var done = 0, failed = 0, cancelled = 0, rejected = 0
        var isGood: Bool { failed == 0 && cancelled == 0 && rejected == 0 }
    }
    private let tally = Guarded(Tally())

    /// A list is closed: with it every job of it has ended, bad lines included.
    func closed(_ row: ListRow) {
        tally.withLock {
            $0.done += row.counts.done
            $0.failed += row.counts.failed
            $0.cancelled += row.counts.cancelled
        }
    }
    func rejected() { tally.withLock { $0.rejected += 1 } }
    var result: Tally { tally.withLock { $0 } }
}

/// Reloads wished for over the socket, for the main thread.
final class ReloadRequests: Sendable {
    private let waiting = Guarded<[ControlReply<ReloadDocument>]>([])
    private let bell: Doorbell
    init(bell: Doorbell) { self.bell = bell }

    func add(_ reply: ControlReply<ReloadDocument>) {
        waiting.withLock { $0.append(reply) }
        bell.ring()
    }
    func take() -> [ControlReply<ReloadDocument>] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
