// SPDX-License-Identifier: Apache-2.0

import JobModel

// Orders that wait here for a transfer of their host to end well: the connection has its next request without a word to
// the dispatcher and back.
extension TransferLoop {
    mutating func stage(_ order: TransferOrder) {
        precondition(active[order.token] == nil, "token \(order.token) is in use")
        let transfer = ActiveTransfer(order)
        guard !isStopping, let gate = order.gate else {
            giveBack(transfer)
            return
        }
        staged.append(transfer, gate)
    }

    mutating func unstage(_ token: UInt64) {
        if let transfer = staged.take(token) { giveBack(transfer) }
    }

    mutating func giveBack(_ transfer: ActiveTransfer) {
        report(transfer, .cancelled(resume: transfer.resume), nil)
    }

    /// Who takes the place of a transfer that has ended so.
    mutating func successor(of report: TransferReport, _ transfer: ActiveTransfer) -> Successor? {
        guard let gate = transfer.order.gate else { return nil }
        switch report.stageVerdict {
        case .stays: return nil
        case .closes:
            gate.close()
            return nil
        case .succeeds: break
        }
        guard !isStopping, let next = staged.next(behind: gate) else { return nil }
        next.isSuccessor = true
        successors.append(next)
        begunSinceTold += 1
        return Successor(token: next.order.token, begun: Clock.now())
    }

    /// Apart from the end that made room, so that none is begun within another's report.
    mutating func beginSuccessors() {
        while !successors.isEmpty {
            let waiting = successors
            successors.removeAll(keepingCapacity: true)
            for transfer in waiting { begin(transfer) }
        }
    }
}
