// SPDX-License-Identifier: Apache-2.0

import JobModel

/// Twins: jobs with the URL and the path of a live one. They end as that one, the leader, does.
///
/// A follower stays `queued` in the ledger and holds no credit. The claim that made it one was read some time ago:
/// the leader may have ended meanwhile. So it follows at once only a leader in the window; else the ledger is asked
/// again, and its answer is acted on before any later end can be heard of, since both come through one mailbox.
extension DispatchLoop {
    mutating func twinFound(_ job: QueuedJob, _ leader: JobSeq) {
        if tasks[leader] != nil { return follow(job, leader) }
        followerSeqs.insert(job.seq)
        outbox.ledger.append(.claim(job))
    }

    mutating func claimed(_ job: QueuedJob, _ claim: PathClaim) {
        followerSeqs.remove(job.seq)
        switch claim {
        case .duplicate(let leader, nil):
            follow(job, leader)
        case .duplicate(let leader, let outcome?):
            conclude(job, after: leader, as: outcome)
        case .granted, .taken:
            // A job like any other now: read like one.
            board.reread(job.lane)
        }
    }

    /// Bounded: past `maxFollowers` the job looks again later.
    private mutating func follow(_ job: QueuedJob, _ leader: JobSeq) {
        if followerSeqs.count < Self.maxFollowers {
            followers[leader, default: []].append(job)
            followerSeqs.insert(job.seq)
            return
        }
        let task = JobTask(job: job, claim: .duplicate(of: leader, ended: nil), exists: .rename)
        tasks[job.seq] = task
        task.error = JobError(.nameTaken, "a live job has the same URL and path")
        task.retryDelay = Self.followerDelay
        act(task.machine.handle(.broke(.waiting, keepsPart: false)), on: task)
    }

    mutating func endFollowers(of leader: JobSeq, as outcome: Outcome) {
        for job in followers.removeValue(forKey: leader) ?? [] {
            followerSeqs.remove(job.seq)
            conclude(job, after: leader, as: outcome)
        }
    }

    /// Rows changed behind the window's back (a cancel): who follows a leader out there asks again.
    mutating func recheckFollowers() {
        for leader in followers.keys where tasks[leader] == nil {
            for job in followers.removeValue(forKey: leader) ?? [] { outbox.ledger.append(.claim(job)) }
        }
    }

    private mutating func conclude(_ job: QueuedJob, after leader: JobSeq, as outcome: Outcome) {
        let task = JobTask(job: job, claim: .duplicate(of: leader, ended: outcome), exists: .rename)
        tasks[job.seq] = task
        conclude(task, copy(of: outcome, for: task))
    }
}
