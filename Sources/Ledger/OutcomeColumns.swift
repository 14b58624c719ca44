// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import JobModel

/// The row of how a job ended.
enum OutcomeColumns {
    static let columns = """
        seq, state, error, error_message, path, final_url, bytes, fetched, resumed, digest, content_type, \
        etag, \
        last_modified, http_status, http_version, remote_ip, attempts, flags, started_at, ended_at, \
        t_queued, \
        t_waiting, t_dns, t_connect, t_tls, t_first_byte, t_transfer, t_publish, t_total, t_run, t_cpu, \
        value, worker
        """
    /// What `outcome(_:from:)` reads, of a table named `o`.
    static let selected = columns.utf8.split(separator: UInt8(ascii: ","))
        .map { "o." + String(decoding: $0.drop { $0 == UInt8(ascii: " ") }, as: UTF8.self) }
        .joined(separator: ", ")
    static let marks = Array(repeating: "?", count: 33).joined(separator: ", ")

    /// Of `HotStatements.Query.outcome`: replaces what `publishing` wrote.
    static func write(_ statement: DirectStatement, _ seq: JobSeq, _ outcome: Outcome) throws {
        statement.bind(seq.rawValue).bind(outcome.state.rawValue).bind(outcome.error.map(\.code.name))
            .bind(outcome.error?.message).bind(outcome.path?.description).bind(outcome.finalURL)
            .bind(outcome.bytes).bind(outcome.fetchedBytes).bind(outcome.resumedBytes)
            .bind(outcome.digest?.description).bind(outcome.contentType).bind(outcome.etag)
            .bind(outcome.lastModified).bind(outcome.httpStatus.map(Int64.init)).bind(outcome.httpVersion)
            .bind(outcome.remoteIP).bind(outcome.attempts)
            .bind(outcome.flags.isEmpty ? nil : outcome.flags.map(\.rawValue).joined(separator: ","))
            .bind(outcome.startedAt?.rawValue).bind(outcome.endedAt.rawValue)
        let timings = outcome.timings
        statement.bind(known(timings.queued)).bind(timings.waiting).bind(known(timings.dns))
            .bind(known(timings.connect)).bind(known(timings.tls)).bind(known(timings.firstByte))
            .bind(known(timings.transfer)).bind(known(timings.publish)).bind(known(timings.total))
            .bind(known(timings.run)).bind(known(timings.cpu))
        try statement.bind(outcome.value).bind(outcome.worker).run()
    }

    /// Of `HotStatements.Query.outcomeEnded`.
    static func writeEnd(_ statement: DirectStatement, _ seq: JobSeq, _ outcome: Outcome) throws {
        try statement.bind(outcome.endedAt.rawValue).bind(known(outcome.timings.publish))
            .bind(known(outcome.timings.total)).bind(seq.rawValue).run()
    }

    static func delete(_ db: Database, _ seq: JobSeq) throws {
        try db.cachedStatement(sql: "DELETE FROM outcome WHERE seq = ?").execute(arguments: [seq.rawValue])
    }

    /// nil where there is no such row (the columns of a left join).
    static func outcome(_ row: borrowing some ColumnReading, from first: Int) -> Outcome? {
        guard row.optionalNumber(first) != nil, let state = JobState(rawValue: Int(row.number(first + 1))),
            state.isTerminal
        else { return nil }
        var outcome = Outcome(state: state, endedAt: row.time(first + 19) ?? WallTime(milliseconds: 0))
        outcome.error = ErrorColumn.error(row.text(first + 2), row.text(first + 3))
        outcome.path = row.text(first + 4).map { OutputPath(trusted: $0) }
        outcome.finalURL = row.text(first + 5)
        outcome.bytes = row.optionalNumber(first + 6)
        outcome.fetchedBytes = row.number(first + 7)
        outcome.resumedBytes = row.number(first + 8)
        outcome.digest = row.text(first + 9).flatMap { Checksum($0) }
        outcome.contentType = row.text(first + 10)
        outcome.etag = row.text(first + 11)
        outcome.lastModified = row.text(first + 12)
        outcome.httpStatus = row.optionalNumber(first + 13).map { Int($0) }
        outcome.httpVersion = row.text(first + 14)
        outcome.remoteIP = row.text(first + 15)
        outcome.attempts = Int(row.number(first + 16))
        outcome.flags = (row.text(first + 17) ?? "").utf8.split(separator: UInt8(ascii: ","))
            .compactMap { JobFlag(rawValue: String(decoding: $0, as: UTF8.self)) }
        outcome.startedAt = row.time(first + 18)
        outcome.timings = timings(row, from: first + 20)
        outcome.value = row.text(first + 31)
        outcome.worker = row.text(first + 32)
        return outcome
    }

    private static func timings(_ row: borrowing some ColumnReading, from first: Int) -> JobTimings {
        var timings = JobTimings()
        timings.queued = row.optionalNumber(first) ?? -1
        timings.waiting = row.number(first + 1)
        timings.dns = row.optionalNumber(first + 2) ?? -1
        timings.connect = row.optionalNumber(first + 3) ?? -1
        timings.tls = row.optionalNumber(first + 4) ?? -1
        timings.firstByte = row.optionalNumber(first + 5) ?? -1
        timings.transfer = row.optionalNumber(first + 6) ?? -1
        timings.publish = row.optionalNumber(first + 7) ?? -1
        timings.total = row.optionalNumber(first + 8) ?? -1
        timings.run = row.optionalNumber(first + 9) ?? -1
        timings.cpu = row.optionalNumber(first + 10) ?? -1
        return timings
    }

    /// Unknown is NULL, which takes no room.
    private static func known(_ nanoseconds: Int64) -> Int64? { nanoseconds < 0 ? nil : nanoseconds }
}
