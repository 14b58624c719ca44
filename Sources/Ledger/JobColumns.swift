// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import JobModel

/// The columns that make a `QueuedJob`, and those that decide about a change.
enum JobColumns {
    /// Of a table named `j`; 21 columns.
    static let queued = """
        j.seq, j.list, j.host, j.line, j.rank, j.kind, j.urls, j.mirror_hosts, j.path, j.options, j.gid, \
        j.attempts, \
        j.fetched, j.waited, j.started_at, j.admitted_at, j.resume, j.crashes, \
        j.mismatches, j.listed, j.mirrors
        """
    static let queuedCount = 21

    static func queued(
        _ row: some ColumnReading, host: HostKey, defaults: SharedOptions, cipher: JobIDCipher
    ) -> QueuedJob {
        let seq = JobSeq(row.number(0))
        let work: QueuedJob.Work
        let kind = JobKind(rawValue: row.number(5))
        if kind == .sum {
            work = .sum(WorkColumns.sum(row.text(6)) ?? SumRange(from: 0, to: 0))
        } else if kind == .digestList, host == .files {
            work = .download(urls: [], path: OutputPath(trusted: row.text(8) ?? ""))
        } else {
            work = .download(
                urls: WorkColumns.downloads(urls: row.text(6) ?? "", host: host, mirrorHosts: row.text(7)),
                path: OutputPath(trusted: row.text(8) ?? ""))
        }
        var job = QueuedJob(
            seq: seq, id: id(seq, gid: row.optionalNumber(10), cipher), lane: lane(row, list: 1, host: 2),
            line: Int(row.number(3)), rank: Int(row.number(4)), work: work,
            options: JSONColumn.options(row.text(9), over: defaults), attempts: Int(row.number(11)),
            fetchedBytes: row.number(12), admittedAt: row.time(15) ?? WallTime(milliseconds: 0),
            startedAt: row.time(14), waited: row.number(13), resume: JSONColumn.resume(row.text(16)))
        job.crashes = Int(row.number(17))
        job.mismatches = Int(row.number(18))
        if case .download(let urls, _) = work, urls.count > 1 {
            let record = JSONColumn.decode(MirrorRecord.self, row.text(20))
            job.mirrors = MirrorMachine(hosts: urls.map(\.host), record: record, lane: host).record
        }
        if let listed = row.text(19), job.options.checksum == nil { job.options.checksum = Checksum(listed) }
        if kind == .digestList {
            job.errand = DigestErrand(
                id: DigestListID(rawValue: -seq.rawValue), file: host == .files ? row.text(6) : nil)
        }
        return job
    }

    static func id(_ seq: JobSeq, gid: Int64?, _ cipher: JobIDCipher) -> JobID {
        gid.map { JobID(rawValue: UInt64(bitPattern: $0)) } ?? cipher.id(of: seq)
    }
    static func lane(_ row: some ColumnReading, list: Int, host: Int) -> LaneKey {
        LaneKey(list: ListID(row.number(list)), host: HostID(rawValue: row.number(host)))
    }
}

/// What every change has to know of a job first.
struct JobHead {
    var seq: JobSeq
    var lane: LaneKey
    var state: JobState
    var kind: JobKind
    var path: String?
    var claim: String?
    var urls: String?
    var admittedAt: WallTime
    var attempts: Int
    var fetched: Int64
    var waited: Int64
    var startedAt: WallTime?
    /// When the wait of a `waiting` job began.
    var since: WallTime?
    var crashes: Int
    /// There are bytes of it on the disk to go on from.
    var hasResumePoint: Bool
    /// Why an attempt broke is noted.
    var hasError: Bool
    /// The list of digests that it waits for, or failed by.
    var gate: DigestListID?

    static let query = """
        SELECT seq, list, host, state, kind, path, claim, urls, admitted_at, attempts, fetched, waited, \
        started_at, \
        since, crashes, resume NOT NULL, gate, error NOT NULL FROM job
        """

    /// Its row says nothing of waits, crashes, broken attempts or a second path: there is only its state to be changed.
    var isPlain: Bool {
        state != .waiting && crashes == 0 && since == nil && !hasResumePoint && !hasError && claim == nil
    }
    /// The URL that tells a duplicate: the first mirror.
    var url: String { urls.map { WorkColumns.texts($0).first ?? "" } ?? "" }
    /// Back-off until now, added to what was spent before.
    func waited(until now: WallTime) -> Int64 {
        guard state == .waiting, let since, now > since else { return waited }
        let (nanoseconds, overflow) = (now.rawValue &- since.rawValue).multipliedReportingOverflow(
            by: 1_000_000)
        let (sum, overflowed) = waited.addingReportingOverflow(nanoseconds)
        return overflow || overflowed ? .max : sum
    }
}

extension JobHead {
    /// Of a queued job that has just been read, with the columns that it does not tell.
    init(of job: QueuedJob, _ row: borrowing some ColumnReading, claim: String?) {
        seq = job.seq
        lane = job.lane
        state = .queued
        kind = JobKind(rawValue: row.number(5)) ?? .download
        path = row.text(8)
        self.claim = claim
        urls = row.text(6)
        admittedAt = job.admittedAt
        attempts = job.attempts
        fetched = job.fetchedBytes
        waited = job.waited
        startedAt = job.startedAt
        since = nil
        crashes = job.crashes
        hasResumePoint = row.text(16) != nil
        hasError = row.number(JobColumns.queuedCount + 1) != 0
        gate = nil
    }
}

extension LedgerStore {
    /// From memory where it is known; whoever changes the row outside `move` calls `caches.forget`.
    func head(_ seq: JobSeq, _ db: Database) throws -> JobHead? {
        if let known = caches.heads[seq] { return known }
        return try hot(.head, db).bind(seq.rawValue).first(Self.head)
    }

    /// Jobs of a query over `job`, at most a slice of them.
    func heads(_ condition: String, _ values: [Int64], _ db: Database) throws -> [JobHead] {
        let statement = try db.cachedStatement(sql: JobHead.query + " " + condition)
        return try Row.fetchCursor(statement, arguments: StatementArguments(values)).readAllMapped(Self.head)
    }

    private static func head(_ row: borrowing some ColumnReading) -> JobHead? {
        guard let state = JobState(rawValue: Int(row.number(3))), let kind = JobKind(rawValue: row.number(4))
        else {
            return nil
        }
        return JobHead(
            seq: JobSeq(row.number(0)), lane: JobColumns.lane(row, list: 1, host: 2), state: state,
            kind: kind,
            path: row.text(5), claim: row.text(6), urls: row.text(7),
            admittedAt: row.time(8) ?? WallTime(milliseconds: 0), attempts: Int(row.number(9)),
            fetched: row.number(10), waited: row.number(11), startedAt: row.time(12), since: row.time(13),
            crashes: Int(row.number(14)), hasResumePoint: row.number(15) != 0,
            hasError: row.number(17) != 0, gate: row.optionalNumber(16).map { DigestListID(rawValue: $0) })
    }

    /// Who has an id: by the side table first, else the job behind the number, if it has no other id.
    func holder(of id: JobID, _ db: Database) throws -> JobHead? {
        let statement = try db.cachedStatement(sql: "SELECT seq FROM gid WHERE gid = ?")
        if let seq = try Int64.fetchOne(statement, arguments: [Int64(bitPattern: id.rawValue)]) {
            return try head(JobSeq(seq), db)
        }
        let seq = cipher.seq(of: id)
        guard seq.rawValue != 0, seq < seqLimit else { return nil }
        return try head(seq, db)
    }
}

extension Cursor {
    /// Elements that could be made of the rows, in order.
    func readAllMapped<T>(_ transform: (Element) -> T?) throws -> [T] {
        var elements: [T] = []
        while let element = try next() {
            if let made = transform(element) { elements.append(made) }
        }
        return elements
    }
}
