// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// How the counts change in one group. A lane knows its list and its host, so lanes are all that is gathered.
struct CounterDeltas {
    struct Lane {
        var counts = StateCounts()
        /// Entries came to it that may be read ahead.
        var isJoined = false
    }
    private(set) var lanes: [LaneKey: Lane] = [:]
    /// Bytes of files that became `done`.
    private(set) var bytes: [ListID: Int64] = [:]

    mutating func add(_ lane: LaneKey, _ state: JobState, by number: Int = 1) {
        lanes[lane, default: Lane()].counts[state] += number
    }
    /// One entry; `isReady`: it may be read ahead.
    mutating func admit(_ lane: LaneKey, _ state: JobState, isReady: Bool) {
        Self.admit(state, isReady, to: &lanes[lane, default: Lane()])
    }
    private static func admit(_ state: JobState, _ isReady: Bool, to lane: inout Lane) {
        lane.counts[state] += 1
        lane.isJoined = lane.isJoined || isReady
    }
    mutating func move(_ lane: LaneKey, from: JobState, to: JobState) {
        guard from != to else { return }
        lanes[lane, default: Lane()].counts[from] -= 1
        lanes[lane, default: Lane()].counts[to] += 1
    }
    mutating func add(bytes number: Int64, list: ListID) { bytes[list, default: 0] &+= number }
    mutating func removeAll() {
        lanes.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
    }
}

extension LedgerStore {
    /// Writes the gathered counts: once a group, as the last thing before its commit.
    func flushCounters(_ db: Database) throws {
        guard !deltas.lanes.isEmpty || !deltas.bytes.isEmpty else { return }
        var lists: [ListID: StateCounts] = [:]
        var hosts: [HostID: StateCounts] = [:]
        var total = StateCounts()
        for (lane, delta) in deltas.lanes {
            lists[lane.list, default: StateCounts()] += delta.counts
            hosts[lane.host, default: StateCounts()] += delta.counts
            total += delta.counts
            try flush(db, lane, delta.counts)
            if delta.isJoined { admittedLanes[lane.list, default: []].append(lane) }
        }
        for list in deltas.bytes.keys where lists[list] == nil { lists[list] = StateCounts() }
        for (list, counts) in lists {
            try bind(counts, to: hot(.listCounts, db).bind(deltas.bytes[list] ?? 0)).bind(list.rawValue).run()
            changedLists.insert(list)
        }
        for (host, counts) in hosts {
            try bind(counts, to: hot(.hostCounts, db)).bind(host.rawValue).run()
            changedHosts.insert(host)
            if counts.total < 0 { try forget(host, db) }
        }
        try bind(total, to: hot(.totals, db)).run()
    }

    private func flush(_ db: Database, _ lane: LaneKey, _ counts: StateCounts) throws {
        guard RowColumns.openStates.contains(where: { counts[$0] != 0 }) else { return }
        let statement = try hot(.lane, db).bind(lane.list.rawValue).bind(lane.host.rawValue)
        for state in RowColumns.openStates { statement.bind(counts[state]) }
        try statement.run()
        if counts.open < 0 {
            try hot(.emptyLane, db).bind(lane.list.rawValue).bind(lane.host.rawValue).run()
        }
    }

    /// The host of removed jobs, where no other job names it and nothing is known of it. The row 0 is that of sums.
    private func forget(_ host: HostID, _ db: Database) throws {
        guard host.rawValue > 0 else { return }
        let none = JobState.allCases.map { "n_\($0.name) = 0" }.joined(separator: " AND ")
        let delete = try db.cachedStatement(
            sql: """
                DELETE FROM host WHERE id = ? AND \(none) AND held_until IS NULL AND barren = 0 \
                AND lies_about_ranges = 0
                """)
        // Its number is given out again.
        if let name = caches.hostNames.removeValue(forKey: host) { caches.hostIDs[name] = nil }
        try delete.execute(arguments: [host.rawValue])
    }

    private func bind(_ counts: StateCounts, to statement: DirectStatement) -> DirectStatement {
        for state in JobState.allCases { statement.bind(counts[state]) }
        return statement
    }

    /// Lanes that the last group's entries came to, those that may be read ahead, by list. Outside a group.
    public func takeAdmittedLanes() -> [ListID: [LaneKey]] {
        defer { admittedLanes.removeAll() }
        return admittedLanes
    }

    /// Lists whose counts, state or name changed since the last call, for the status snapshot. Outside a
    /// group.
    public func takeChangedLists() throws(LedgerError) -> [ListRow] {
        var rows: [ListRow] = []
        rows.reserveCapacity(changedLists.count)
        for id in changedLists.sorted() {
            // A list whose rows were removed meanwhile is simply gone.
            if let row = try list(id) { rows.append(row) }
        }
        changedLists.removeAll()
        return rows
    }

    /// Hosts whose counts or holds changed since the last call, for the status snapshot. Outside a group.
    ///
    /// Asked after every commit: what changed is kept in memory until then.
    public func takeChangedHosts() throws(LedgerError) -> [HostRow] {
        let ids = changedHosts.sorted()
        var rows: [HostRow] = []
        rows.reserveCapacity(ids.count)
        try read { db in
            // One snapshot: else each row takes the locks of a transaction of its own.
            try db.inTransaction(.deferred) {
                let statement = try hot(.hostRow, db)
                for id in ids {
                    if let row = try statement.bind(id.rawValue).first(RowColumns.host) { rows.append(row) }
                }
                return .commit
            }
        }
        changedHosts.removeAll()
        return rows
    }
}
