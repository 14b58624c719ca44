// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import JobModel

/// The columns of a published file: of the tables `f` (file) and `w` (job: the live one that holds its path).
enum PublishedColumns {
    static let selected = """
        f.path, f.url, f.final_url, f.size, f.digest, f.etag, f.last_modified, f.content_type, f.published_at, \
        f.last_job, w.state
        """
    static let count = 11
    static let owner = "LEFT JOIN job w ON w.seq = f.owner"

    /// nil: nothing was ever published there.
    static func file(_ row: borrowing some ColumnReading, from first: Int = 0) -> PublishedFile? {
        guard let path = row.text(first), let published = row.time(first + 8),
            let size = row.optionalNumber(first + 3)
        else { return nil }
        return PublishedFile(
            record: FileRecord(
                path: OutputPath(trusted: path), url: row.text(first + 1) ?? "",
                finalURL: row.text(first + 2), size: size,
                digest: row.text(first + 4).flatMap { Checksum($0) }, etag: row.text(first + 5),
                lastModified: row.text(first + 6), contentType: row.text(first + 7),
                publishedAt: published),
            lastJob: row.optionalNumber(first + 9).map { JobSeq($0) },
            isBeingReplaced: row.optionalNumber(first + 10).map(Int.init) == JobState.publishing.rawValue)
    }
}
