// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel

/// How many files in place may be looked at without a slot of their host, and whose lanes wait for that.
struct CheckAhead {
    /// Enough for every process of the pool to have some waiting.
    static let limit = 512
    var out = 0
    var waiting: Set<HostKey> = []
}

// `exists = update` with a digest: what lies there is digested before anything else, and no server is asked while that
// may be the answer. So it needs no slot of its host, only a credit.
extension DispatchLoop {
    /// Half of the window at most: files that turn out to be others wait in it for their host.
    private var checkLimit: Int { min(CheckAhead.limit, plan.window / 2) }

    private func isChecked(_ job: QueuedJob, _ claim: PathClaim) -> Bool {
        guard job.options.checksum != nil, job.errand == nil, case .granted = claim,
            case .download = job.work
        else { return false }
        return (job.options.exists ?? plan.configuration.output.exists) == .update
    }

    /// Whether the lane's next job may begin whatever its host says.
    mutating func mayCheckAhead(_ entry: LaneBoard.Entry) -> Bool {
        guard isChecked(entry.job, entry.claim) else { return false }
        if checks.out < checkLimit { return true }
        if let host = entry.job.laneHost { checks.waiting.insert(host) }
        return false
    }

    /// Begins with a look at the file in place, where that can end the job.
    mutating func checksFirst(_ task: JobTask) -> Bool {
        guard isChecked(task.job, task.claim), !task.mayBeRecovered else { return false }
        task.isCheckedAhead = true
        checks.out += 1
        task.preflightDone = true
        act(task.machine.handle(.checkNeeded), on: task)
        return true
    }

    /// The file in place is another one, or there is none: fetched after all.
    mutating func checkDiffers(_ task: JobTask) {
        if task.isCheckedAhead, task.machine.request == nil {
            guard beginAttempt(task) != nil else { return }
        }
        act(task.machine.handle(.checkDiffers), on: task)
    }

    /// Its credit comes back when it leaves the window: until then it may wait for its host.
    mutating func endCheck(_ task: JobTask) {
        guard task.isCheckedAhead else { return }
        task.isCheckedAhead = false
        checks.out -= 1
        let hosts = checks.waiting
        checks.waiting = []
        for host in hosts { board.hostFreed(host, slots: 1) }
    }
}
