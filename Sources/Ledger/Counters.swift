// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// How the counts change in one group. A lane knows its list and its host, so lanes are all that is gathered.
struct CounterDeltas {
    private(set) var lanes: [LaneKey: StateCounts] = [:]
    /// Bytes of files that became `done`.
    private(set) var bytes: [ListID: Int64] = [:]

    mutating func add(_ lane: LaneKey, _ state: JobState, by number: Int = 1) {
        lanes[lane, default: StateCounts()][state] += number
    }
    mutating func move(_ lane: LaneKey, from: JobState, to: JobState) {
        guard from != to else { return }
        lanes[lane, default: StateCounts()][from] -= 1
        lanes[lane, default: StateCounts()][to] += 1
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
        for (lane, counts) in deltas.lanes {
            lists[lane.list, default: StateCounts()] += counts
            hosts[lane.host, default: StateCounts()] += counts
            total += counts
            try flush(db, lane, counts)
        }
        for list in deltas.bytes.keys where lists[list] == nil { lists[list] = StateCounts() }
        let update = try db.cachedStatement(
            sql: "UPDATE list SET bytes = bytes + ?, \(Self.adding) WHERE id = ?")
        for (list, counts) in lists {
            var values: [Int64] = [deltas.bytes[list] ?? 0]
            values.append(contentsOf: Self.values(counts))
            values.append(list.rawValue)
            try update.execute(arguments: StatementArguments(values))
            changedLists.insert(list)
        }
        let hostUpdate = try db.cachedStatement(sql: "UPDATE host SET \(Self.adding) WHERE id = ?")
        for (host, counts) in hosts {
            try hostUpdate.execute(arguments: StatementArguments(Self.values(counts) + [host.rawValue]))
            changedHosts.insert(host)
            if counts.total < 0 { try forget(host, db) }
        }
        try db.cachedStatement(sql: "UPDATE total SET \(Self.adding)")
            .execute(arguments: StatementArguments(Self.values(total)))
    }

    private func flush(_ db: Database, _ lane: LaneKey, _ counts: StateCounts) throws {
        let open = RowColumns.openStates.map { Int64(counts[$0]) }
        guard open.contains(where: { $0 != 0 }) else { return }
        try db.cachedStatement(
            sql: """
                INSERT INTO lane (list, host, n_queued, n_active, n_waiting, n_publishing, n_paused) \
                VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n_queued = n_queued + \
                excluded.n_queued, \
                n_active = n_active + excluded.n_active, n_waiting = n_waiting + excluded.n_waiting, \
                n_publishing = n_publishing + excluded.n_publishing, n_paused = n_paused + excluded.n_paused
                """
        ).execute(arguments: StatementArguments([lane.list.rawValue, lane.host.rawValue] + open))
        if counts.open < 0 {
            try db.cachedStatement(
                sql: """
                    DELETE FROM lane WHERE list = ? AND host = ? AND n_queued = 0 AND n_active = 0 AND \
                    n_waiting = 0 \
                    AND n_publishing = 0 AND n_paused = 0
                    """
            ).execute(arguments: [lane.list.rawValue, lane.host.rawValue])
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

    private static let adding = JobState.allCases.map { "n_\($0.name) = n_\($0.name) + ?" }.joined(
        separator: ", ")
    private static func values(_ counts: StateCounts) -> [Int64] {
        JobState.allCases.map { Int64(counts[$0]) }
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
        let rows = try read { db in
            let statement = try db.cachedStatement(sql: RowColumns.hostQuery + " WHERE id = ?")
            return try ids.compactMap { id in
                try Row.fetchOne(statement, arguments: [id.rawValue]).map(RowColumns.host)
            }
        }
        changedHosts.removeAll()
        return rows
    }
}
