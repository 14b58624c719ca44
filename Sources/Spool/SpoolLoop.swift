// SPDX-License-Identifier: Apache-2.0
// Runs on: dld-spool.
// Owns: the spool's directories, their watch, the lists being read, the results being written.
// Receives: SpoolMessage.
// Sends: SpoolRequest (answered through the daemon), SpoolEvent.

public import JobModel
public import LinuxKit
import SystemPackage

/// Takes lists in and gives results out. Created and run inside its thread.
public struct SpoolLoop: ~Copyable {
    private let inbox: Mailbox<SpoolMessage>
    private let bell: Doorbell
    private let context: SpoolContext
    private let desk: AdmissionDesk
    private let results: ResultsDesk
    private let digests: DigestDesk
    private let retention: RetentionDesk
    /// Made once the ledger's own lists are known: a scan before that could take one of their files as a new list.
    private var watch: SpoolWatch?
    private var adds: [(file: String, name: String, ticket: UInt64)] = []
    private var isIdle: Bool?
    private var isStopped = false

    /// - Parameters:
    ///   - nextSeq: the first free number, from the ledger.
    ///   - inbox: its `wake` must ring `bell`. Its first message must be `recover`.
    ///   - requests: must not block.
    ///   - events: must not block.
    /// - Throws: the spool's directories cannot be opened.
    public init(
        settings: SpoolSettings, nextSeq: JobSeq, cipher: JobIDCipher, inbox: Mailbox<SpoolMessage>,
        bell: Doorbell,
        requests: @escaping @Sendable (SpoolRequest) -> Void,
        events: @escaping @Sendable (SpoolEvent) -> Void,
        heartbeat: Heartbeat
    ) throws(SystemError) {
        self.inbox = inbox
        self.bell = bell
        context = SpoolContext(
            settings: settings, directories: try SpoolDirectories(at: settings.spool, makesSpool: true),
            heartbeat: heartbeat, requests: requests, events: events)
        desk = AdmissionDesk(context: context, cipher: cipher, nextSeq: nextSeq)
        results = ResultsDesk(context: context)
        digests = DigestDesk(context: context)
        retention = RetentionDesk(context: context)
    }

    /// Returns after `stop`. What was not acknowledged by then is done again at the next start.
    public mutating func run() {
        while !isStopped {
            context.heartbeat.mark()
            let now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
            for message in inbox.drain() { handle(message, now) }
            if isStopped { return }
            results.retry(now: now)
            takeAdds()
            if let watch {
                watch.readEvents()
                watch.step(desk, now: now)
            }
            desk.step()
            digests.step()
            if watch != nil { retention.step(now: now) }
            tellIdle()
            sleep(now)
        }
    }

    private mutating func handle(_ message: SpoolMessage, _ now: MonotonicTime) {
        switch message {
        case .recover(let rows):
            for row in rows { desk.recover(row) }
            watch = SpoolWatch(context: context, now: now)
        case .begun(let file, let result): desk.begun(file, result)
        case .admitted(let list, let position): desk.committed(list, position)
        case .finished(let row): desk.finished(row)
        case .rejected(let list): desk.rejected(list)
        case .page(let list, let records, let next): results.page(list, records, next: next, now: now)
        case .closed(let list): results.closed(list)
        case .listEnded(let row): results.ended(row, now: now)
        case .add(let path, let name, let ticket): add(path, name, ticket)
        case .readDigests(let order): digests.add(order)
        case .digestsTaken(let id): digests.taken(id)
        case .expired(let rows): retention.expired(rows)
        case .forgotten(let list, let row): retention.forgotten(list, row)
        case .settings(let settings):
            context.settings = settings
            retention.changed()
        case .rescan: watch?.requestScan()
        case .stop: isStopped = true
        }
    }

    private mutating func add(_ path: String, _ name: String, _ ticket: UInt64) {
        let file = FilePath(path).lastComponent?.string ?? ""
        let isComponent = !name.isEmpty && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
        guard isComponent, name.utf8.count <= ListName.longest, !file.isEmpty else {
            let error = JobError(.badLine, "\"\(excerpt(name))\" is no name of a list")
            return context.tell(.added(ticket: ticket, .failure(error)))
        }
        adds.append((file, name, ticket))
    }

    /// Somebody waits for these: before anything that a scan finds.
    private mutating func takeAdds() {
        while desk.hasRoom, watch != nil, !adds.isEmpty {
            let next = adds.removeFirst()
            desk.take(FilePath(next.file), name: next.name, ticket: next.ticket)
        }
    }

    private mutating func tellIdle() {
        guard let watch, watch.hasScanned else { return }
        let idle = watch.isDone && desk.isEmpty && adds.isEmpty
        if idle != isIdle {
            isIdle = idle
            context.tell(.idle(idle))
        }
    }

    private func sleep(_ now: MonotonicTime) {
        let canTake = desk.hasRoom && (watch?.isReady ?? false)
        if desk.isReady || digests.isReady || retention.isReady || canTake {
            if !inbox.isEmpty { bell.silence() }
            return
        }
        // The watchdog wants a mark every few seconds.
        var limit: Duration = .seconds(2)
        if let watch, desk.hasRoom { limit = min(limit, watch.wait(now: now)) }
        for due in [results.due, retention.due] {
            if let due { limit = min(limit, max(.zero, due - now)) }
        }
        var descriptors = [bell.descriptor]
        if let descriptor = watch?.descriptor { descriptors.append(descriptor) }
        _ = Poll.readable(descriptors, atMost: limit)
        // Before the next drain, so that a message sent after it rings again.
        bell.silence()
    }
}
