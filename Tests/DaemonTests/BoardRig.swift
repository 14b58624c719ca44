// SPDX-License-Identifier: Apache-2.0

import JobModel

@testable import Daemon

/// splitmix64: the same run for the same seed, everywhere.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A lane board with an in-memory stand-in for the ledger: queued rows by lane, in the order of (rank, seq).
///
/// What is handed out leaves the queue at once, as `active` does in the ledger's order of requests.
struct BoardRig {
    struct Row: Hashable, Comparable {
        let rank: Int
        let seq: Int64
        static func < (a: Row, b: Row) -> Bool { (a.rank, a.seq) < (b.rank, b.seq) }
    }
    var board: LaneBoard
    /// Sorted.
    var rows: [LaneKey: [Row]] = [:]
    var hostNames: [HostID: HostKey] = [:]
    /// Lanes of each list, sorted by host.
    var lanesOf: [ListID: [LaneKey]] = [:]
    /// Hosts the ledger knows a hold of.
    var held: Set<HostKey> = []
    /// Jobs that are queued in the ledger and yet not new to the dispatcher.
    var hidden: Set<Int64> = []
    var handedOut: [Int64] = []
    var largestPage = 0
    var served = 0
    private var nextSeq: Int64 = 1

    init(maxLanes: Int = 1024, maxJobs: Int = 4096) {
        board = LaneBoard(maxLanes: maxLanes, maxJobs: maxJobs)
    }

    static func key(_ list: Int64, _ host: Int64) -> LaneKey {
        LaneKey(list: ListID(list), host: HostID(rawValue: host))
    }
    static func name(_ host: Int64) -> HostKey { HostKey("h\(host).example") }

    /// Admits jobs; the caller wakes the list.
    @discardableResult
    mutating func admit(list: Int64, host: Int64, count: Int, rank: Int = 0) -> [Int64] {
        let key = Self.key(list, host)
        let fresh = (0..<Int64(count)).map { Row(rank: rank, seq: nextSeq + $0) }
        nextSeq += Int64(count)
        if rows[key] == nil { register(key) }
        let isInOrder = (rows[key]?.last).map { last in fresh.first.map { last < $0 } ?? true } ?? true
        rows[key, default: []] += fresh
        if !isInOrder { rows[key]?.sort() }
        return fresh.map(\.seq)
    }

    private mutating func register(_ key: LaneKey) {
        rows[key] = []
        hostNames[key.host] = Self.name(key.host.rawValue)
        var known = lanesOf[key.list] ?? []
        known.insert(key, at: known.firstIndex { $0.host > key.host } ?? known.endIndex)
        lanesOf[key.list] = known
    }

    /// A job comes back to the queue: a retry, a resume.
    mutating func giveBack(_ seq: Int64, to key: LaneKey, rank: Int = 0) {
        rows[key, default: []].append(Row(rank: rank, seq: seq))
        rows[key]?.sort()
    }

    /// Answers what the board asked for; false: it asked for nothing.
    @discardableResult
    mutating func answerAll() -> Bool {
        let requests = board.takeRequests()
        for request in requests { answer(request) }
        return !requests.isEmpty
    }

    mutating func answer(_ request: LaneBoard.Request) {
        served += 1
        switch request {
        case .lanes(let list, let after, let limit, let includesHeld):
            var found: [LaneRow] = []
            for key in lanesOf[list] ?? [] where after.map({ key.host > $0 }) ?? true {
                guard let host = hostNames[key.host], let count = rows[key]?.count, count > 0 else {
                    continue
                }
                guard includesHeld || !held.contains(host) else { continue }
                found.append(LaneRow(key: key, host: host, queued: count, heldUntil: nil, holdReason: nil))
                if found.count == limit { break }
            }
            board.lanesArrived(list, found, isLast: found.count < limit)
        case .jobs(let key, let generation, let after, let limit):
            let all = rows[key] ?? []
            let start = all.firstIndex { ($0.rank, $0.seq) > (after.rank, after.seq.rawValue) } ?? all.count
            let page = all[start...].prefix(limit)
            largestPage = max(largestPage, page.count)
            let cursor = page.last.map { LaneCursor(rank: $0.rank, seq: JobSeq($0.seq)) }
            let entries = page.filter { !hidden.contains($0.seq) }.map { entry($0, key) }
            board.jobsArrived(
                key, generation: generation, entries, cursor: cursor, isLast: page.count < limit)
        }
    }

    private func entry(_ row: Row, _ key: LaneKey) -> LaneBoard.Entry {
        let job = QueuedJob(
            seq: JobSeq(row.seq), id: JobID(rawValue: UInt64(row.seq)), lane: key, line: 1, rank: row.rank,
            work: .sum(SumRange(from: 0, to: 1)), options: .none, attempts: 0, fetchedBytes: 0,
            admittedAt: WallTime(milliseconds: 0), startedAt: nil, waited: 0, resume: nil)
        return LaneBoard.Entry(job: job, claim: .granted(known: nil))
    }

    /// The next job, taken out of the ledger's queue.
    mutating func next(_ verdict: (HostKey) -> HostMachine.Verdict = { _ in .start }) -> LaneBoard.Pick? {
        guard let pick = board.next(verdict) else { return nil }
        let seq = pick.job.seq.rawValue
        rows[pick.job.lane]?.removeAll { $0.seq == seq }
        handedOut.append(seq)
        return pick
    }

    /// Picks until the board has nothing and asks for nothing.
    mutating func drain(_ verdict: (HostKey) -> HostMachine.Verdict = { _ in .start }) -> [LaneBoard.Pick] {
        var picks: [LaneBoard.Pick] = []
        while true {
            let asked = answerAll()
            var isMoving = asked
            while let pick = next(verdict) {
                picks.append(pick)
                isMoving = true
                answerAll()
            }
            if !isMoving { return picks }
        }
    }

    var queued: Int { rows.values.reduce(0) { $0 + $1.count } }
}
