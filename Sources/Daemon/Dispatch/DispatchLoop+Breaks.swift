// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Transfer

// A transfer that failed: what becomes of its job and of its host.
extension DispatchLoop {
    mutating func broke(_ task: JobTask, _ failure: TransferFailure, host key: HostKey?) {
        task.error = failure.error
        task.resume = failure.resume
        if failure.isLocal { return brokeLocally(task, failure) }
        if task.machine.request != nil {
            return act(task.machine.handle(.stopped(keepsPart: failure.resume != nil)), on: task)
        }
        if isDoubted(task, failure, host: key) { return }
        charge(task, failure, host: key)
    }

    /// The job's or the host's own fault.
    mutating func charge(_ task: JobTask, _ failure: TransferFailure, host key: HostKey?) {
        if failure.isUncharged {
            task.attempts = max(0, task.attempts - 1)
            if let key { hosts[key]?.machine.connectionClosed() }
            return rest(task, after: .seconds(1), keepsPart: failure.resume != nil)
        }
        let policy = plan.retry(for: task.job.options)
        let verdict = policy.verdict(
            for: failure.error, attempts: task.attempts, retryAfter: failure.retryAfter,
            random: Double.random(in: 0..<1, using: &random))
        // A certificate that is no good stays so: its jobs fail one after the other, without a hold between them.
        if failure.isConnectFailure, failure.error.isRetryable, let key { connectFailed(key, failure.error) }
        switch verdict {
        case .retry(let delay, let holdsHost):
            if holdsHost, let key { hold(key, for: delay, reason: failure.error.code.name) }
            rest(task, after: delay, keepsPart: failure.resume != nil)
        case .giveUp:
            fail(task, failure.error)
        }
    }

    /// A scout that cannot connect holds the host, not job after job: each of them would only wait its own time-out.
    private mutating func connectFailed(_ key: HostKey, _ error: JobError) {
        hosts[key]?.machine.connectionFailed()
        let policy = plan.retry
        // By the host's failures in a row, whichever jobs they were met by.
        let doublings = min(max(0, (hosts[key]?.machine.failures ?? 1) - 1), 20)
        let delay = min(policy.baseDelay * (1 << doublings), policy.maxDelay)
        hold(key, for: delay, reason: error.code.name)
    }

    private mutating func rest(_ task: JobTask, after delay: Duration, keepsPart: Bool) {
        if let deadline = plan.configuration.timeouts.job, let first = task.firstStarted,
            now + delay > first + deadline
        {
            return fail(task, JobError(.jobDeadline, "not done within \(DurationText.format(deadline))"))
        }
        task.retryDelay = delay
        act(task.machine.handle(.broke(.waiting, keepsPart: keepsPart)), on: task)
    }

    /// The disk, not the job: no attempt is charged, and nothing starts until the place can be written to again.
    private mutating func brokeLocally(_ task: JobTask, _ failure: TransferFailure) {
        task.attempts = max(0, task.attempts - 1)
        if failure.error.code == .disk { localTroubleBegan(failure.error.message) }
        if failure.error.code != .disk, !failure.error.isRetryable { return fail(task, failure.error) }
        act(task.machine.handle(.broke(.requeued, keepsPart: failure.resume != nil)), on: task)
    }

    mutating func localTroubleBegan(_ why: String) {
        if localTrouble == nil { remark(.error, "paused: \(why)") }
        localTrouble = why
        localTroubleEnds = now + .seconds(5)
    }
}
