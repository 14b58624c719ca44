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
    struct Entry {
        let job: QueuedJob
        let claim: PathClaim
    }
    struct Pick {
        let job: QueuedJob
        let claim: PathClaim
        let host: HostKey
    }
    enum Request: Hashable {
        /// `includesHeld`: lanes of held hosts too. They are left out only while there are more lanes than room.
        case lanes(ListID, after: HostID?, limit: Int, includesHeld: Bool)
        case jobs(LaneKey, generation: Int, after: LaneCursor, limit: Int)
    }

    private enum Place { case idle, ready, parked }

    /// A class, so that a job is taken out of its read-ahead in place: as a value in a dictionary the whole
    /// read-ahead would be copied for each job.
    private final class Lane {
        let host: HostKey
        var buffer = Queue<Entry>()
        var cursor = LaneCursor.start
        /// The ledger may have rows behind the cursor.
        var hasMore = true
        var isLoading = false
        /// Rows came while it was resident; some may sort before the cursor (a higher priority).
        var wasWoken = false
        /// Answers to requests of an earlier generation are dropped.
        let generation: Int
        var place = Place.idle

        init(host: HostKey, generation: Int) {
            self.host = host
            self.generation = generation
        }
    }

    private final class List {
        var ready = Queue<LaneKey>()
        var lanes: Set<LaneKey> = []
        var lastHost: HostID?
        var hasMoreLanes = true
        var isLoading = false
        /// Woken while lanes were being read: read again from the start.
        var wokeMeanwhile = false
        var isInRing = false
    }

    let maxLanes: Int
    let maxJobs: Int
    private var lists: [ListID: List] = [:]
    private var lanes: [LaneKey: Lane] = [:]
    private var ring = Queue<ListID>()
    private var parked: [HostKey: Queue<LaneKey>] = [:]
    private var requests: [Request] = []
    private var nextGeneration = 1
    /// Lanes were dropped to make room: look for them again.
    private(set) var hasEvicted = false

    init(maxLanes: Int = 1024, maxJobs: Int = 4096) {
        self.maxLanes = maxLanes
        self.maxJobs = maxJobs
    }

    var residentLanes: Int { lanes.count }
    var parkedHosts: [HostKey] { Array(parked.keys) }
    func parkedCount(at host: HostKey) -> Int { parked[host]?.count ?? 0 }
    var isEmpty: Bool { lanes.isEmpty && !lists.values.contains { $0.hasMoreLanes || $0.isLoading } }

    /// How many jobs of a lane are read at once.
    private var chunk: Int { min(512, max(4, maxJobs / max(1, lanes.count))) }

    /// A list has (more) queued jobs: after admission, a due retry, a resume.
    mutating func wake(_ id: ListID) {
        let list = lists[id] ?? List()
        lists[id] = list
        for key in list.lanes {
            lanes[key]?.hasMore = true
            lanes[key]?.wasWoken = true
        }
        if list.isLoading {
            list.wokeMeanwhile = true
        } else {
            list.lastHost = nil
            list.hasMoreLanes = true
        }
        for key in list.lanes where lanes[key]?.place != .parked { refill(key) }
        readLanes(id)
    }

    /// Rows of this lane may have come back before its cursor (a retry, a resume): read it from the start again.
    mutating func reread(_ key: LaneKey) {
        drop(key)
        wake(key.list)
    }

    /// Nothing of this list is to start: paused, cancelled or ended.
    mutating func remove(_ id: ListID) {
        guard let list = lists.removeValue(forKey: id) else { return }
        for key in list.lanes { drop(key) }
        ring.removeAll { $0 == id }
    }

    mutating func takeRequests() -> [Request] {
        var taken: [Request] = []
        swap(&taken, &requests)
        return taken
    }

    mutating func lanesArrived(_ id: ListID, _ rows: [LaneRow], isLast: Bool) {
        guard let list = lists[id] else { return }
        list.isLoading = false
        list.hasMoreLanes = !isLast
        list.lastHost = rows.last?.key.host ?? list.lastHost
        if list.wokeMeanwhile {
            list.wokeMeanwhile = false
            list.lastHost = nil
            list.hasMoreLanes = true
        }
        for row in rows where lanes[row.key] == nil {
            lanes[row.key] = Lane(host: row.host, generation: newGeneration())
            list.lanes.insert(row.key)
        }
        for row in rows { refill(row.key) }
        readLanes(id)
    }

    /// - Parameter isNew: false for a job that is in the window or follows a twin: its row is still `queued`.
    mutating func jobsArrived(
        _ key: LaneKey, generation: Int, _ entries: [Entry], isLast: Bool, isNew: (QueuedJob) -> Bool
    ) {
        guard let lane = lanes[key], lane.generation == generation else { return }
        lane.isLoading = false
        if isLast { lane.hasMore = false }
        for entry in entries where isNew(entry.job) { lane.buffer.append(entry) }
        // The cursor goes past what was left out as well: otherwise the same rows would be read for ever.
        if let last = entries.last { lane.cursor = LaneCursor(rank: last.job.rank, seq: last.job.seq) }
        if lane.place == .idle, !lane.buffer.isEmpty { makeReady(key) } else { refill(key) }
        dropIfEmpty(key)
    }

    /// The next job that may start, by `verdict`; lanes whose host may not are parked there.
    mutating func next(_ verdict: (HostKey) -> HostMachine.Verdict) -> Pick? {
        while let id = ring.popFirst() {
            guard let list = lists[id] else { continue }
            while let key = list.ready.popFirst() {
                guard let lane = lanes[key], lane.place == .ready else { continue }
                guard case .start = verdict(lane.host) else {
                    lane.place = .parked
                    parked[lane.host, default: Queue()].append(key)
                    continue
                }
                guard let entry = lane.buffer.popFirst() else {
                    lane.place = .idle
                    continue
                }
                lane.place = lane.buffer.isEmpty ? .idle : .ready
                if lane.place == .ready { list.ready.append(key) }
                list.isInRing = !list.ready.isEmpty
                if list.isInRing { ring.append(id) }
                refill(key)
                dropIfEmpty(key)
                return Pick(job: entry.job, claim: entry.claim, host: lane.host)
            }
            list.isInRing = false
        }
        return nil
    }

    /// A host can take `slots` more transfers: that many of its parked lanes come back.
    mutating func hostFreed(_ host: HostKey, slots: Int) {
        guard slots > 0, var queue = parked.removeValue(forKey: host) else { return }
        var left = slots
        while left > 0, let key = queue.popFirst() {
            guard lanes[key]?.place == .parked else { continue }
            lanes[key]?.place = .idle
            makeReady(key)
            left -= 1
        }
        if !queue.isEmpty { parked[host] = queue }
    }

    /// Makes room where held hosts fill the board: their lanes go, to be found again when the hold is over.
    mutating func evictParked(where isHeld: (HostKey) -> Bool) {
        guard lanes.count >= maxLanes else { return }
        for (host, queue) in parked where isHeld(host) {
            for key in queue.elements { drop(key) }
            parked[host] = nil
            hasEvicted = true
        }
        for id in Array(lists.keys) { readLanes(id) }
    }

    /// Reads every list's lanes again; evicted ones are among them.
    mutating func relist() {
        hasEvicted = false
        for id in Array(lists.keys) { wake(id) }
    }

    /// Takes one job out of the read-ahead, if it is there: it was cancelled or paused by name.
    mutating func discard(_ seq: JobSeq, in key: LaneKey) {
        lanes[key]?.buffer.removeAll { $0.job.seq == seq }
    }

    private mutating func newGeneration() -> Int {
        nextGeneration += 1
        return nextGeneration
    }

    private mutating func makeReady(_ key: LaneKey) {
        guard let list = lists[key.list], let lane = lanes[key], lane.place == .idle else { return }
        if lane.buffer.isEmpty {
            refill(key)
            dropIfEmpty(key)
            return
        }
        lane.place = .ready
        list.ready.append(key)
        if !list.isInRing {
            list.isInRing = true
            ring.append(key.list)
        }
    }

    private mutating func refill(_ key: LaneKey) {
        guard let lane = lanes[key], lane.hasMore, !lane.isLoading, lane.buffer.count < max(1, chunk / 2) else { return }
        lane.isLoading = true
        requests.append(.jobs(key, generation: lane.generation, after: lane.cursor, limit: chunk))
    }

    private mutating func readLanes(_ id: ListID) {
        guard let list = lists[id], list.hasMoreLanes, !list.isLoading, lanes.count < maxLanes else { return }
        list.isLoading = true
        requests.append(.lanes(
                id, after: list.lastHost, limit: min(256, maxLanes - lanes.count), includesHeld: !hasEvicted))
    }

    private mutating func dropIfEmpty(_ key: LaneKey) {
        guard let lane = lanes[key], lane.buffer.isEmpty, !lane.hasMore, !lane.isLoading else { return }
        drop(key)
        if lane.wasWoken {
            // One look from the start, in case rows came in before the cursor.
            lists[key.list]?.lastHost = nil
            lists[key.list]?.hasMoreLanes = true
        }
        readLanes(key.list)
    }

    private mutating func drop(_ key: LaneKey) {
        lanes[key] = nil
        lists[key.list]?.lanes.remove(key)
    }
}
