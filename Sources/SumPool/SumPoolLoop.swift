// SPDX-License-Identifier: Apache-2.0
// Runs on: dld-sum
// Owns: the child process `sumd` and the socket to it; the jobs that wait for it or lie with it
// Receives: SumCommand
// Sends: SumEvent

import Glibc
import JobModel
public import LinuxKit
import SystemPackage

/// Starts `sumd`, hands jobs to it and starts it again when it dies.
///
/// Its thread must live as long as the daemon: the child's parent-death signal hangs on the thread that spawned it.
/// Jobs are handed over by credit, so that `sumd` deals fairly among many while descriptors stay few.
///
/// *Diagnostics*: a job fails when its file cannot be read, when two processes died over it, and when `sumd` could not
/// be started several times in a row. The daemon is never stopped from here: without `sumd` downloads go on, and
/// `SumPoolState` says what is wrong.
public struct SumPoolLoop: ~Copyable {
    /// Turns are marked at least so often.
    private static let longestSleep: Duration = .seconds(2)
    private static let stateInterval: Int64 = 100_000_000

    private var settings: SumPoolSettings
    private let inbox: Mailbox<SumCommand>
    private let bell: Doorbell
    private let events: @Sendable (SumEvent) -> Void
    private let heartbeat: Heartbeat

    private var sumd: RunningSumd?
    private var book: SumBook
    /// Jobs whose file's size is still to be told.
    private var looks: Set<JobSeq> = []
    private var restart: RestartPolicy
    /// When `sumd` may be started, CLOCK_MONOTONIC ns.
    private var dueAt: Int64 = 0
    private var failedStarts = 0
    private var state = SumPoolState()
    private var shownState = SumPoolState()
    private var shownAt: Int64 = 0
    private var hasStarted = false
    private var isStopping = false

    /// - Parameters:
    ///   - bell: the one that `inbox` rings.
    ///   - events: called on the loop's thread; must not block.
    public init(
        settings: SumPoolSettings, inbox: Mailbox<SumCommand>, bell: Doorbell,
        events: @escaping @Sendable (SumEvent) -> Void, heartbeat: Heartbeat
    ) {
        self.settings = settings
        self.inbox = inbox
        self.bell = bell
        self.events = events
        self.heartbeat = heartbeat
        book = SumBook(processes: settings.processes)
        restart = settings.restart
    }

    /// Works until `.stop`; `sumd` and its workers have ended when this returns.
    public mutating func run() {
        while !isStopping {
            heartbeat.mark()
            for command in inbox.drain() { handle(command) }
            startIfDue()
            feed()
            checkAlive()
            showState()
            idle()
            receive()
        }
        if let running = sumd.take() {
            heartbeat.enter("stopping sumd")
            running.stop(within: .seconds(2))
            heartbeat.leave()
        }
    }

    private mutating func handle(_ command: SumCommand) {
        let now = Monotonic.nanoseconds()
        let replaced: UInt64?
        switch command {
        case .sum(let seq, let range): replaced = book.add(seq, .sum(range), submitted: now)
        case .digest(let seq, let directory, let name, let algorithm, let span, let rate):
            let work = SumBook.Work.digest(
                directory: directory, name: name, algorithm, span: span, rate: rate)
            replaced = book.add(seq, work, submitted: now)
        case .look(let seq, let directory, let name, let algorithm):
            replaced = book.add(
                seq, .digest(directory: directory, name: name, algorithm, span: .whole), submitted: now)
            looks.insert(seq)
        case .bundle(let seq, let files, let algorithm, let bytes):
            replaced = book.add(seq, .bundle(files, algorithm, bytes: bytes), submitted: now)
        case .cancel(let seq):
            looks.remove(seq)
            replaced = book.cancel(seq)
        case .resize(let processes):
            settings.processes = SumPoolSettings.held(processes)
            book.resize(processes: settings.processes)
            send(.resize(processes: UInt64(settings.processes)))
            replaced = nil
        case .stop:
            isStopping = true
            replaced = nil
        }
        if let replaced { send(.cancel(ticket: replaced)) }
    }

    private func isDue(_ now: Int64) -> Bool {
        sumd == nil && now >= dueAt && (settings.startsAtOnce || hasStarted || book.waiting > 0)
    }

    /// Sleeps until a command, a packet, or the next thing that is due.
    private mutating func idle() {
        let now = Monotonic.nanoseconds()
        var due = Int64.max
        if state != shownState { due = min(due, shownAt &+ Self.stateInterval) }
        var entries: [(descriptor: Int32, interest: Poll.Interest)] = [(bell.descriptor, .read)]
        switch sumd {
        case .some(let running):
            due = min(due, running.nextCheck(answerLimit: settings.answerLimit))
            entries.append(running.pollEntry)
        case .none:
            if settings.startsAtOnce || hasStarted || book.waiting > 0 { due = min(due, dueAt) }
        }
        let own = Duration.nanoseconds(max(0, due.subtractingReportingOverflow(now).partialValue))
        let ready = Poll.ready(entries, atMost: isStopping ? .zero : min(own, Self.longestSleep))
        if ready[0] { bell.silence() }
    }
}

extension SumPoolLoop {
    private mutating func startIfDue() {
        let now = Monotonic.nanoseconds()
        guard !isStopping, isDue(now) else { return }
        if hasStarted { state.restarts += 1 }
        hasStarted = true
        do throws(SystemError) {
            let started = try RunningSumd.start(settings, now: now)
            state.pid = started.process.pid
            sumd = consume started
        } catch {
            state.remark = "\(error)"
            dueAt = now &+ restart.delay(afterLiving: .zero).nanosecondsClamped
            countFailedStart()
        }
    }

    private mutating func countFailedStart() {
        failedStarts += 1
        guard failedStarts >= settings.failedStartLimit else { return }
        for job in book.takeWaiting() {
            fail(job, .workerDied, "sumd does not start (\(failedStarts) times in a row): \(state.remark)")
        }
    }

    /// Hands over as many jobs as there is credit for.
    private mutating func feed() {
        while sumd != nil, let (ticket, job) = book.next() {
            switch job.work {
            case .sum(let range):
                send(.sum(ticket: ticket, from: range.from, to: range.to, submitted: job.submitted))
            case .digest(let directory, let name, let algorithm, let span, let rate):
                let frame = SumFrame.digest(
                    ticket: ticket, algorithm: algorithm, span: span, rate: rate, submitted: job.submitted)
                handOver(frame, of: job, ticket, directory: FilePath(directory), name: FilePath(name))
            case .bundle(let files, let algorithm, let bytes):
                send(
                    .bundle(
                        ticket: ticket, algorithm: algorithm, files: files.count, bytes: bytes,
                        submitted: job.submitted), passing: files)
            }
        }
    }

    private mutating func handOver(
        _ frame: SumFrame, of job: SumBook.Job, _ ticket: UInt64, directory: FilePath, name: FilePath
    ) {
        let tellsSize = looks.remove(job.seq) != nil
        do throws(SystemError) {
            // No link anywhere below the directory is ours. Nor is a FIFO, which would hang an open that waits for a
            // writer.
            let tree = try DirectoryTree(root: directory, capacity: 1)
            let file = try tree.open(name, .readOnly, options: [.nonBlocking])
            if tellsSize { events(.found(job.seq, size: try file.status(name.string).size)) }
            send(frame, passing: [HeldFile(file)])
        } catch {
            _ = book.take(ticket)
            fail(job, .disk, "\(error)")
        }
    }

    private mutating func send(_ frame: SumFrame, passing files: [HeldFile] = []) {
        do throws(SystemError) {
            try sumd?.send(frame, passing: files)
        } catch {
            bury(because: "\(error)")
        }
    }

    private mutating func checkAlive() {
        let now = Monotonic.nanoseconds()
        do throws(SystemError) {
            let isAlive = try sumd?.keepAlive(now: now, answerLimit: settings.answerLimit) ?? true
            if !isAlive { bury(because: "gave no answer for \(DurationText.format(settings.answerLimit))") }
        } catch {
            bury(because: "\(error)")
        }
    }

    private mutating func receive() {
        do {
            try sumd?.flush()
            while let frames = try sumd?.receive() {
                for frame in frames { try handle(frame) }
            }
        } catch {
            bury(because: "\(error)")
        }
    }

    private mutating func handle(_ frame: SumFrame) throws {
        switch frame {
        case .summed(let ticket, let total, let timings):
            if let job = book.take(ticket) { events(.summed(job.seq, value: String(total), timings)) }
        case .digested(let ticket, let checksum, let timings):
            if let job = book.take(ticket) { events(.digested(job.seq, checksum, timings)) }
        case .pieces(let ticket, let digests, let timings):
            if let job = book.take(ticket) { events(.pieced(job.seq, digests, timings)) }
        case .bundled(let ticket, let digests, _):
            guard let job = book.take(ticket) else { return }
            guard case .bundle(let files, _, _) = job.work, files.count == digests.count else {
                fail(job, .workerDied, "sumd answered for another number of files")
                throw SumFrameError.badField
            }
            events(.bundled(job.seq, digests))
        case .failed(let ticket, let fault, let message):
            if let job = book.take(ticket) { fail(job, fault.code, message) }
        case .pool(let workers, let restarts, let remark, let confinement):
            if !workers.isEmpty { failedStarts = 0 }
            sumd?.told(workers: workers, restarts: restarts)
            if !remark.isEmpty { state.remark = remark }
            state.confinement = confinement
        case .pong(let number): sumd?.ponged(number, now: Monotonic.nanoseconds())
        case .sum, .digest, .bundle, .cancel, .ping, .progress, .resize, .ready: throw SumFrameError.badField
        }
    }

    /// Ends what is left of `sumd` and takes its jobs back.
    private mutating func bury(because reason: String) {
        guard var running = sumd.take() else { return }
        let now = Monotonic.nanoseconds()
        heartbeat.enter("reaping sumd")
        let ending = running.end()
        heartbeat.leave()
        let isStarved = running.wasStarved() && ending == .killed(signal: SIGKILL, hasDumpedCore: false)
        let cause = isStarved ? "killed for want of memory" : ending.map { "\($0)" } ?? reason
        state.remark = "sumd \(running.process.pid) is gone (\(cause)); \(reason)"
        dueAt = now &+ restart.delay(afterLiving: .nanoseconds(now - running.startedAt)).nanosecondsClamped
        let hasSpoken = running.hasSpoken
        for job in book.lost() {
            let code: ErrorCode = isStarved ? .oom : .workerDied
            fail(job, code, "sumd died for the second time while it had this job: \(state.remark)")
        }
        if !hasSpoken { countFailedStart() }
    }

    private func fail(_ job: SumBook.Job, _ code: ErrorCode, _ message: String) {
        let shown: String
        switch job.work {
        case .sum(let range): shown = "sum \(range.from)..\(range.to): \(message)"
        case .bundle(let files, _, _): shown = "digests of \(files.count) files: \(message)"
        case .digest(_, let name, _, _, _): shown = "digest of part \(Masking.text(name)): \(message)"
        }
        events(.failed(job.seq, JobError(code, shown)))
    }

    private mutating func showState() {
        state.queued = book.waiting
        state.running = book.running
        switch sumd {
        case .some(let running):
            state.pid = running.process.pid
            state.workers = running.workers
            state.workerRestarts = Int(clamping: running.workerRestarts)
        case .none:
            state.pid = nil
            state.workers = []
        }
        state.isUp = !state.workers.isEmpty
        let now = Monotonic.nanoseconds()
        guard state != shownState, now - shownAt >= Self.stateInterval || shownAt == 0 else { return }
        shownState = state
        shownAt = now
        events(.state(state))
    }
}
