// SPDX-License-Identifier: Apache-2.0

import JobModel

extension DispatchLoop {
    /// Somebody reads the ledger without an end, and its write-ahead log grows: what waits meanwhile, and that it is over.
    mutating func logIsLong(_ hold: LogBound.Hold) {
        let bytes = hold == .everything ? LogBound.everythingBytes : LogBound.admissionBytes
        let why =
            "its write-ahead log has more than \(bytes >> 20) MiB: somebody has been reading ledger.db all the time"
        switch hold {
        case .nothing:
            remark(.notice, "the ledger's write-ahead log is short again")
            ledgerTrouble = nil
        case .admission:
            remark(.warning, "no list is read on", [("why", why)])
            ledgerTrouble = nil
        case .everything:
            remark(.error, "nothing is started", [("why", why)])
            ledgerTrouble = why
        }
    }
}
