// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import Spool

/// Runs on: `dld-ledger`.
/// Owns: the `LedgerStore`, the only writer of state.
/// Receives: `LedgerRequest` from the dispatcher (in order), `SpoolRequest` from the spool.
/// Sends: `LedgerReply` to the dispatcher, `SpoolMessage` to the spool; both only after the commit.
///
/// One turn is one transaction: all the dispatcher's requests first, then one of the spool's (a page of results, or
/// batches of lists by `AdmissionPace`), then one slice of a command on a whole list. So state changes never wait behind
/// an admission of ten million lines, and many of them share one fsync.
///
/// Diagnostics: a transient failure (a lock from outside, a full disk) pauses everything and the same turn is tried
/// again, nothing dropped; a corrupt file ends the daemon (65).
struct LedgerLoop: ~Copyable {
    struct Ports: Sendable {
        let dispatch: Mailbox<DispatchMessage>
        let spool: Mailbox<SpoolMessage>
        let audits: Mailbox<AuditMessage>
        /// The ledger is corrupt or fails in a way that is our bug: the daemon must end.
        let broken: @Sendable (LedgerError) -> Void
        /// The daemon is going down: what cannot be committed now is found again at the next start.
        let isStopping: @Sendable () -> Bool
    }
    /// What goes out after the commit.
    struct Replies {
        var dispatch: [LedgerReply] = []
        var spool: [SpoolMessage] = []
        var answers: [@Sendable () -> Void] = []
        /// The lowest rank that the turn's batches have brought to each list.
        var lowestRanks: [ListID: Int] = [:]
    }
    /// A command on a whole list, worked off a slice a turn.
    struct Work {
        let command: ControlCommand
        let list: ListID
        var after: JobSeq?
        var changed = 0
    }

    static let sliceLimit = 2000
    static let dueLimit = 1000
    static let partLimit = 500
    /// Nanoseconds between two looks at what the commits have changed, while turns follow each other.
    static let newsInterval: Int64 = 50_000_000
    /// Nanoseconds from the end of a turn in which changes of jobs wait for more of their kind.
    static let gathering: Int64 = 10_000_000

    let store: LedgerStore
    let requests: Mailbox<LedgerRequest>
    let spoolRequests: Mailbox<SpoolRequest>
    let bell: Doorbell
    let heartbeat: Heartbeat
    let ports: Ports
    var works: [Work] = []
    /// Hosts whose jobs are being failed, a slice a turn.
    var surrenders: [Surrender] = []
    /// Rows that go, a slice a turn.
    var removals: [Removal] = []
    /// Lists of digests that are applied or removed, a slice a turn.
    var digestWorks: [DigestWork] = []
    var pendingSpool: [SpoolRequest] = []
    var pace = AdmissionPace()
    /// Whose batch went in last.
    var lastList: ListID?
    /// Lists whose end has been told to the spool.
    var ended: Set<ListID> = []
    var isInTrouble = false
    var upkeep = Upkeep()
    private var lastNews: Int64 = 0
    private var lastTurn: Int64 = 0

    init(
        store: LedgerStore, requests: Mailbox<LedgerRequest>, spoolRequests: Mailbox<SpoolRequest>,
        bell: Doorbell,
        heartbeat: Heartbeat, ports: Ports
    ) {
        self.store = store
        self.requests = requests
        self.spoolRequests = spoolRequests
        self.bell = bell
        self.heartbeat = heartbeat
        self.ports = ports
    }

    mutating func run() {
        var isStopping = false
        do throws(LedgerError) {
            digestWorks = try store.openDigestWorks()
            removals = try store.openRemovals().map { Removal(row: $0, isForgotten: true) }
        } catch {
            return ports.broken(error)
        }
        // What an earlier run left queued of them: the list of errands is not among those a start begins with.
        ports.dispatch.send(.ledger(.woke(DigestErrand.list, lowestRank: nil)))
        while true {
            heartbeat.mark()
            var turn = requests.drain()
            pendingSpool += spoolRequests.drain()
            guard lookAtLog() else { return }
            gather(&turn)
            if let stop = turn.firstIndex(where: { if case .stop = $0 { true } else { false } }) {
                isStopping = true
                turn.remove(at: stop)
            }
            if turn.isEmpty, nextSpool(of: pendingSpool) == nil, hasNoWork {
                if isStopping { break }
                guard rest() else { return }
                continue
            }
            upkeep.hasWorked = true
            guard commit(turn) else { return }
            lastTurn = Monotonic.nanoseconds()
        }
        do throws(LedgerError) {
            try store.group { () throws(LedgerError) in try store.noteRun(nil) }
            try store.close()
        } catch {
            // At a stop a ledger in trouble is left to the next start, as after a crash.
            if !error.isTransient { ports.broken(error) }
        }
    }

    /// While changes of jobs stream in, those of a few milliseconds share a commit: pages, counts and locks are written
    /// once a commit, whatever it holds. Whatever else is asked, and the first change after a while, is served at once.
    private mutating func gather(_ turn: inout [LedgerRequest]) {
        guard !turn.isEmpty, pendingSpool.isEmpty, works.isEmpty, surrenders.isEmpty, digestWorks.isEmpty
        else {
            return
        }
        while turn.allSatisfy(\.isChange) {
            let left = lastTurn + Self.gathering - Monotonic.nanoseconds()
            guard left > 0, bell.wait(atMost: .nanoseconds(left)) else { return }
            turn += requests.drain()
            pendingSpool += spoolRequests.drain()
            guard pendingSpool.isEmpty else { return }
        }
    }

    /// One transaction, repeated until it goes through. False: it never will.
    private mutating func commit(_ turn: [LedgerRequest]) -> Bool {
        while true {
            do throws(LedgerError) {
                let replies = try transaction(turn)
                if isInTrouble { ports.dispatch.send(.ledger(.trouble(nil))) }
                isInTrouble = false
                send(replies)
                return true
            } catch {
                guard error.isTransient else {
                    ports.broken(error)
                    return false
                }
                if ports.isStopping() { return false }
                isInTrouble = true
                ports.dispatch.send(.ledger(.trouble("\(error)")))
                // Nothing was kept and nothing was answered: the same turn again, when whoever is in the way is gone.
                heartbeat.mark()
                _ = bell.wait(atMost: .seconds(1))
            }
        }
    }

    private mutating func transaction(_ turn: [LedgerRequest]) throws(LedgerError) -> Replies {
        let now = WallTime(milliseconds: WallClock.milliseconds())
        heartbeat.enter("SQLite transaction")
        defer { heartbeat.leave() }
        var replies = Replies()
        // Changed only when the group is through: a group that is rolled back is run again from here.
        var works = self.works
        var surrenders = self.surrenders
        var digestWorks = self.digestWorks
        var removals = self.removals
        var spool = pendingSpool
        var pace = self.pace
        pace.begin(othersWait: !turn.isEmpty)
        var ended = self.ended
        let mustLast =
            !(spool.isEmpty && works.isEmpty && surrenders.isEmpty && digestWorks.isEmpty && removals.isEmpty)
            || turn.contains(where: \.mustLast)
        try store.group(mustLast: mustLast) { () throws(LedgerError) in
            for request in turn {
                if try serveHost(request, now: now, surrenders: &surrenders, replies: &replies) { continue }
                try serve(request, now: now, works: &works, replies: &replies)
            }
            if let next = nextSpool(of: spool), !spool[next].isBatch {
                let request = spool.remove(at: next)
                if try !serveRemoval(request, removals: &removals, replies: &replies) {
                    try serve(request, now: now, ended: &ended, replies: &replies)
                }
            } else {
                try admit(&spool, &pace, now: now, replies: &replies)
            }
            if !works.isEmpty { try slice(&works, now: now, replies: &replies) }
            if !surrenders.isEmpty { try slice(&surrenders, now: now, replies: &replies) }
            if !digestWorks.isEmpty { try slice(&digestWorks, now: now, replies: &replies) }
            if !removals.isEmpty { try slice(&removals, replies: &replies) }
            takeDigestNews(&digestWorks, replies: &replies)
        }
        for (list, lanes) in store.takeAdmittedLanes() {
            replies.dispatch.append(.woke(list, lowestRank: replies.lowestRanks[list], lanes: lanes))
        }
        let joined = store.takeJoinedLanes()
        if !joined.isEmpty { replies.dispatch.append(.reread(joined)) }
        // Counters are written by the commit: what stands on them is read after it. The next turn does, if it comes at once.
        let isLast = requests.isEmpty && nextSpool(of: spool) == nil
        if isLast || Monotonic.nanoseconds() - lastNews > Self.newsInterval {
            try takeNews(&replies, &ended)
            lastNews = Monotonic.nanoseconds()
        }
        self.works = works
        self.surrenders = surrenders
        self.digestWorks = digestWorks
        self.removals = removals
        pendingSpool = spool
        self.pace = pace
        self.ended = ended
        return replies
    }

    /// Lists that have ended, and counts as they are shown.
    private func takeNews(_ replies: inout Replies, _ ended: inout Set<ListID>) throws(LedgerError) {
        for row in try store.endedLists() where !ended.contains(row.id) {
            ended.insert(row.id)
            replies.spool.append(.listEnded(row))
        }
        let lists = try store.takeChangedLists()
        if !lists.isEmpty { replies.dispatch.append(.lists(lists)) }
        let hosts = try store.takeChangedHosts()
        if !hosts.isEmpty {
            replies.dispatch.append(.hosts(Dictionary(hosts.map { ($0.host, $0.counts) }) { $1 }))
        }
    }

    /// The next of the spool's requests. What is no batch goes first: no batch stands behind it, and somebody waits. Then a
    /// batch of another list than the last one, so that a long list keeps no short one waiting; admission may have to wait.
    func nextSpool(of pending: [SpoolRequest]) -> Int? {
        if let urgent = pending.firstIndex(where: { !$0.isBatch }) { return urgent }
        guard upkeep.log.hold == .nothing, !pending.isEmpty else { return nil }
        let other = pending.firstIndex {
            if case .admit(let batch) = $0 { batch.list != lastList } else { false }
        }
        return other ?? 0
    }

    var hasNoWork: Bool {
        works.isEmpty && surrenders.isEmpty && digestWorks.isEmpty && removals.isEmpty
    }

    private mutating func send(_ replies: Replies) {
        let messages = replies.dispatch.map { DispatchMessage.ledger($0) }
        ports.dispatch.send(contentsOf: messages)
        ports.spool.send(contentsOf: replies.spool)
        for answer in replies.answers { answer() }
    }
}
