// SPDX-License-Identifier: Apache-2.0

import JobModel

/// What the dispatcher goes round over: lists, their lanes, and a few jobs of each, read ahead from the ledger.
///
/// A plain value without I/O: it says what it wants read (`takeRequests`), is told what came, and answers which job
/// is next. Its size is bounded whatever the ledger holds: at most `maxLanes` lanes and about `maxJobs` jobs are
/// resident; dropping a lane loses nothing, because jobs read ahead are still `queued` in the ledger.
///
/// Fairness: round over lists, then over the lanes of a list. A lane whose host is full or held is parked at the
/// host, costs nothing, and comes back one by one as the host frees slots, first parked first served.
struct LaneBoard {
    /// A class, for it is large and goes through many hands: from the ledger's thread to the job's start.
    final class Entry: Sendable {
        let job: QueuedJob
        let claim: PathClaim

        init(job: QueuedJob, claim: PathClaim) {
            self.job = job
            self.claim = claim
        }
    }
    struct Pick {
        let entry: Entry
        let host: HostKey
        var job: QueuedJob { entry.job }
        var claim: PathClaim { entry.claim }
    }
    enum Request: Hashable {
        /// `includesHeld`: lanes of held hosts too. They are left out only while there are more lanes than room.
        case lanes(ListID, after: HostID?, limit: Int, includesHeld: Bool)
        case jobs(LaneKey, generation: Int, after: LaneCursor, limit: Int)
    }

    private enum Place { case idle, ready, parked }

    private struct Lane {
        let host: HostKey
        var buffer = Queue<Entry>()
        var cursor = LaneCursor.start
        /// The ledger may have rows behind the cursor.
        var hasMore = true
        var isLoading = false
        /// Rows may sort before the cursor (a higher priority, a job that came back): read from the start again.
        var needsRewind = false
        /// Just read, and nothing taken since: reading it again now could go on for ever.
        var isFresh = false
        /// Answers to requests of an earlier generation are dropped.
        var generation: Int
        var place = Place.idle
    }
    /// A lane in a queue. One that was dropped and found again is another: its old tickets are void.
    private struct Ticket {
        let key: LaneKey
        let generation: Int
    }

    private struct List {
        var ready = Queue<Ticket>()
        var lanes: Set<LaneKey> = []
        var lastHost: HostID?
        var hasMoreLanes = true
        var isLoading = false
        /// Woken while lanes were being read: read again from the start.
        var wokeMeanwhile = false
        var isInRing = false
        /// In `hungry`: it has lanes that the board has no room for.
        var isHungry = false
    }

    /// Lanes that a list gets even where the board is full: many hosts of one list never shut out another.
    static let leastLanes = 1
    static let lanePage = 256

    let maxLanes: Int
    let maxJobs: Int
    private var lists: [ListID: List] = [:]
    private var lanes: [LaneKey: Lane] = [:]
    private var ring = Queue<ListID>()
    private var parked: [HostKey: Queue<Ticket>] = [:]
    private var hungry = Queue<ListID>()
    private var requests: [Request] = []
    private var nextGeneration = 1
    /// Lanes were dropped to make room: look for them again.
    private(set) var hasEvicted = false

    /// Twice as many jobs of a thousand lanes take 3 MB more, with what the ledger remembers of them.
    init(maxLanes: Int = 1024, maxJobs: Int = 2048) {
        self.maxLanes = maxLanes
        self.maxJobs = maxJobs
    }

    var residentLanes: Int { lanes.count }
    var residentJobs: Int { lanes.values.reduce(0) { $0 + $1.buffer.count } }
    var parkedHosts: [HostKey] { Array(parked.keys) }
    func parkedCount(at host: HostKey) -> Int { parked[host]?.count ?? 0 }
    var isEmpty: Bool { lanes.isEmpty && !lists.values.contains { $0.hasMoreLanes || $0.isLoading } }

    /// How many jobs of a lane are read at once.
    private var chunk: Int { min(512, max(4, maxJobs / max(1, lanes.count))) }

    /// A list has (more) queued jobs: after admission, a due retry, a resume.
    /// - Parameter lowestRank: of the rows that came; nil: they may lie anywhere, before what was read too.
    /// - Parameter joined: the lanes they lie in; nil: any. Lanes that are here are not looked for.
    mutating func wake(_ id: ListID, lowestRank: Int? = nil, lanes joined: [LaneKey]? = nil) {
        for key in joined ?? Array(lists[id]?.lanes ?? []) {
            guard let cursor = lanes[key]?.cursor else { continue }
            lanes[key]?.hasMore = true
            if lowestRank.map({ $0 < cursor.rank }) ?? (cursor != .start) { lanes[key]?.needsRewind = true }
            refill(key)
        }
        if joined?.allSatisfy({ lanes[$0] != nil }) != true { relook(id) }
    }

    /// Rows of this lane may have come back before its cursor (a retry, a resume): read it from the start again.
    mutating func reread(_ key: LaneKey) {
        guard lanes[key] != nil else { return relook(key.list) }
        lanes[key]?.hasMore = true
        lanes[key]?.needsRewind = true
        refill(key)
    }

    /// Whether jobs of this host have been read ahead.
    func hasJobs(of host: HostKey) -> Bool {
        lanes.values.contains { $0.host == host && !$0.buffer.isEmpty }
    }

    /// The same of all hosts: for who asks about many.
    var hostsWithJobs: Set<HostKey> {
        Set(lanes.values.lazy.filter { !$0.buffer.isEmpty }.map(\.host))
    }

    /// Every job of a host may have ended under the read-ahead: its lanes are read from the start again.
    mutating func reread(host: HostKey) {
        for key in lanes.filter({ $0.value.host == host }).keys {
            lanes[key]?.buffer.removeAll()
            lanes[key]?.isFresh = false
            reread(key)
        }
    }

    /// Reads a list's lanes from the start again; those that are resident stay as they are.
    private mutating func relook(_ id: ListID) {
        var list = lists[id] ?? List()
        if list.isLoading {
            list.wokeMeanwhile = true
        } else {
            list.lastHost = nil
            list.hasMoreLanes = true
        }
        lists[id] = list
        readLanes(id)
    }

    /// Nothing of this list is to start: paused, cancelled or ended.
    mutating func remove(_ id: ListID) {
        guard let list = lists.removeValue(forKey: id) else { return }
        for key in list.lanes { drop(key) }
        ring.removeAll { $0 == id }
        hungry.removeAll { $0 == id }
        feedHungry()
    }

    mutating func takeRequests() -> [Request] {
        var taken: [Request] = []
        swap(&taken, &requests)
        return taken
    }

    mutating func lanesArrived(_ id: ListID, _ rows: [LaneRow], isLast: Bool) {
        guard var list = lists[id] else { return }
        list.isLoading = false
        list.hasMoreLanes = !isLast
        for row in rows {
            if lanes[row.key] == nil {
                // No room: the page is asked for again from here.
                guard hasRoom(for: list) else {
                    list.hasMoreLanes = true
                    break
                }
                lanes[row.key] = Lane(host: row.host, generation: newGeneration())
                list.lanes.insert(row.key)
            }
            list.lastHost = row.key.host
        }
        // Once this pass is through: begun anew at each wake it would never come to a long list's later hosts.
        if list.wokeMeanwhile, isLast || !hasRoom(for: list) {
            list.wokeMeanwhile = false
            list.lastHost = nil
            list.hasMoreLanes = true
        }
        lists[id] = list
        for row in rows { refill(row.key) }
        readLanes(id)
    }

    /// - Parameter cursor: of the last row that was read, where some are not among `entries`; else theirs.
    mutating func jobsArrived(
        _ key: LaneKey, generation: Int, _ entries: [Entry], cursor: LaneCursor? = nil, isLast: Bool
    ) {
        guard lanes[key]?.generation == generation else { return }
        lanes[key]?.isLoading = false
        if isLast { lanes[key]?.hasMore = false }
        for entry in entries { lanes[key]?.buffer.append(entry) }
        lanes[key]?.isFresh = !entries.isEmpty
        if let last = cursor ?? entries.last.map({ LaneCursor(rank: $0.job.rank, seq: $0.job.seq) }) {
            lanes[key]?.cursor = last
        }
        if lanes[key]?.buffer.isEmpty == false { makeReady(key) }
        refill(key)
        dropIfEmpty(key)
    }

    /// The next job that may start, by `verdict`; lanes whose host may not are parked there.
    /// - Parameters:
    ///   - ahead: a job that needs nothing of its host to begin with.
    ///   - leaves: a host that may not start, and whose jobs are looked through for one that may start elsewhere. Of a
    ///     lane whose host is merely full the first job alone is looked at.
    ///   - elsewhere: a job that may start at another host.
    mutating func next(
        ahead: (Entry) -> Bool = { _ in false }, leaves: (HostKey) -> Bool = { _ in false },
        elsewhere: (Entry, HostKey) -> Bool = { _, _ in false },
        _ verdict: (HostKey) -> HostMachine.Verdict
    ) -> Pick? {
        while let id = ring.popFirst() {
            // In place, here and below: a copy of a list or a lane would copy its queue with every job.
            let ticket = lists[id]?.ready.popFirst()
            let hasMore = !(lists[id]?.ready.isEmpty ?? true)
            lists[id]?.isInRing = hasMore
            if hasMore { ring.append(id) }
            if let ticket, let pick = pick(ticket, ahead, leaves, elsewhere, verdict) { return pick }
        }
        return nil
    }

    private mutating func pick(
        _ ticket: Ticket, _ ahead: (Entry) -> Bool, _ leaves: (HostKey) -> Bool,
        _ elsewhere: (Entry, HostKey) -> Bool,
        _ verdict: (HostKey) -> HostMachine.Verdict
    ) -> Pick? {
        let key = ticket.key
        guard isCurrent(ticket, .ready), let host = lanes[key]?.host else { return nil }
        let isAhead = lanes[key]?.buffer.first.map(ahead) ?? false
        var entry: Entry?
        if !isAhead, verdict(host) != .start {
            if leaves(host) {
                entry = lanes[key]?.buffer.remove { elsewhere($0, host) }
            } else if let first = lanes[key]?.buffer.first, elsewhere(first, host) {
                entry = lanes[key]?.buffer.popFirst()
            }
            if entry == nil {
                lanes[key]?.place = .parked
                parked[host, default: Queue()].append(ticket)
                return nil
            }
        } else {
            entry = lanes[key]?.buffer.popFirst()
        }
        lanes[key]?.place = .idle
        lanes[key]?.isFresh = false
        // Whether or not this job takes the host's slot: another lane may be waiting for one.
        if lanes[key]?.buffer.isEmpty ?? true { hostFreed(host, slots: 1) } else { makeReady(key) }
        refill(key)
        dropIfEmpty(key)
        return entry.map { Pick(entry: $0, host: host) }
    }

    private func isCurrent(_ ticket: Ticket, _ place: Place) -> Bool {
        guard let lane = lanes[ticket.key] else { return false }
        return lane.generation == ticket.generation && lane.place == place
    }

    /// A host can take `slots` more transfers: that many of its parked lanes come back.
    ///
    /// A lane that leaves the round without being parked again hands on to the next one parked at its host, so that
    /// a slot that nobody took is never lost.
    mutating func hostFreed(_ host: HostKey, slots: Int) {
        guard slots > 0, var queue = parked.removeValue(forKey: host) else { return }
        var left = slots
        while left > 0, let ticket = queue.popFirst() {
            guard isCurrent(ticket, .parked) else { continue }
            lanes[ticket.key]?.place = .idle
            if lanes[ticket.key]?.buffer.isEmpty ?? true {
                refill(ticket.key)
                dropIfEmpty(ticket.key)
            } else {
                makeReady(ticket.key)
                left -= 1
            }
        }
        if !queue.isEmpty { parked[host] = queue }
    }

    /// Makes room where held hosts fill the board: their lanes go, to be found again when the hold is over.
    mutating func evictParked(where isHeld: (HostKey) -> Bool) {
        guard lanes.count >= maxLanes else { return }
        for (host, queue) in parked where isHeld(host) {
            for ticket in queue.elements where lanes[ticket.key]?.generation == ticket.generation {
                drop(ticket.key)
            }
            parked[host] = nil
            hasEvicted = true
        }
        feedHungry()
    }

    /// Reads every list's lanes again: a hold is over, and lanes of held hosts were not among them before.
    mutating func relist() {
        hasEvicted = false
        for id in Array(lists.keys) { relook(id) }
    }

    /// Takes one job out of the read-ahead, if it is there: it was cancelled or paused by name.
    mutating func discard(_ seq: JobSeq, in key: LaneKey) {
        guard lanes[key] != nil else { return }
        lanes[key]?.buffer.removeAll { $0.job.seq == seq }
        refill(key)
        dropIfEmpty(key)
    }

    private mutating func newGeneration() -> Int {
        nextGeneration += 1
        return nextGeneration
    }

    private mutating func makeReady(_ key: LaneKey) {
        guard lists[key.list] != nil, let generation = lanes[key]?.generation, lanes[key]?.place == .idle
        else {
            return
        }
        lanes[key]?.place = .ready
        lists[key.list]?.ready.append(Ticket(key: key, generation: generation))
        if lists[key.list]?.isInRing == false {
            lists[key.list]?.isInRing = true
            ring.append(key.list)
        }
    }

    private mutating func refill(_ key: LaneKey) {
        guard var lane = lanes[key], !lane.isLoading else { return }
        if lane.needsRewind, !lane.isFresh || lane.buffer.isEmpty {
            lane.needsRewind = false
            lane.hasMore = true
            lane.cursor = .start
            // Still queued in the ledger, every one: read again in its place.
            lane.buffer.removeAll()
        } else if !lane.hasMore || lane.buffer.count >= max(1, chunk / 2) {
            return
        }
        lane.isLoading = true
        lanes[key] = lane
        requests.append(.jobs(key, generation: lane.generation, after: lane.cursor, limit: chunk))
    }

    private func hasRoom(for list: List) -> Bool {
        lanes.count < maxLanes || list.lanes.count < Self.leastLanes
    }

    /// Asks for a list's next lanes, or remembers that it wants them once there is room.
    private mutating func readLanes(_ id: ListID) {
        guard var list = lists[id], list.hasMoreLanes, !list.isLoading else { return }
        if hasRoom(for: list) {
            list.isLoading = true
            // From the start the page is full size, for most of it may be resident already.
            let limit =
                list.lastHost == nil ? Self.lanePage : min(Self.lanePage, max(32, maxLanes - lanes.count))
            requests.append(.lanes(id, after: list.lastHost, limit: limit, includesHeld: !hasEvicted))
        } else if !list.isHungry {
            list.isHungry = true
            hungry.append(id)
        }
        lists[id] = list
    }

    /// Room has come free: whoever has waited longest is served.
    private mutating func feedHungry() {
        while lanes.count < maxLanes, let id = hungry.popFirst() {
            lists[id]?.isHungry = false
            readLanes(id)
            // One list a lane: its page is on the way and may fill the room.
            if lists[id]?.isLoading == true { return }
        }
    }

    private mutating func dropIfEmpty(_ key: LaneKey) {
        guard let lane = lanes[key], lane.buffer.isEmpty, !lane.hasMore, !lane.isLoading, !lane.needsRewind
        else {
            return
        }
        drop(key)
        readLanes(key.list)
        feedHungry()
    }

    private mutating func drop(_ key: LaneKey) {
        guard let lane = lanes.removeValue(forKey: key) else { return }
        lists[key.list]?.lanes.remove(key)
        if lane.place == .ready { hostFreed(lane.host, slots: 1) }
    }
}
