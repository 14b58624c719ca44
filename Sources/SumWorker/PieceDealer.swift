// SPDX-License-Identifier: Apache-2.0

import JobModel

/// A piece of a CPU job: what one worker computes at one go.
struct Piece: Sendable, Hashable {
    enum Work: Sendable, Hashable {
        case terms(SumRange)
        /// A whole file; `size` in bytes is for the dealing only.
        case file(DigestAlgorithm, size: Int64)
    }
    /// Of this piece alone; never used again.
    let id: UInt64
    /// The job it belongs to.
    let ticket: UInt64
    let work: Work
}

/// Cuts jobs into pieces, deals them to workers and puts the answers together. Pure: no process, no clock.
///
/// - Fair among jobs: a job gives one piece and goes to the back; sums and digests take turns.
/// - At most `depth` pieces lie with a worker, and more than one only while they are short: what lies there cannot
///   be given to another.
/// - Long files never take all workers, so that short ones still flow past them.
/// - A worker works in the order of its hand, so when it dies its oldest piece is to blame. That job is dealt once
///   more; a second death ends it. The other pieces go back without blame.
struct PieceDealer {
    static let depth = 16
    static let chunkTerms: UInt64 = 1 << 28
    /// Below this, cutting costs more than it brings.
    static let smallestChunk: UInt64 = 1 << 18
    /// What may lie with a worker beyond its first piece; one term is one, one byte four.
    static let shortWeight: UInt64 = 1 << 24
    static let longFile: Int64 = 64 << 20

    /// A job's end.
    struct Ending: Sendable, Hashable {
        enum Result: Sendable, Hashable {
            case summed(UInt128)
            case digested(Checksum)
            case failed(SumFault, String)
        }
        let ticket: UInt64
        let result: Result
        let timings: SumTimings
    }

    private struct Job {
        var work: Piece.Work
        var submitted: Int64
        /// Terms of one piece.
        var chunk: UInt64 = 0
        /// Terms not yet cut off.
        var rest: SumRange?
        /// Work that came back from a dead worker; goes out first.
        var returned: [Piece.Work] = []
        var out = 0
        var deaths = 0
        var total: UInt128 = 0
        var cpu: Int64 = 0
        var started = Int64.max
        var ended = Int64.min
        var hasWork: Bool { rest != nil || !returned.isEmpty }
    }
    private struct Hand {
        var pieces: [Piece] = []
        var weight: UInt64 = 0
        var holdsLongFile = false
    }

    private var jobs: [UInt64: Job] = [:]
    /// Tickets of jobs that still have work to deal, in turn.
    private var sums: [UInt64] = []
    private var files: [UInt64] = []
    private var isFilesTurn = true
    private var hands: [Int: Hand] = [:]
    private var lastPiece: UInt64 = 0

    var isIdle: Bool { jobs.isEmpty }
    func contains(_ ticket: UInt64) -> Bool { jobs[ticket] != nil }
    func isBusy(_ slot: Int) -> Bool { !(hands[slot]?.pieces.isEmpty ?? true) }
    /// What lies with a worker, oldest first.
    func hand(of slot: Int) -> [Piece] { hands[slot]?.pieces ?? [] }
}

extension PieceDealer {
    /// Takes a job in. `processes` is how many workers a short sum is spread over; `submitted` CLOCK_MONOTONIC ns.
    mutating func add(_ ticket: UInt64, _ work: Piece.Work, submitted: Int64, processes: Int) {
        precondition(jobs[ticket] == nil, "ticket \(ticket) is taken")
        var job = Job(work: work, submitted: submitted)
        switch work {
        case .terms(let range):
            job.rest = range
            job.chunk = Self.chunk(of: range, processes: processes)
            sums.append(ticket)
        case .file:
            job.returned = [work]
            files.append(ticket)
        }
        jobs[ticket] = job
    }

    /// Terms of one piece: even pieces, one a process where the range is short, never more than `chunkTerms`.
    static func chunk(of range: SumRange, processes: Int) -> UInt64 {
        let spread = UInt128(max(1, processes))
        let share = (range.terms + spread - 1) / spread
        return UInt64(min(max(share, UInt128(smallestChunk)), UInt128(chunkTerms)))
    }

    /// Forgets a job. Answers where a piece of it may be running, so that the worker can be told.
    mutating func cancel(_ ticket: UInt64) -> [(slot: Int, piece: UInt64)] {
        guard jobs.removeValue(forKey: ticket) != nil else { return [] }
        sums.removeAll { $0 == ticket }
        files.removeAll { $0 == ticket }
        return hands.flatMap { slot, hand in
            hand.pieces.filter { $0.ticket == ticket }.map { (slot, $0.id) }
        }
    }

    /// A worker has come up.
    mutating func open(_ slot: Int) { hands[slot] = Hand() }

    /// The next piece and the worker it goes to; nil when there is no work or no room.
    mutating func deal() -> (slot: Int, piece: Piece)? {
        // Spares looking at every job while all workers are full.
        guard hands.values.contains(where: { $0.weight < Self.shortWeight && $0.pieces.count < Self.depth })
        else {
            return nil
        }
        for isFile in isFilesTurn ? [true, false] : [false, true] {
            let turns = isFile ? files : sums
            for (place, ticket) in turns.enumerated() {
                guard let work = peek(ticket), let slot = slot(for: work) else { continue }
                if isFile { files.remove(at: place) } else { sums.remove(at: place) }
                isFilesTurn = !isFile
                return (slot, give(work, of: ticket, to: slot))
            }
        }
        return nil
    }

    private func peek(_ ticket: UInt64) -> Piece.Work? {
        guard let job = jobs[ticket] else { return nil }
        if let work = job.returned.last { return work }
        guard let rest = job.rest else { return nil }
        let last = rest.to - rest.from < job.chunk ? rest.to : rest.from + (job.chunk - 1)
        return .terms(SumRange(from: rest.from, to: last))
    }

    private mutating func give(_ work: Piece.Work, of ticket: UInt64, to slot: Int) -> Piece {
        lastPiece += 1
        let piece = Piece(id: lastPiece, ticket: ticket, work: work)
        if var job = jobs[ticket] {
            if job.returned.popLast() == nil, case .terms(let cut) = work, let rest = job.rest {
                job.rest = cut.to == rest.to ? nil : SumRange(from: cut.to + 1, to: rest.to)
            }
            job.out += 1
            jobs[ticket] = job
            if job.hasWork { enqueue(ticket, job.work, first: false) }
        }
        hands[slot, default: Hand()].pieces.append(piece)
        weigh(slot)
        return piece
    }

    private mutating func enqueue(_ ticket: UInt64, _ work: Piece.Work, first: Bool) {
        switch work {
        case .terms:
            if !sums.contains(ticket) { sums.insert(ticket, at: first ? 0 : sums.count) }
        case .file:
            if !files.contains(ticket) { files.insert(ticket, at: first ? 0 : files.count) }
        }
    }

    /// The worker with the lightest hand that may take it.
    private func slot(for work: Piece.Work) -> Int? {
        let weight = Self.weight(work)
        if Self.isLong(work) {
            let taken = hands.values.filter(\.holdsLongFile).count
            if taken >= max(1, hands.count - 1) { return nil }
        }
        let open = hands.filter { _, hand in
            hand.pieces.isEmpty
                || (hand.pieces.count < Self.depth && hand.weight + weight <= Self.shortWeight)
        }
        return open.min {
            ($0.value.weight, $0.value.pieces.count, $0.key) < (
                $1.value.weight, $1.value.pieces.count, $1.key
            )
        }?.key
    }

    private static func isLong(_ work: Piece.Work) -> Bool {
        if case .file(_, let size) = work { size > longFile } else { false }
    }
    /// At most 2^62, so that sixteen of the short ones and one of these cannot overflow.
    private static func weight(_ work: Piece.Work) -> UInt64 {
        switch work {
        case .terms(let range): UInt64(min(range.terms, 1 << 62))
        case .file(_, let size): UInt64(min(max(0, size), 1 << 60)) * 4
        }
    }
    private mutating func weigh(_ slot: Int) {
        guard var hand = hands[slot] else { return }
        hand.weight = hand.pieces.reduce(0) { $0 + Self.weight($1.work) }
        hand.holdsLongFile = hand.pieces.contains { Self.isLong($0.work) }
        hands[slot] = hand
    }
}

extension PieceDealer {
    /// A worker's answer to one piece.
    enum Answer: Sendable, Hashable {
        case summed(UInt128)
        case digested(Checksum)
        case failed(SumFault, String)
    }

    /// Books an answer. Returns the job's end if this was its last piece; nil also for pieces nobody waits for.
    /// `timings.queued` counts from the job's arrival, so `submitted + queued` is when the piece started.
    mutating func answered(
        _ slot: Int, piece id: UInt64, _ answer: Answer, _ timings: SumTimings
    ) -> Ending? {
        guard let place = hands[slot]?.pieces.firstIndex(where: { $0.id == id }),
            let piece = hands[slot]?.pieces.remove(at: place)
        else { return nil }
        weigh(slot)
        guard var job = jobs[piece.ticket] else { return nil }
        job.out -= 1
        let started = job.submitted &+ timings.queued
        job.started = min(job.started, started)
        job.ended = max(job.ended, started &+ timings.run)
        job.cpu = job.cpu &+ timings.cpu
        let result: Ending.Result
        switch answer {
        case .failed(let fault, let message): result = .failed(fault, message)
        case .digested(let checksum): result = .digested(checksum)
        case .summed(let part):
            // Cannot overflow: the pieces of one range add up to less than 2^128.
            job.total += part
            guard !job.hasWork, job.out == 0 else {
                jobs[piece.ticket] = job
                return nil
            }
            result = .summed(job.total)
        }
        return end(piece.ticket, job, result, worker: timings.worker)
    }

    /// A worker is gone, with everything that lay with it. Returns the jobs that end by it.
    mutating func died(_ slot: Int, pid: Int32, fault: SumFault, cause: String) -> [Ending] {
        guard let hand = hands.removeValue(forKey: slot) else { return [] }
        var endings: [Ending] = []
        for (place, piece) in hand.pieces.enumerated().reversed() {
            guard var job = jobs[piece.ticket] else { continue }
            job.out -= 1
            if place == 0 { job.deaths += 1 }
            if job.deaths >= 2 {
                let message = "worker process \(pid) \(cause); it was the second to die over this job"
                endings.append(end(piece.ticket, job, .failed(fault, message), worker: pid))
                continue
            }
            job.returned.append(piece.work)
            jobs[piece.ticket] = job
            enqueue(piece.ticket, piece.work, first: true)
        }
        return endings
    }

    private mutating func end(
        _ ticket: UInt64, _ job: Job, _ result: Ending.Result, worker: Int32
    ) -> Ending {
        jobs[ticket] = nil
        sums.removeAll { $0 == ticket }
        files.removeAll { $0 == ticket }
        let ran = job.started <= job.ended
        return Ending(
            ticket: ticket, result: result,
            timings: SumTimings(
                queued: ran ? max(0, job.started &- job.submitted) : 0,
                run: ran ? max(0, job.ended &- job.started) : 0, cpu: max(0, job.cpu), worker: worker))
    }
}
