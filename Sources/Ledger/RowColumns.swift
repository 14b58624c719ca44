// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import JobModel

/// Between rows and values. Every column is read as optional: a damaged file gives an odd value, never a
/// trap.
enum RowColumns {
    static let openStates: [JobState] = [.queued, .active, .waiting, .publishing, .paused]

    static func counts(_ table: String) -> String {
        JobState.allCases.map { "\(table).n_\($0.name)" }.joined(separator: ", ")
    }
    static func counts(_ row: borrowing some ColumnReading, from first: Int) -> StateCounts {
        var counts = StateCounts()
        for state in JobState.allCases { counts[state] = Int(row.number(first + state.rawValue)) }
        return counts
    }

    static let hostQuery = "SELECT id, name, held_until, hold_reason, \(counts("host")) FROM host"
    static func host(_ row: borrowing some ColumnReading) -> HostRow {
        HostRow(
            id: HostID(rawValue: row.number(0)), host: HostKey(row.text(1) ?? ""),
            counts: counts(row, from: 4),
            heldUntil: row.time(2), holdReason: row.text(3))
    }

    static let listQuery = """
        SELECT id, name, accepted_name, final_name, format, gzip, state, device, inode, offset, line, \
        entries, \
        defaults, paused, bytes, admitted_at, ended_at, \(counts("list")) FROM list
        """
    static func list(_ row: Row) -> ListRow {
        ListRow(
            id: ListID(row.number(0)), name: row.text(1) ?? "", acceptedName: row.text(2) ?? "",
            finalName: row.text(3), format: ListFormat(rawValue: Int(row.number(4))) ?? .text,
            isGzip: row.number(5) != 0, state: ListState(rawValue: Int(row.number(6))) ?? .running,
            device: UInt64(bitPattern: row.number(7)), inode: UInt64(bitPattern: row.number(8)),
            position: ListPosition(
                offset: row.number(9), line: Int(row.number(10)), entries: Int(row.number(11))),
            defaults: JSONColumn.options(row.text(12)), isPaused: row.number(13) != 0,
            counts: counts(row, from: 17), bytes: row.number(14),
            admittedAt: row.time(15) ?? WallTime(milliseconds: 0),
            endedAt: row.time(16))
    }
}

/// What a job is, as the `kind` column has it. On disk: never renumber.
enum JobKind: Int64 {
    case download = 0
    case sum = 1
    case badLine = 2
    /// Fetches and reads a list of digests; its number is below zero.
    case digestList = 3
}

/// The `urls` and `mirror_hosts` columns.
enum WorkColumns {
    static func urls(_ urls: [DownloadURL]) -> String {
        urls.count == 1 ? urls[0].text : urls.map(\.text).joined(separator: "\t")
    }
    /// NULL for one URL: its host is the lane's.
    static func mirrorHosts(_ urls: [DownloadURL]) -> String? {
        urls.count < 2 ? nil : urls.map(\.host.rawValue).joined(separator: "\t")
    }
    static func downloads(urls: String, host: HostKey, mirrorHosts: String?) -> [DownloadURL] {
        let texts = texts(urls)
        var hosts = [host]
        if let mirrorHosts {
            let told = mirrorHosts.utf8.split(separator: tab, omittingEmptySubsequences: false)
                .map { HostKey(String(Substring($0))) }
            // Rows of before version 3 lack the first one's, which was the lane's for good then.
            hosts = told.count < texts.count ? hosts + told : told
        }
        return texts.enumerated().map { index, text in
            DownloadURL(text: text, scheme: scheme(of: text), host: index < hosts.count ? hosts[index] : host)
        }
    }
    static func texts(_ urls: String) -> [String] {
        if !urls.utf8.contains(tab) { return [urls] }
        return urls.utf8.split(separator: tab).map { String(Substring($0)) }
    }
    /// A normalised URL begins with its scheme in lower case.
    private static func scheme(of text: String) -> String {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return "" }
        return String(text[..<colon])
    }

    static func sum(_ range: SumRange) -> String { "sum:\(range.from)..\(range.to)" }
    static func sum(_ text: String?) -> SumRange? {
        guard let text, text.utf8.starts(with: "sum:".utf8) else { return nil }
        let bounds = text.utf8.dropFirst(4).split(separator: UInt8(ascii: ".")).map { UInt64(Substring($0)) }
        guard bounds.count == 2, let from = bounds[0], let to = bounds[1], from <= to else { return nil }
        return SumRange(from: from, to: to)
    }

    private static let tab = UInt8(ascii: "\t")
}
