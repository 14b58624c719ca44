// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import Locking

/// The snapshot in memory: dispatch publishes it, anybody reads it, nobody waits.
///
/// Status, metrics and the watchdog's STATUS= come from here only: a blocked disk, ledger or worker cannot hold
/// them up. What the dispatcher does not know (config state, heartbeats, memory) its owner adds when it is read.
final class StatusBoard: Sendable {
    struct Snapshot: Sendable {
        var status = StatusDocument()
        var metrics = MetricsDocument()
        var holds: [HostKey: (until: WallTime, reason: String)] = [:]
    }
    struct Facts: Sendable {
        var config = ConfigStatus()
        var heartbeats: [(name: String, age: Duration, call: String?)] = []
        var audits = AuditFacts()
    }
    private let snapshot = Guarded(Snapshot())
    private let facts: Guarded<Facts>

    init(config: ConfigStatus) { facts = Guarded(Facts(config: config)) }

    func publish(_ fresh: Snapshot) { snapshot.withLock { $0 = fresh } }
    func read() -> Snapshot { snapshot.withLock { $0 } }
    func change(_ body: (inout Facts) -> Void) { facts.withLock { body(&$0) } }
    var currentFacts: Facts { facts.withLock { $0 } }
}
