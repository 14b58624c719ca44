// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit

/// Which jobs wait, which lie with `sumd`, and how often one of them was lost. Pure: no process, no clock.
///
/// A job is known to `sumd` by a ticket that is never used again: an answer that crosses a cancel, or comes from
/// before a restart, finds nobody and is dropped.
struct SumBook {
    enum Work: Sendable, Hashable {
        case sum(SumRange)
        case digest(
            directory: String, name: String, DigestAlgorithm, span: DigestSpan = .whole, rate: Int64? = nil)
        case bundle([HeldFile], DigestAlgorithm, bytes: Int64)
    }
    struct Job: Sendable, Hashable {
        let seq: JobSeq
        let work: Work
        /// CLOCK_MONOTONIC ns of the command.
        let submitted: Int64
        fileprivate(set) var deaths = 0
    }
    /// Losses that end a job: it may be what kills them.
    static let deathLimit = 2

    /// Sums that may lie with `sumd`: they cost it a hundred bytes each, and only what it has can share its workers.
    let sumCredit: Int
    /// Digests that may: each is an open descriptor on both sides, or a bundle of them.
    private(set) var digestCredit: Int

    private var waitingSums = JobQueue()
    private var waitingDigests = JobQueue()
    private var out: [UInt64: Job] = [:]
    private var tickets: [JobSeq: UInt64] = [:]
    private var sumsOut = 0
    private var digestsOut = 0
    private var lastTicket: UInt64 = 0

    init(processes: Int) {
        sumCredit = 1024
        digestCredit = Self.digestCredit(processes)
    }

    /// What lies with `sumd` beyond a credit that shrank stays there.
    mutating func resize(processes: Int) { digestCredit = Self.digestCredit(processes) }
    private static func digestCredit(_ processes: Int) -> Int { min(max(32, processes * 16), 192) }

    var waiting: Int { waitingSums.count + waitingDigests.count }
    var running: Int { out.count }

    /// Takes a job in. A job of the same number that is still here gives way: see `cancel` for the ticket answered.
    mutating func add(_ seq: JobSeq, _ work: Work, submitted: Int64) -> UInt64? {
        let replaced = cancel(seq)
        let job = Job(seq: seq, work: work, submitted: submitted)
        switch work {
        case .sum: waitingSums.append(job)
        case .digest, .bundle: waitingDigests.append(job)
        }
        return replaced
    }

    /// Forgets a job. Answers the ticket under which `sumd` has it, if it does.
    mutating func cancel(_ seq: JobSeq) -> UInt64? {
        waitingSums.remove(seq)
        waitingDigests.remove(seq)
        guard let ticket = tickets[seq] else { return nil }
        _ = take(ticket)
        return ticket
    }

    /// The next job to hand over; digests first: somebody's file waits for its name.
    mutating func next() -> (ticket: UInt64, job: Job)? {
        let job: Job
        if digestsOut < digestCredit, let next = waitingDigests.popFirst() {
            digestsOut += 1
            job = next
        } else if sumsOut < sumCredit, let next = waitingSums.popFirst() {
            sumsOut += 1
            job = next
        } else {
            return nil
        }
        lastTicket += 1
        out[lastTicket] = job
        tickets[job.seq] = lastTicket
        return (lastTicket, job)
    }

    /// Takes a job off the book that has its answer; nil for a ticket nobody waits for.
    mutating func take(_ ticket: UInt64) -> Job? {
        guard let job = out.removeValue(forKey: ticket) else { return nil }
        tickets[job.seq] = nil
        switch job.work {
        case .sum: sumsOut -= 1
        case .digest, .bundle: digestsOut -= 1
        }
        return job
    }

    /// `sumd` is gone with all it had. Its jobs wait again, before the others and in their old order; those that were
    /// lost before are answered instead.
    mutating func lost() -> [Job] {
        var failed: [Job] = []
        for ticket in out.keys.sorted(by: >) {
            guard var job = take(ticket) else { continue }
            job.deaths += 1
            guard job.deaths < Self.deathLimit else {
                failed.append(job)
                continue
            }
            switch job.work {
            case .sum: waitingSums.prepend(job)
            case .digest, .bundle: waitingDigests.prepend(job)
            }
        }
        return failed.reversed()
    }

    /// Empties the queues: there is no pool and none in sight.
    mutating func takeWaiting() -> [Job] {
        var jobs: [Job] = []
        while let job = waitingDigests.popFirst() { jobs.append(job) }
        while let job = waitingSums.popFirst() { jobs.append(job) }
        return jobs
    }
}

/// First in, first out, with removal by number: a cancelled job leaves its place as a gap.
private struct JobQueue {
    private var order: [Int64: SumBook.Job] = [:]
    private var places: [JobSeq: Int64] = [:]
    private var first: Int64 = 0
    private var end: Int64 = 0

    var count: Int { order.count }

    mutating func append(_ job: SumBook.Job) {
        order[end] = job
        places[job.seq] = end
        end += 1
    }
    mutating func prepend(_ job: SumBook.Job) {
        first -= 1
        order[first] = job
        places[job.seq] = first
    }
    mutating func remove(_ seq: JobSeq) {
        if let place = places.removeValue(forKey: seq) { order[place] = nil }
    }
    mutating func popFirst() -> SumBook.Job? {
        while first < end {
            defer { first += 1 }
            if let job = order.removeValue(forKey: first) {
                places[job.seq] = nil
                return job
            }
        }
        return nil
    }
}
