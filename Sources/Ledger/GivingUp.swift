// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// What becomes of the jobs of one host, over all lists. Slices, as commands on whole lists: a dead host may have
/// ten million. Jobs of paused lists are not touched: nobody waits for them. Inside a group.
extension LedgerStore {
    /// Fails up to `limit` queued and waiting jobs of a host; those that have another mirror go on there.
    public func giveUpSlice(
        host: HostID, error: JobError, limit: Int, now: WallTime
    ) throws(LedgerError) -> Slice {
        try write { db in
            var changed = 0
            var passedOn = 0
            for list in try openLists(of: host, db) where changed < limit {
                var jobs = try queued(list, host, limit: limit - changed, db)
                if changed + jobs.count < limit {
                    jobs += try waiting(list, host, limit: limit - changed - jobs.count, db)
                }
                for job in jobs {
                    if try surrender(job, error, now: now, db) { passedOn += 1 }
                }
                changed += jobs.count
            }
            var slice = Slice(changed: changed, isComplete: changed < limit)
            slice.passedOn = passedOn
            return slice
        }
    }

    /// Queues up to `limit` waiting jobs of a host at once: somebody says that it serves again.
    public func requeueWaiting(host: HostID, limit: Int, now: WallTime) throws(LedgerError) -> [LaneKey] {
        try write { db in
            var lanes: [LaneKey] = []
            var changed = 0
            for list in try openLists(of: host, db) where changed < limit {
                let jobs = try waiting(list, host, limit: limit - changed, db)
                for job in jobs { try requeue(job, now: now, db) }
                changed += jobs.count
                if !jobs.isEmpty { lanes.append(LaneKey(list: list, host: host)) }
            }
            return lanes
        }
    }

    /// Notes how long a host has given nothing usable, so that a restart goes on counting from there.
    public func note(barren: Duration, host: HostID) throws(LedgerError) {
        try write { db in
            try db.cachedStatement(sql: "UPDATE host SET barren = ? WHERE id = ?")
                .execute(arguments: [barren.nanosecondsClamped / 1_000_000, host.rawValue])
        }
    }

    /// By the open lists, which are few, and a look at each one's lane: lanes have no index by host.
    private func openLists(of host: HostID, _ db: Database) throws -> [ListID] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT t.id FROM list t INDEXED BY list_open CROSS JOIN lane l ON l.list = t.id AND l.host = ? \
                WHERE t.state < 2 AND NOT t.paused UNION ALL SELECT list FROM lane WHERE list = 0 AND host = ? \
                ORDER BY 1
                """)
        return try Row.fetchCursor(statement, arguments: [host.rawValue, host.rawValue]).readAllMapped {
            ListID($0.number(0))
        }
    }

    private func queued(_ list: ListID, _ host: HostID, limit: Int, _ db: Database) throws -> [JobHead] {
        try heads(
            "INDEXED BY job_queued WHERE list = ? AND host = ? AND state = 0 AND gate IS NULL LIMIT ?",
            [list.rawValue, host.rawValue, Int64(limit)], db)
    }

    private func waiting(_ list: ListID, _ host: HostID, limit: Int, _ db: Database) throws -> [JobHead] {
        try heads(
            "INDEXED BY job_waiting_host WHERE list = ? AND host = ? AND state = 2 LIMIT ?",
            [list.rawValue, host.rawValue, Int64(limit)], db)
    }
}
