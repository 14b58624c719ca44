// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Transfer

// A transfer that failed: `RetryPolicy` says what becomes of its job and its host, and that is carried out here.
extension DispatchLoop {
    mutating func broke(_ task: JobTask, _ failure: TransferFailure, host key: HostKey?) {
        task.error = failure.error
        task.resume = failure.resume
        if task.machine.request != nil, !failure.isLocal {
            return act(task.machine.handle(.stopped(keepsPart: failure.resume != nil)), on: task)
        }
        if !failure.isLocal, isDoubted(task, failure, host: key) { return }
        charge(task, failure, host: key)
    }

    /// The job's, the host's or this machine's own fault: nobody else is in doubt.
    mutating func charge(_ task: JobTask, _ failure: TransferFailure, host key: HostKey?) {
        // Nothing has answered for as long as a host may be silent: that counts against each that is met now.
        if let since = uplink.machine.blamedSince, failure.isConnectFailure, let key {
            restoreBarren(key, now - since)
        }
        judge(
            task, failure.error, blame(for: failure, of: task, host: key), failure.retryAfter, host: key,
            systemCode: failure.systemCode)
    }

    /// Asks the policy, and does what it says.
    mutating func judge(
        _ task: JobTask, _ error: JobError, _ blame: BrokenAttempt.Blame, _ retryAfter: Duration? = nil,
        host key: HostKey?, systemCode: Int32 = 0
    ) {
        let broken = BrokenAttempt(
            error, blame: blame, attempts: task.attempts, retryAfter: retryAfter,
            deadline: deadline(of: task))
        let verdict = plan.retry(for: task.job.options).verdict(
            for: broken, random: Double.random(in: 0..<1, using: &random))
        if !verdict.isCharged { task.attempts = max(0, task.attempts - 1) }
        if let time = verdict.hold, let key { hold(key, for: time, reason: error.code.name) }
        if case .machine = blame {
            carryOut(verdict.fate, of: task)
        } else {
            carryOut(passedOn(verdict.fate, of: task, error), of: task)
        }
        // Last: what else runs on that disk may be stopped by it.
        if verdict.pausesForDisk { diskBroke(task.home, systemCode, error.message) }
    }

    mutating func carryOut(_ fate: RetryPolicy.Fate, of task: JobTask) {
        let keepsPart = task.resume != nil
        switch fate {
        case .retry(let delay):
            task.retryDelay = delay
            act(task.machine.handle(.broke(.waiting, keepsPart: keepsPart)), on: task)
        case .requeue: act(task.machine.handle(.broke(.requeued, keepsPart: keepsPart)), on: task)
        case .giveUp(let error): fail(task, error)
        }
    }

    private func deadline(of task: JobTask) -> BrokenAttempt.Deadline? {
        guard let limit = plan.configuration.timeouts.job, let first = task.firstStarted else { return nil }
        return .init(limit: limit, left: first + limit - now)
    }

    /// Tells the host's machine, and takes from it what the policy needs to know.
    private mutating func blame(
        for failure: TransferFailure, of task: JobTask, host key: HostKey?
    ) -> BrokenAttempt.Blame {
        if failure.isLocal { return .machine }
        guard let key, let host = hosts[key] else { return .job }
        let code = failure.error.code
        let blame: BrokenAttempt.Blame
        if failure.isUncharged {
            host.machine.connectionClosed(on: task.worker ?? 0)
            let isOwn = host.refused.note(task.seq, served: host.machine.served)
            blame = .sentAway(.init(rounds: 1, isFirst: true, isOwn: isOwn))
        } else if failure.isConnectFailure, failure.error.isRetryable {
            let isFirst = host.machine.connectionFailed(task.role, now: now)
            let others = isFirst && othersTakeTurns(task, key, host)
            blame = .unreachable(
                .init(rounds: host.machine.failures, isFirst: isFirst, hasOthers: others))
        } else if code == .http(429) || code == .http(503) {
            let isOwn = host.refused.note(task.seq, served: host.machine.served)
            let isFirst = host.machine.refused(task.role, now: now)
            let others = isFirst && othersTakeTurns(task, key, host)
            blame = .refused(
                .init(
                    rounds: host.machine.refusals, isFirst: isFirst, isOwn: isOwn, hasOthers: others))
        } else {
            if failure.isCut { host.machine.connectionClosed(on: task.worker ?? 0) }
            return .job
        }
        fruitless(key, why: code.name)
        return blame
    }

    /// Whether others are queued that can be the host's next scouts. Where none are, those that had their turn are
    /// queued again.
    private mutating func othersTakeTurns(_ task: JobTask, _ key: HostKey, _ host: HostEntry) -> Bool {
        // One that was redirected here is queued for another host.
        guard task.job.laneHost == key else { return false }
        if board.hasJobs(of: key) || host.staged.count > 0 {
            host.hasTurnsWaiting = true
            return true
        }
        callTurns(key, host)
        return false
    }
}
