// SPDX-License-Identifier: Apache-2.0

import JobModel

/// Twins: jobs whose URL and path are a live job's. They stay `queued` in the ledger and end as the other does.
extension DispatchLoop {
    /// Ends as its twin does, once that has ended. Bounded: past `maxFollowers` the job looks again later.
    mutating func follow(_ job: QueuedJob, _ leader: JobSeq) {
        guard followed[job.seq] == nil else { return }
        if followed.count < Self.maxFollowers {
            followers[leader, default: []].append(job)
            followed[job.seq] = leader
            // A leader outside the window may have ended since the claim was read.
            lookAtFollowers(within: tasks[leader] == nil ? .seconds(1) : Self.followerDelay)
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
            followed[job.seq] = nil
            let task = JobTask(job: job, claim: .duplicate(of: leader, ended: outcome), exists: .rename)
            tasks[job.seq] = task
            conclude(task, copy(of: outcome, for: task))
        }
    }

    /// A job of its own again: cancelled or paused by name. Its row is the ledger's.
    mutating func unfollow(_ seq: JobSeq) {
        guard let leader = followed.removeValue(forKey: seq) else { return }
        followers[leader]?.removeAll { $0.seq == seq }
        if followers[leader]?.isEmpty ?? false { followers[leader] = nil }
    }

    mutating func unfollow(_ list: ListID) {
        guard !followed.isEmpty else { return }
        for job in followers.values.flatMap({ $0 }) where job.lane.list == list { unfollow(job.seq) }
    }

    mutating func lookAtFollowers(within delay: Duration) {
        nextFollowerLook = min(nextFollowerLook ?? .distantFuture, now + delay)
    }

    /// Followers of a job that is not in the window are let go and read again: it may have ended in the ledger alone
    /// (cancelled while it waited), and their claim tells them so.
    mutating func letFollowersGo() {
        nextFollowerLook = nil
        var lanes: Set<LaneKey> = []
        for leader in Array(followers.keys) where tasks[leader] == nil {
            for job in followers.removeValue(forKey: leader) ?? [] {
                followed[job.seq] = nil
                lanes.insert(job.lane)
            }
        }
        for lane in lanes where !haltedLists.contains(lane.list) { board.reread(lane) }
        if !followers.isEmpty { lookAtFollowers(within: Self.followerDelay) }
    }
}
