// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Jobs with several URLs: their lane is that of the host that they try next. Inside a group.
extension LedgerStore {
    /// Lanes that jobs have come to since the last call: to be read again. Outside a group.
    public func takeJoinedLanes() -> [LaneKey] {
        defer { joinedLanes.removeAll() }
        return joinedLanes.sorted { ($0.list, $0.host) < ($1.list, $1.host) }
    }

    /// The job goes on at that host.
    /// - Returns: the job in its new lane.
    @discardableResult
    func follow(
        _ job: JobHead, to host: HostKey, _ record: MirrorRecord, _ db: Database
    ) throws -> JobHead {
        let id = try hostID(host, db)
        try db.cachedStatement(sql: "UPDATE job SET host = ?, mirrors = ? WHERE seq = ?")
            .execute(arguments: [id.rawValue, JSONColumn.text(record), job.seq.rawValue])
        caches.forget(job.seq)
        guard id != job.lane.host else { return job }
        var moved = job
        moved.lane = LaneKey(list: job.lane.list, host: id)
        deltas.add(job.lane, job.state, by: -1)
        deltas.add(moved.lane, job.state)
        joinedLanes.insert(moved.lane)
        return moved
    }

    /// A resting job's host is given up: it fails, or goes on at a mirror of another host.
    /// - Returns: whether it goes on.
    func surrender(_ job: JobHead, _ error: JobError, now: WallTime, _ db: Database) throws -> Bool {
        guard var mirrors = try mirrors(of: job, db) else {
            try endResting(job, .failed, error, now: now, db)
            return false
        }
        guard let host = mirrors.gaveUp(try hostKey(job.lane.host, db), error) else {
            try endResting(job, .failed, mirrors.summary(error), now: now, db)
            return false
        }
        let moved = try follow(job, to: host, mirrors.record, db)
        if moved.state == .waiting { try requeue(moved, now: now, db) }
        return true
    }

    /// nil: it has one URL.
    private func mirrors(of job: JobHead, _ db: Database) throws -> MirrorMachine? {
        let select = try db.cachedStatement(
            sql: "SELECT mirror_hosts, mirrors FROM job WHERE seq = ? AND mirror_hosts IS NOT NULL")
        guard let row = try Row.fetchOne(select, arguments: [job.seq.rawValue]) else { return nil }
        let lane = try hostKey(job.lane.host, db)
        let urls = WorkColumns.downloads(urls: job.urls ?? "", host: lane, mirrorHosts: row.text(0))
        let record = JSONColumn.decode(MirrorRecord.self, row.text(1))
        return urls.count < 2 ? nil : MirrorMachine(hosts: urls.map(\.host), record: record, lane: lane)
    }
}
