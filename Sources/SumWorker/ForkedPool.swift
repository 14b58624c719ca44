// SPDX-License-Identifier: Apache-2.0
// Runs on: the one thread of sumd
// Owns: the worker processes, the jobs' descriptors, the signals
// Receives: submit, cancel, resize; answers of the workers; SIGCHLD, SIGTERM, SIGINT
// Sends: endings of jobs, to whoever turns it

import Glibc
import JobModel
import LinuxKit

/// N forked workers and the jobs they work on.
///
/// *Diagnostics*: a job fails when two workers died over it. A worker that dies is replaced after a back-off; where the
/// machine has no room for as many as wanted, the pool runs with fewer and tries again. None at all is no error
/// either: the jobs wait. Forking beside a second thread is our bug and traps.
struct ForkedPool: ~Copyable {
    /// What one turn brought.
    struct Turn {
        var endings: [PieceDealer.Ending] = []
        /// For each descriptor watched besides.
        var ready: [Bool] = []
        /// The last of SIGTERM, SIGINT, SIGHUP that came.
        var signal: Int32?
    }
    private static let signalNumbers = [SIGCHLD, SIGTERM, SIGINT, SIGHUP]

    private let signals: SignalDescriptor
    let deadline: PieceDeadline
    /// Those that are to go still among them.
    var slots: [WorkerSlot] = []
    /// How many there should be.
    var size = 0
    var dealer = PieceDealer()
    private var files: [UInt64: [HeldFile]] = [:]
    private var submitted: [UInt64: Int64] = [:]
    private var memoryKills = MemoryKills()
    /// Endings found outside a turn's own reading.
    private var endings: [PieceDealer.Ending] = []

    /// Deaths of workers so far.
    private(set) var restarts: UInt64 = 0
    /// What happened last, in words.
    private(set) var remark = ""
    /// Set when workers come or go; the reader takes it back.
    var hasChanged = true

    /// Blocks the signals and forks the first workers; call it before the process has a second thread.
    /// - Parameter silence: a worker that gives no sign for so long over one piece is killed.
    static func make(processes: Int, silence: Duration) throws(SystemError) -> ForkedPool {
        try SignalDescriptor.block(signalNumbers)
        SignalDescriptor.ignoreBrokenPipes()
        var pool = ForkedPool(
            signals: try SignalDescriptor(signalNumbers), deadline: PieceDeadline(silence: silence))
        // Once for all workers, and while files may still be opened: libcrypto reads its configuration.
        RunningDigest.prepare()
        pool.resize(to: processes)
        pool.startDue()
        return pool
    }

    private init(signals: consuming SignalDescriptor, deadline: PieceDeadline) {
        self.signals = signals
        self.deadline = deadline
    }

    /// No process outlives the pool.
    deinit {
        for slot in slots where slot.isUp {
            slot.kill(because: "is not needed any more")
            _ = slot.reap(waiting: true, now: 0)
        }
    }

    var workers: [Int32] { slots.compactMap { $0.process?.pid } }
    var isIdle: Bool { dealer.isIdle && endings.isEmpty }
    func contains(_ ticket: UInt64) -> Bool { dealer.contains(ticket) }
    /// Open if any worker is.
    var confinement: SumConfinement {
        let told = slots.map(\.confinement).filter { $0 != .unknown }
        return told.first { $0 != .confined } ?? told.first ?? .unknown
    }
    mutating func takeChange() -> Bool {
        defer { hasChanged = false }
        return hasChanged
    }
}

extension ForkedPool {
    /// Takes a job in; the ticket must be free. `submitted` is CLOCK_MONOTONIC in nanoseconds.
    mutating func submit(sum range: SumRange, ticket: UInt64, submitted time: Int64) {
        submitted[ticket] = time
        dealer.add(ticket, .terms(range), submitted: time, processes: self.size)
    }

    /// The same for a digest. A descriptor that is no regular file fails the job.
    mutating func submit(
        digest algorithm: DigestAlgorithm, _ span: DigestSpan = .whole, rate: Int64? = nil,
        of file: HeldFile, ticket: UInt64, submitted time: Int64
    ) {
        let size: Int64
        do throws(SystemError) {
            let status = try file.descriptor.status()
            guard status.kind == .regular else {
                reject(ticket, "not a regular file")
                return
            }
            size = min(max(0, status.size - span.offset), span.length ?? .max)
        } catch {
            reject(ticket, "\(error)")
            return
        }
        submitted[ticket] = time
        files[ticket] = [file]
        let work = Piece.Work.file(algorithm, span: span, size: size, rate: rate)
        dealer.add(ticket, work, submitted: time, processes: self.size)
    }

    /// The same for small files, which are one piece.
    mutating func submit(
        bundle files: [HeldFile], _ algorithm: DigestAlgorithm, bytes: Int64, ticket: UInt64,
        submitted time: Int64
    ) {
        submitted[ticket] = time
        self.files[ticket] = files
        let work = Piece.Work.bundle(algorithm, files: files.count, size: bytes)
        dealer.add(ticket, work, submitted: time, processes: self.size)
    }

    private mutating func reject(_ ticket: UInt64, _ message: String) {
        let timings = SumTimings(queued: 0, run: 0, cpu: 0, worker: 0)
        endings.append(.init(ticket: ticket, result: .failed(.unreadable, message), timings: timings))
    }

    /// Forgets a job. No ending follows.
    mutating func cancel(_ ticket: UInt64) {
        for (index, piece) in dealer.cancel(ticket) {
            slots.first { $0.index == index }?.send(.cancel(ticket: piece))
        }
        forget(ticket)
        endings.removeAll { $0.ticket == ticket }
    }

    private mutating func forget(_ ticket: UInt64) {
        files[ticket] = nil
        submitted[ticket] = nil
    }

    /// Deals, sleeps until something happens (at most `limit`; nil: for ever), books what has come.
    mutating func turn(
        watching others: [(descriptor: Int32, interest: Poll.Interest)] = [], atMost limit: Duration? = nil
    ) -> Turn {
        startDue()
        deal()
        var turn = Turn()
        let watched = slots.compactMap { slot in slot.pollEntry.map { (slot, $0) } }
        let entries = [(signals.descriptor, Poll.Interest.read)] + watched.map(\.1) + others
        // With something to tell there is no sleeping: the caller hears of it when this returns.
        let isQuiet = endings.isEmpty && !hasChanged
        let ready = Poll.ready(entries, atMost: isQuiet ? idleTime(limit) : .zero)
        turn.ready = Array(ready.suffix(others.count))
        if ready[0] { turn.signal = readSignals() }
        for (place, (slot, _)) in watched.enumerated() where ready[place + 1] {
            slot.flush()
            read(slot)
        }
        killOverdue()
        deal()
        retireIdle()
        turn.endings = endings
        endings = []
        for ending in turn.endings { forget(ending.ticket) }
        return turn
    }

    /// How long nothing of the pool's own can be due.
    private func idleTime(_ limit: Duration?) -> Duration? {
        let now = Monotonic.nanoseconds()
        var due = slots.filter { !$0.isUp }.map(\.dueAt).min()
        for slot in slots where slot.isUp && dealer.isBusy(slot.index) {
            due = min(due ?? .max, overdueAt(slot).time)
        }
        guard let due else { return limit }
        let own = Duration.nanoseconds(max(0, due - now))
        return min(own, limit ?? own)
    }

    private mutating func deal() {
        while let (index, piece) = dealer.deal() {
            guard let slot = slots.first(where: { $0.index == index }) else { continue }
            if dealer.hand(of: index).count == 1 { slot.lastSign = Monotonic.nanoseconds() }
            let time = submitted[piece.ticket] ?? 0
            switch piece.work {
            case .terms(let range):
                slot.send(.sum(ticket: piece.id, from: range.from, to: range.to, submitted: time))
            case .file(let algorithm, let span, _, let rate):
                let frame = SumFrame.digest(
                    ticket: piece.id, algorithm: algorithm, span: span, rate: rate, submitted: time)
                slot.send(frame, passing: files[piece.ticket] ?? [])
            case .bundle(let algorithm, let count, let size):
                let frame = SumFrame.bundle(
                    ticket: piece.id, algorithm: algorithm, files: count, bytes: size, submitted: time)
                slot.send(frame, passing: files[piece.ticket] ?? [])
            }
            slot.work(on: dealer.hand(of: index).first, now: Monotonic.nanoseconds())
        }
    }
}

extension ForkedPool {
    private mutating func startDue() {
        let now = Monotonic.nanoseconds()
        for slot in slots where !slot.isUp && !slot.isRetiring && slot.dueAt <= now {
            do throws(SystemError) {
                try slot.start(now: now)
                dealer.open(slot.index)
                hasChanged = true
            } catch {
                // EAGAIN: no room for another process. With fewer it works too, only slower.
                remark = "\(workers.count) of \(size) workers: \(error)"
                hasChanged = true
            }
        }
    }

    /// Books what a worker has sent; if it has ended, its death too.
    private mutating func read(_ slot: WorkerSlot) {
        let (frames, isClosed) = slot.receive()
        if !frames.isEmpty { slot.lastSign = Monotonic.nanoseconds() }
        for frame in frames { book(frame, from: slot) }
        slot.work(on: dealer.hand(of: slot.index).first, now: Monotonic.nanoseconds())
        if isClosed { bury(slot, waiting: true) }
    }

    private mutating func book(_ frame: SumFrame, from slot: WorkerSlot) {
        let ending: PieceDealer.Ending?
        switch frame {
        case .summed(let piece, let total, let timings):
            ending = dealer.answered(slot.index, piece: piece, .summed(total), timings)
        case .digested(let piece, let checksum, let timings):
            ending = dealer.answered(slot.index, piece: piece, .digested(checksum), timings)
        case .pieces(let piece, let digests, let timings):
            ending = dealer.answered(slot.index, piece: piece, .pieces(digests), timings)
        case .bundled(let piece, let digests, let timings):
            ending = dealer.answered(slot.index, piece: piece, .bundled(digests), timings)
        case .failed(let piece, let fault, let message):
            let timings = SumTimings(queued: 0, run: 0, cpu: 0, worker: slot.process?.pid ?? 0)
            ending = dealer.answered(slot.index, piece: piece, .failed(fault, message), timings)
        case .ready(let confinement):
            let before = self.confinement
            slot.told(confinement)
            if self.confinement != before { hasChanged = true }
            ending = nil
        case .progress, .pong:
            ending = nil
        case .sum, .digest, .bundle, .cancel, .ping, .pool, .resize:
            slot.kill(because: "sent what makes no sense")
            ending = nil
        }
        if let ending { endings.append(ending) }
    }

    /// - Parameter waiting: its socket is closed, so it is gone or going.
    private mutating func bury(_ slot: WorkerSlot, waiting: Bool) {
        guard let pid = slot.process?.pid else { return }
        // Killed as well: a process that closed its socket and lives on would keep us waiting.
        if waiting { slot.kill(because: "closed its socket") }
        let reason = slot.killedBecause
        guard let ending = slot.reap(waiting: waiting, now: Monotonic.nanoseconds()) else { return }
        let (fault, cause) = self.cause(of: ending, reason)
        restarts += 1
        hasChanged = true
        remark = "worker process \(pid) \(cause)"
        endings += dealer.died(slot.index, pid: pid, fault: fault, cause: cause)
        if slot.isRetiring { slots.removeAll { $0 === slot } }
    }

    private mutating func cause(of ending: ChildProcess.Ending, _ reason: String?) -> (SumFault, String) {
        let grown = memoryKills.haveGrown()
        if case .killed(signal: SIGKILL, _) = ending {
            if let reason, reason != "closed its socket" { return (.workerDied, reason) }
            if grown { return (.oom, "was killed for want of memory") }
        }
        return (.workerDied, "ended with \(ending)")
    }

    /// Reads them all, since equal ones count as one; reaps whoever has ended.
    private mutating func readSignals() -> Int32? {
        var last: Int32?
        while let number = signals.next() {
            if number != SIGCHLD { last = number }
        }
        for slot in slots where slot.isUp {
            // Its last answers first: a worker that was killed after its work has done it.
            let (frames, isClosed) = slot.receive()
            for frame in frames { book(frame, from: slot) }
            bury(slot, waiting: isClosed)
        }
        return last
    }
}
