// SPDX-License-Identifier: Apache-2.0

import JobModel

/// Cuts jobs into pieces, deals them to workers and puts the answers together. Pure: no process, no clock.
///
/// - Fair among jobs: a job gives one piece and goes to the back; sums and digests take turns.
/// - What lies with a worker, and how much, is `WorkerHand`'s.
/// - When a worker dies, what it may have been at is suspect. A suspect is dealt once more, before all others and to a
///   worker that holds nothing else: should that one die too there is no doubt, and the job fails. Everything else goes
///   back without blame. So no job fails for its neighbour's sake, nor do neighbours wait for it.
struct PieceDealer {
    static let chunkTerms: UInt64 = 1 << 28
    /// Below this, cutting costs more than it brings.
    static let smallestChunk: UInt64 = 1 << 18
    /// A job's end.
    struct Ending: Sendable, Hashable {
        enum Result: Sendable, Hashable {
            case summed(UInt128)
            case digested(Checksum)
            case pieces([UInt8])
            case bundled([BundledDigest])
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
    private var jobs: [UInt64: Job] = [:]
    /// Tickets of jobs that still have work to deal, in turn.
    private var sums: [UInt64] = []
    private var files: [UInt64] = []
    /// The same of jobs that a worker died over.
    private var suspects: [UInt64] = []
    private var isFilesTurn = true
    private var hands: [Int: WorkerHand] = [:]
    private var lastPiece: UInt64 = 0

    var isIdle: Bool { jobs.isEmpty }
    func contains(_ ticket: UInt64) -> Bool { jobs[ticket] != nil }
    func isBusy(_ slot: Int) -> Bool { !(hands[slot]?.isEmpty ?? true) }
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
        case .file, .bundle:
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
        dequeue(ticket)
        return hands.flatMap { slot, hand in
            hand.pieces.filter { $0.ticket == ticket }.map { (slot, $0.id) }
        }
    }

    /// A worker has come up.
    mutating func open(_ slot: Int) { hands[slot] = WorkerHand() }

    /// Deals nothing more to a worker; what it has it may finish. Or the other way round.
    mutating func retire(_ slot: Int, _ isRetiring: Bool = true) { hands[slot]?.isRetiring = isRetiring }

    /// A worker without pieces has left.
    mutating func leave(_ slot: Int) {
        precondition(!isBusy(slot), "worker \(slot) leaves with pieces in its hand")
        hands[slot] = nil
    }

    /// The next piece and the worker it goes to; nil when there is no work or no room.
    mutating func deal() -> (slot: Int, piece: Piece)? {
        var reserved: Int?
        if let ticket = suspects.first, let work = peek(ticket) {
            let open = hands.filter { !$0.value.isRetiring }
            if let slot = open.filter({ $0.value.isEmpty }).keys.min() {
                dequeue(ticket)
                hands[slot]?.holdsSuspect = true
                return (slot, give(work, of: ticket, to: slot))
            }
            // One is left to run empty for it, else short jobs without end would keep it out.
            reserved = Self.lightest(open.filter { !$0.value.holdsSuspect })
        }
        return dealInTurn(except: reserved)
    }

    private mutating func dealInTurn(except reserved: Int?) -> (slot: Int, piece: Piece)? {
        // Spares looking at every job while all workers are full.
        let open = hands.filter { $0.key != reserved && $0.value.mayTakeMore }
        guard !open.isEmpty else { return nil }
        let isLongOnly = open.allSatisfy { $0.value.isHeavy }
        for isFile in isFilesTurn ? [true, false] : [false, true] where isFile || !isLongOnly {
            let turns = isFile ? files : sums
            for (place, ticket) in turns.enumerated() {
                guard let work = peek(ticket), work.isLong || !isLongOnly,
                    let slot = Self.lightest(open.filter({ $0.value.hasRoom(for: work) }))
                else { continue }
                if isFile { files.remove(at: place) } else { sums.remove(at: place) }
                isFilesTurn = !isFile
                return (slot, give(work, of: ticket, to: slot))
            }
        }
        return nil
    }

    /// The worker with the least to do.
    private static func lightest(_ hands: [Int: WorkerHand]) -> Int? {
        hands.min { $0.value.burden(at: $0.key) < $1.value.burden(at: $1.key) }?.key
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
            if job.hasWork { enqueue(ticket, job, first: false) }
        }
        hands[slot]?.take(piece)
        return piece
    }

    private mutating func enqueue(_ ticket: UInt64, _ job: Job, first: Bool) {
        if job.deaths > 0 {
            if !suspects.contains(ticket) { suspects.append(ticket) }
            return
        }
        switch job.work {
        case .terms:
            if !sums.contains(ticket) { sums.insert(ticket, at: first ? 0 : sums.count) }
        case .file, .bundle:
            if !files.contains(ticket) { files.insert(ticket, at: first ? 0 : files.count) }
        }
    }

    private mutating func dequeue(_ ticket: UInt64) {
        sums.removeAll { $0 == ticket }
        files.removeAll { $0 == ticket }
        suspects.removeAll { $0 == ticket }
    }
}

extension PieceDealer {
    /// A worker's answer to one piece.
    enum Answer: Sendable, Hashable {
        case summed(UInt128)
        case digested(Checksum)
        case pieces([UInt8])
        case bundled([BundledDigest])
        case failed(SumFault, String)
    }

    /// Books an answer. Returns the job's end if this was its last piece; nil also for pieces nobody waits for.
    /// `timings.queued` counts from the job's arrival, so `submitted + queued` is when the piece started.
    mutating func answered(
        _ slot: Int, piece id: UInt64, _ answer: Answer, _ timings: SumTimings
    ) -> Ending? {
        guard let piece = hands[slot]?.give(id) else { return nil }
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
        case .pieces(let digests): result = .pieces(digests)
        case .bundled(let digests): result = .bundled(digests)
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
        let suspects = hand.suspects
        var endings: [Ending] = []
        for piece in hand.pieces.reversed() {
            guard var job = jobs[piece.ticket] else { continue }
            job.out -= 1
            // The second death counts only where nothing else can have been the cause.
            let isBlamed = suspects.contains(piece) && (job.deaths == 0 || suspects.count == 1)
            if isBlamed { job.deaths += 1 }
            if job.deaths >= 2 {
                let message = "worker process \(pid) \(cause); it was the second to die over this job"
                endings.append(end(piece.ticket, job, .failed(fault, message), worker: pid))
                continue
            }
            job.returned.append(piece.work)
            jobs[piece.ticket] = job
            if isBlamed { dequeue(piece.ticket) }
            enqueue(piece.ticket, job, first: true)
        }
        return endings
    }

    private mutating func end(
        _ ticket: UInt64, _ job: Job, _ result: Ending.Result, worker: Int32
    ) -> Ending {
        jobs[ticket] = nil
        dequeue(ticket)
        let ran = job.started <= job.ended
        return Ending(
            ticket: ticket, result: result,
            timings: SumTimings(
                queued: ran ? max(0, job.started &- job.submitted) : 0,
                run: ran ? max(0, job.ended &- job.started) : 0, cpu: max(0, job.cpu), worker: worker))
    }
}
