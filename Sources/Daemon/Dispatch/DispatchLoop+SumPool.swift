// SPDX-License-Identifier: Apache-2.0

import JobModel
import SumPool

extension DispatchLoop {
    /// What the pool told goes to status; what somebody should know of it, to the log too: a process that died, fewer
    /// than wanted, workers that are not confined.
    mutating func sumPoolChanged(_ state: SumPoolState) {
        let before = view.sums
        view.sums = state
        if state.remark != before.remark, !state.remark.isEmpty {
            remark(.warning, "the sum processes have trouble", [("why", state.remark)])
        }
        if state.confinement != before.confinement, case .open(let why) = state.confinement {
            remark(.warning, "sum workers run without a system call filter", [("why", why)])
        }
    }
}
