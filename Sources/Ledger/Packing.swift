// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import Glibc
public import JobModel

/// What keeps the ledger's files small. Outside a group.
extension LedgerStore {
    /// Looks at the file's first page only.
    public func gauge() throws(LedgerError) -> LedgerGauge {
        try read { db in
            LedgerGauge(
                pages: try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0,
                freePages: try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0)
        }
    }

    /// Gives up to `pages` free pages back: pages from the end move into them, in a transaction of its own. The file is
    /// shorter after the next checkpoint. A ledger that was made by a version without `auto_vacuum` keeps its pages, and
    /// fills them again.
    public func giveBack(pages: Int) throws(LedgerError) {
        try read { try $0.execute(sql: "PRAGMA incremental_vacuum(\(max(1, pages)))") }
    }

    /// Writes the write-ahead log home as far as readers let it, without waiting for any. For a quiet moment.
    public func checkpoint() throws(LedgerError) {
        try read { _ = try $0.checkpoint(.passive) }
    }

    /// Writes the write-ahead log home and empties its file, unless a reader is in the way: then as far as that lets it,
    /// without waiting for anybody.
    public func emptyLog() throws(LedgerError) {
        try read { db in
            try db.execute(sql: "PRAGMA busy_timeout = 0")
            let back = "PRAGMA busy_timeout = \(LedgerFile.busyMilliseconds)"
            defer { try? db.execute(sql: back) }  // cannot fail
            _ = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
        }
    }

    /// Bytes of the write-ahead log's file; 0 where there is none. A look at the directory: nothing is opened.
    public var logBytes: Int64 {
        var status = stat()
        return unsafe stat(path + "-wal", &status) == 0 ? Int64(status.st_size) : 0
    }
}
