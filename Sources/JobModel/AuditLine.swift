// SPDX-License-Identifier: Apache-2.0

/// One line of an audit's results: JSON Lines, every key always there, in this order, each of one type or null.
/// Keys are only ever added, at the end.
public enum AuditLine {
    /// - Parameter now: when the file was looked at.
    public static func line(
        _ id: AuditID, _ entry: AuditPage.Entry, _ finding: AuditPage.Finding, now: WallTime
    ) -> [UInt8] {
        let record = entry.record
        var json = JSONText()
        json.object {
            $0.field("audit", id.rawValue)
            $0.field("path", record.path.description)
            $0.field("verdict", finding.verdict?.name ?? "skipped")
            $0.field("reason", finding.reason)
            $0.field("bytes", record.size)
            $0.field("found_bytes", finding.facts.map { $0.size })
            $0.field("digest", record.digest?.description)
            $0.field("found_digest", finding.digest?.description)
            $0.field("url", Masking.url(record.url))
            $0.field("published_at", record.publishedAt.iso8601)
            $0.field("modified_at", finding.facts.map { WallTime(milliseconds: $0.modifiedAt).iso8601 })
            $0.field("checked_at", now.iso8601)
        }
        return json.bytes + [UInt8(ascii: "\n")]
    }
}
