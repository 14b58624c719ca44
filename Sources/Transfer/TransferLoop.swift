// SPDX-License-Identifier: Apache-2.0

// Runs on:  dld-xfer-N.
// Owns:     one multi handle with its connections, the transfers in it, their open part files.
// Receives: TransferCommand through its mailbox, whose wake is the multi handle's waker.
// Sends:    TransferEvent, one batch a turn, through the closure given at the start.

import Curl
import JobModel
public import LinuxKit
import SystemPackage

/// Bytes to part files: one worker's libcurl loop.
///
/// Purpose: runs what it is told to start, all at once, and reports how each ended. It knows no jobs, no
/// retries and no queue: what may start now is the sender's decision. Each answer is checked before its first
/// byte is written.
/// Threads: made and run on its own thread; only the mailbox, the waker and the heartbeat are touched by
/// others.
/// Diagnostics: what goes wrong with a transfer is its report; trouble of this machine is marked `isLocal`.
/// It never stops the daemon. A report for a transfer that nobody ordered stops the process: our bug.
public struct TransferLoop: ~Copyable {
    /// Between two progress events.
    static let progressStep: Duration = .milliseconds(250)
    /// The longest sleep: the watchdog wants to see a turn.
    static let longestSleep: Duration = .seconds(2)
    /// Ends of transfers that others have taken the place of are told within this.
    static let gathering: Duration = .milliseconds(2)
    /// Ranges shorter than asked that one transfer goes on after.
    static let continuationLimit = 1000

    let worker: Int
    let settings: TransferSettings
    let tools: ReceptionTools
    private let inbox: Mailbox<TransferCommand>
    private let emit: @Sendable ([TransferEvent]) -> Void
    private let heartbeat: Heartbeat
    var multi: MultiHandle
    var active: [UInt64: ActiveTransfer] = [:]
    var tokens: [TransferKey: UInt64] = [:]
    /// Who rides which connection, by host.
    var tallies: [HostKey: StreamTally<ConnectionName>] = [:]
    /// Of these, such as have answered in this turn.
    var answeredHosts: [HostKey] = []
    private var paused: [Reception] = []
    /// Transfers whose files come in segments.
    var divided: Set<UInt64> = []
    private(set) var events: [TransferEvent] = []
    /// Somebody waits for one of them.
    private var isUrgent = false
    /// When they are told at the latest.
    private var tellBy = MonotonicTime.distantFuture
    /// Staged orders that have begun since events were told last.
    var begunSinceTold = 0
    var staged = StagedOrders()
    /// Staged orders whose turn has come, not yet given to libcurl.
    var successors: [ActiveTransfer] = []
    private var nextProgress = MonotonicTime(nanoseconds: 0)
    private(set) var isStopping = false

    /// - Parameters:
    ///   - bell: what `inbox` wakes; gets this loop's waker.
    ///   - events: called on this thread; must not block.
    /// - Throws: without memory or descriptors.
    public init(
        worker: Int, settings: TransferSettings, inbox: Mailbox<TransferCommand>, bell: WakePort,
        events: @escaping @Sendable ([TransferEvent]) -> Void, heartbeat: Heartbeat
    ) throws {
        self.worker = worker
        self.settings = settings
        self.inbox = inbox
        self.emit = events
        self.heartbeat = heartbeat
        tools = ReceptionTools(
            folders: PartFolders(
                main: settings.partsDirectory, output: settings.outputRoot, heartbeat: heartbeat),
            purse: settings.purse, pool: GatherPool(),
            notes: LoopNotes(), asksForRoom: settings.asksForRoom, totalLimiter: settings.totalLimiter)
        multi = try MultiHandle.make(
            limits: ConnectionLimits(
                cacheSize: settings.connectionCacheSize, perHost: settings.connectionsPerHost,
                streams: settings.streamsPerConnection))
        bell.install(multi.waker)
    }

    /// Until `stop`.
    public mutating func run() {
        while !(isStopping && active.isEmpty) {
            heartbeat.mark()
            for command in inbox.drain() { handle(command) }
            multi.perform()
            takeNotes()
            takeFinished()
            countStreams()
            let now = Clock.now()
            unpauseDue(now)
            beginSuccessors()
            takeProgress(now)
            deliver(now)
            if isStopping && active.isEmpty { break }
            multi.poll(atMost: sleep(now))
        }
        tell(.stopped(worker: worker))
        deliver(Clock.now())
    }

    private mutating func handle(_ command: TransferCommand) {
        switch command {
        case .start(let order):
            precondition(active[order.token] == nil, "token \(order.token) is in use")
            if isStopping {
                report(ActiveTransfer(order), .cancelled(resume: order.resume), nil)
            } else {
                begin(ActiveTransfer(order))
            }
        case .stage(let order): stage(order)
        case .begin(let token):
            if let transfer = staged.take(token) { begin(transfer) }
        case .unstage(let token): unstage(token)
        case .cancel(let token, let keepsPart):
            unstage(token)
            // Not there: it ended before the command came, and its report is on the way.
            if let transfer = active[token] { cancel(transfer, keepsPart: keepsPart) }
        case .connectionLimits(let cacheSize, let perHost, let streams):
            multi.set(ConnectionLimits(cacheSize: cacheSize, perHost: perHost, streams: streams))
        case .granted(let token): goOn(token)
        case .openSegment(let token, let helper, let isOpen): openSegment(token, helper, isOpen)
        case .closeSegments(let token, let count, let places): closeSegments(token, count, at: places)
        case .forgetFolders: tools.folders.forgetAll()
        case .stop(let keepsParts):
            isStopping = true
            for transfer in staged.takeAll() { giveBack(transfer) }
            for transfer in active.values { cancel(transfer, keepsPart: keepsParts) }
        }
    }

    private mutating func cancel(_ transfer: ActiveTransfer, keepsPart: Bool) {
        let reading =
            transfer.divided == nil ? transfer.key.flatMap { multi.remove($0) } : endRequests(transfer)
        let resume = transfer.settlePart(
            tools, keeping: keepsPart ? .synced(isDurable: settings.isDurable) : .nothing)
        report(transfer, .cancelled(resume: resume), reading)
    }

    private mutating func takeNotes() {
        for note in tools.notes.firstHeads {
            tell(
                .connected(
                    worker: worker, token: note.token, isHTTP2: note.isHTTP2, isUsable: note.isUsable,
                    sight: note.isHTTP2 ? sight(of: note.token) : nil),
                isUrgent: !(active[note.token]?.isSuccessor ?? false))
        }
        tools.notes.firstHeads.removeAll(keepingCapacity: true)
        for note in tools.notes.helperHeads {
            tell(
                .helperConnected(
                    worker: worker, token: note.token, place: note.place, isUsable: note.isUsable))
        }
        tools.notes.helperHeads.removeAll(keepingCapacity: true)
        for note in tools.notes.sizes {
            tell(.sized(worker: worker, token: note.token, total: note.total))
        }
        tools.notes.sizes.removeAll(keepingCapacity: true)
        for token in tools.notes.divisible { divide(token) }
        tools.notes.divisible.removeAll(keepingCapacity: true)
        paused += tools.notes.paused
        tools.notes.paused.removeAll(keepingCapacity: true)
    }

    private mutating func takeFinished() {
        while let finished = multi.nextFinished() {
            guard let token = tokens[finished.key], let transfer = active[token] else {
                preconditionFailure("worker \(worker): a transfer ended that was not started")
            }
            ended(transfer, finished.key, finished.error, finished.reading)
        }
    }

    private mutating func ended(
        _ transfer: ActiveTransfer, _ key: TransferKey, _ error: CurlError?, _ reading: TransferReading
    ) {
        if let divided = transfer.divided, let id = divided.id(of: key) {
            settleSegment(transfer, divided, id, error, reading)
        } else {
            settle(transfer, error, reading)
        }
    }

    /// Goes on with a paused request. What was refused is offered again in here, and may be refused again.
    private mutating func unpause(_ reception: Reception) {
        guard let key = reception.key, let token = tokens[key], let transfer = active[token] else { return }
        if let error = multi.unpause(key), let reading = multi.remove(key) {
            ended(transfer, key, error, reading)
        }
    }

    private mutating func unpauseDue(_ now: MonotonicTime) {
        guard !paused.isEmpty else { return }
        let waiting = paused
        paused.removeAll(keepingCapacity: true)
        for reception in waiting {
            guard reception.key != nil, let due = reception.pausedUntil else { continue }
            if due > now {
                paused.append(reception)
                continue
            }
            reception.unpaused()
            unpause(reception)
        }
        // The refused blocks were offered again just now, and some may have been refused again.
        takeNotes()
    }

    /// Its length was told, and there is room.
    private mutating func goOn(_ token: UInt64) {
        guard let reception = active[token]?.reception, reception.roomGranted() else { return }
        unpause(reception)
    }

    private mutating func takeProgress(_ now: MonotonicTime) {
        guard now >= nextProgress, !active.isEmpty else { return }
        nextProgress = now + Self.progressStep
        lookAtSegments(now)
        let moved = active.values.compactMap { $0.progress() }
        if !moved.isEmpty { tell(.progress(worker: worker, moved)) }
        let checkpoints = active.values.compactMap { transfer in
            transfer.checkpoint(settings, now: now).map {
                TransferCheckpoint(token: transfer.order.token, checkpoint: $0)
            }
        }
        if !checkpoints.isEmpty { tell(.checkpoint(worker: worker, checkpoints)) }
    }

    mutating func tell(_ event: TransferEvent, isUrgent: Bool = true) {
        if isUrgent { self.isUrgent = true }
        events.append(event)
    }

    /// While staged orders keep the connections busy, ends are gathered: one message for many, and one answer.
    private mutating func deliver(_ now: MonotonicTime) {
        guard !events.isEmpty else { return }
        if !isUrgent, !isStopping, staged.count > begunSinceTold {
            if tellBy == .distantFuture { tellBy = now + Self.gathering }
            if now < tellBy { return }
        }
        emit(events)
        events.removeAll(keepingCapacity: true)
        isUrgent = false
        begunSinceTold = 0
        tellBy = .distantFuture
    }

    private func sleep(_ now: MonotonicTime) -> Duration {
        var limit = active.isEmpty ? Self.longestSleep : Self.progressStep
        if !events.isEmpty { limit = min(limit, max(.zero, tellBy - now)) }
        for reception in paused where reception.key != nil {
            if let due = reception.pausedUntil { limit = min(limit, max(.zero, due - now)) }
        }
        return limit
    }
}

extension TransferLoop {
    /// Gives a transfer's request to libcurl and remembers both under their names.
    mutating func enter(_ transfer: ActiveTransfer, _ easy: consuming EasyHandle) throws(CurlError) {
        let key = try multi.add(easy)
        transfer.reception?.key = key
        tokens[key] = transfer.order.token
        active[transfer.order.token] = transfer
    }

    /// The request is over; another of the same transfer may follow.
    mutating func forget(_ transfer: ActiveTransfer) {
        if let key = transfer.key { tokens[key] = nil }
        leaveConnection(transfer)
        transfer.reception?.key = nil
        active[transfer.order.token] = nil
    }
}
