// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import Ledger
import LinuxKit
import SumPool
import SystemPackage

/// Runs on: `dld-verify`.
/// Owns: the files that an audit has in hand, its results file, a read-only connection to the ledger.
/// Receives: `AuditMessage`.
/// Sends: `AuditRequest` to the ledger, digests to the sum pool, progress to `StatusBoard`.
///
/// One audit at a time, the oldest that is not paused, page after page of the table of files. A page is stored as a
/// whole: results first, then the cursor with the verdicts in one transaction; so a restart goes on behind the last
/// page that was stored, and no file is told of twice. Memory is two pages, whatever the ledger holds.
///
/// Diagnostics: a job fails: never. An audit waits (the output is not there, `sumd` does not run, the disk refuses);
/// why stands in its document.
struct AuditLoop: ~Copyable {
    struct Ports: Sendable {
        let ledger: Mailbox<LedgerRequest>
        let sums: Mailbox<SumCommand>
        let board: StatusBoard
        let remark: @Sendable (Remark) -> Void
    }
    struct Setup: Sendable {
        let ledger: String
        let cipher: JobIDCipher
        let place: OutputPlace
        let stateDir: String
        let spoolDir: String
        let processes: Int
        let rate: RateTimetable
        /// For files without a digest, where an audit is to record one.
        let algorithm: DigestAlgorithm
        let isDurable: Bool
    }
    enum Phase {
        case resting
        case counting(AuditCursor?, files: Int, bytes: Int64)
        case reading
        case checking
        case repairing
        /// Everything is with the ledger; its word on the end is awaited.
        case ending
    }
    /// Rows of a page: at its end the processes wait for its last files to be stored, so not too few; the ledger writes
    /// as many in one transaction, so not too many.
    static let pageSize = 4000
    /// Rows of a step of counting.
    static let countStep = 10_000
    /// A page is stored after so long, however much of it is left: a restart costs no more than that.
    static let pageTime = Duration.seconds(5)
    /// What an audit waits for is looked at again after this.
    static let holdTime = Duration.seconds(10)
    /// Steps of an audit that the ledger has not answered yet.
    static let maxUnstored = 2

    let setup: Setup
    let inbox: Mailbox<AuditMessage>
    let bell: Doorbell
    let heartbeat: Heartbeat
    let ports: Ports

    var reader: LedgerReader?
    var phase = Phase.resting
    var audit: AuditRow?
    var page = AuditPage([], options: AuditOptions(), algorithm: .sha256)
    /// Where the audit goes on behind the page; nil: the page is the last.
    var next: AuditCursor?
    var pageStarted = MonotonicTime(nanoseconds: 0)
    var tree: DirectoryTree?
    /// What the pool has, by ticket.
    var inHand: [Int64: [FileInHand]] = [:]
    /// Small files that the pool gets together.
    var bundle = DigestBundle<FileInHand>(.sha256)
    /// The page behind `page`, once that one is handed out.
    var ahead: (after: AuditCursor, slice: AuditSlice)?
    var lastTicket: Int64 = 0
    var unstored = 0
    var refetch: RefetchList?
    var repairPlace: Int64 = 0

    var pace: AuditPace
    var timetable: RateTimetable
    var rateMinute: LocalMinute?
    var pool = SumPoolState()
    var holdUntil: MonotonicTime?
    var holdReason: String?
    var facts = AuditFacts()
    var meter = RateMeter()
    /// Bytes of files that have been looked at since the thread began.
    var seenBytes: Int64 = 0
    var shownAt: MonotonicTime?
    /// The ledger may have an audit to go on with.
    var mayHaveWork = true
    var isDraining = false
    var isStopping = false
    var now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())

    init(
        setup: Setup, inbox: Mailbox<AuditMessage>, bell: Doorbell, heartbeat: Heartbeat, ports: Ports
    ) {
        self.setup = setup
        self.inbox = inbox
        self.bell = bell
        self.heartbeat = heartbeat
        self.ports = ports
        pace = AuditPace(processes: setup.processes)
        timetable = setup.rate
    }

    mutating func run() {
        while true {
            heartbeat.mark()
            now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
            for message in inbox.drain() { receive(message) }
            if isStopping { break }
            let pause = step()
            show()
            if pause > .zero, inbox.isEmpty {
                _ = bell.wait(atMost: min(pause, LoopPulse.interval))
            } else {
                bell.silence()
            }
        }
        closeReader()
    }

    private mutating func receive(_ message: AuditMessage) {
        switch message {
        case .row(let row): changed(row)
        case .forgotten(let ids): for id in ids { AuditResults.remove(id, state: setup.stateDir) }
        case .sum(.state(let state)): pool = state
        case .sum(let event): sumReported(event)
        case .rate(let rate):
            timetable = rate
            rateMinute = nil
        case .drain:
            isDraining = true
            page.cut()
        case .stop: isStopping = true
        }
    }

    /// - Returns: how long there is nothing to do unless a message comes.
    private mutating func step() -> Duration {
        if let until = holdUntil {
            guard now >= until else { return until - now }
            holdUntil = nil
        }
        followRate()
        do {
            switch phase {
            case .resting: return try begin()
            case .counting(let cursor, let files, let bytes): try count(cursor, files, bytes)
            case .reading: return try readPage()
            case .checking: return try check()
            case .repairing: return try repair()
            case .ending: return LoopPulse.interval
            }
        } catch {
            hold("\(error)")
        }
        return .zero
    }

    /// Something is in the way that is no file's fault: what is in hand is let go, and looked at again later.
    mutating func hold(_ why: String) {
        if holdReason != why {
            ports.remark(
                Remark(
                    level: .warning, message: "an audit waits",
                    facts: [("audit", audit.map { "\($0.id)" } ?? ""), ("why", why)]))
        }
        holdReason = why
        holdUntil = now + Self.holdTime
        shownAt = nil
        switch phase {
        case .checking:
            dropPage()
            phase = .reading
        case .repairing: beginRepair()
        case .resting, .counting, .reading, .ending: break
        }
        tree = nil
    }

    /// Forgets the page in hand.
    mutating func dropPage() {
        dropHand()
        ahead = nil
        tree = nil
        page = AuditPage([], options: AuditOptions(), algorithm: setup.algorithm)
    }

    func open() throws(LedgerError) -> LedgerReader {
        if let reader { return reader }
        return try LedgerReader.open(path: setup.ledger, cipher: setup.cipher)
    }

    private mutating func closeReader() {
        do { try reader?.close() } catch {
            // Nothing is written through it.
        }
        reader = nil
    }

    private mutating func followRate() {
        let read = LocalClock.read(milliseconds: WallClock.milliseconds())
        let minute = LocalMinute(
            weekday: read?.weekday ?? 0, minute: (read?.hour ?? 0) * 60 + (read?.minute ?? 0))
        guard minute != rateMinute else { return }
        rateMinute = minute
        pace.setRate(timetable.rate(at: minute), now: now)
    }
}

extension AuditLoop {
    /// An audit was made or changed, or has come further.
    private mutating func changed(_ row: AuditRow) {
        mayHaveWork = true
        shownAt = nil
        guard let current = audit, current.id == row.id else { return }
        guard !row.state.isTerminal, !row.isPaused else { return leave(row) }
        unstored = max(0, unstored - 1)
        // What is on its way to the ledger counts here already.
        var row = row
        row.cursor = current.cursor
        row.counts = current.counts
        row.bytes = current.bytes
        row.resultBytes = current.resultBytes
        audit = row
    }

    /// It has ended, or another one may go first.
    private mutating func leave(_ row: AuditRow) {
        dropPage()
        refetch = nil
        audit = nil
        unstored = 0
        holdUntil = nil
        holdReason = nil
        phase = .resting
        facts.current = nil
        if row.state.isTerminal {
            let told = AuditVerdict.allCases.map { ($0.name, "\(row.counts[$0])") }
            ports.remark(
                Remark(
                    level: row.counts.bad > 0 ? .warning : .notice, message: "audit ended",
                    facts: [("audit", "\(row.id)"), ("state", row.state.name)] + told
                        + (row.repairList.map { [("repair_list", $0)] } ?? [])))
        }
    }

    private mutating func begin() throws -> Duration {
        guard mayHaveWork, !isDraining else { return LoopPulse.interval }
        let reader = try open()
        self.reader = reader
        let open = try reader.openAudits()
        facts.open = open.open
        mayHaveWork = false
        guard let row = open.next else {
            closeReader()
            return LoopPulse.interval
        }
        audit = row
        unstored = 0
        meter = RateMeter()
        switch row.state {
        case .repairing: beginRepair()
        case .queued, .running, .done, .cancelled:
            phase = row.filesTotal == nil ? .counting(nil, files: 0, bytes: 0) : .reading
        }
        ports.remark(Remark(level: .notice, message: "audit under way", facts: [("audit", "\(row.id)")]))
        return .zero
    }

    /// How much there is to look at: a step of it.
    private mutating func count(_ cursor: AuditCursor?, _ files: Int, _ bytes: Int64) throws {
        guard let audit, let reader else { return phase = .resting }
        let sizes = try heartbeat.within("SQLite read") {
            try reader.sizes(of: audit.scope, after: cursor, limit: Self.countStep)
        }
        let (allFiles, allBytes) = (files + sizes.files, bytes &+ sizes.bytes)
        guard let next = sizes.next else {
            ask(.begin(audit.id, filesTotal: allFiles, bytesTotal: allBytes))
            return phase = .reading
        }
        phase = .counting(next, files: allFiles, bytes: allBytes)
    }

    mutating func ask(_ request: AuditRequest) {
        unstored += 1
        ports.ledger.send(.audit(request))
    }

    /// At most four times a second, and at once when something was decided.
    private mutating func show() {
        let isDue = shownAt.map { now - $0 >= DispatchView.publicationInterval } ?? true
        guard isDue else { return }
        guard let audit else {
            if shownAt == nil { publish(nil) }
            return
        }
        // Kept as it was where the ledger does not answer.
        if let open = try? reader?.openAudits().open { facts.open = open }  // see above
        meter.sample(seenBytes, now: now)
        var document = AuditDocument(audit)
        if document.state == .queued { document.state = .running }
        document.rate = holdReason == nil ? meter.bytesPerSecond : 0
        if let total = audit.bytesTotal, meter.bytesPerSecond > 0, holdReason == nil {
            document.secondsLeft = Double(max(0, total - audit.bytes)) / meter.bytesPerSecond
        }
        document.reason = holdReason
        publish(document)
    }

    private mutating func publish(_ document: AuditDocument?) {
        shownAt = now
        facts.current = document
        let facts = facts
        ports.board.change { $0.audits = facts }
    }
}
