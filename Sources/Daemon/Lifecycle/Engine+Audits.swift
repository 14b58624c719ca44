// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit

extension Engine {
    /// Audits are the daemon's: `dld once` and `dld get` end with their jobs.
    func startAudits(_ heartbeat: Heartbeat) -> WorkerThread {
        let wires = wires
        let configuration = plan.configuration
        let setup = AuditLoop.Setup(
            ledger: store.path, cipher: store.cipher, place: store.place, stateDir: configuration.stateDir,
            spoolDir: configuration.spoolDir, processes: configuration.sum.processes,
            rate: configuration.verify.rate, algorithm: configuration.digest.always ?? .sha256,
            isDurable: configuration.durability == .full)
        let logger = logger
        let ports = AuditLoop.Ports(
            ledger: wires.ledger, sums: wires.sums, board: board, remark: { $0.log(to: logger) })
        return WorkerThread(name: "dld-verify") {
            var loop = AuditLoop(
                setup: setup, inbox: wires.audits, bell: wires.auditBell, heartbeat: heartbeat, ports: ports)
            loop.run()
        }
    }
}
