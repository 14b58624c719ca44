// SPDX-License-Identifier: Apache-2.0

internal import GRDB
public import JobModel

/// Rows of lists: from the first look at a file to the name it ends under. Writing calls run inside a group.
extension LedgerStore {
    /// Makes the row of a list that is about to be moved to `accepted/`, state `admitting`.
    ///
    /// - Parameter acceptedName: picks the name in `accepted/` once the id is known; the id goes before the
    ///   extension where NAME is taken (`LedgerStore.numberedName`).
    public func begin(
        _ file: ListFile, now: WallTime, acceptedName: (ListID) -> String
    ) throws(LedgerError) -> ListRow {
        let id = try write { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO list (name, accepted_name, format, gzip, state, device, inode, size, \
                    modified, \
                    admitted_at) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                file.name, file.acceptedName, file.format.rawValue, file.isGzip,
                Int64(bitPattern: file.device), Int64(bitPattern: file.inode), file.size,
                file.modified.rawValue,
                now.rawValue,
            ])
            let id = ListID(db.lastInsertedRowID)
            try db.cachedStatement(sql: "UPDATE list SET accepted_name = ? WHERE id = ?")
                .execute(arguments: [acceptedName(id), id.rawValue])
            return id
        }
        changedLists.insert(id)
        return try existing(id)
    }

    /// The same; an empty `file.acceptedName` becomes the name with the id in it.
    public func begin(_ file: ListFile, now: WallTime) throws(LedgerError) -> ListRow {
        try begin(file, now: now) { id in
            file.acceptedName.isEmpty ? Self.numberedName(file.name, id) : file.acceptedName
        }
    }

    /// `hourly.4711.txt` for `hourly.txt`, `hourly.4711.txt.gz` for `hourly.txt.gz`.
    public static func numberedName(_ name: String, _ id: ListID) -> String {
        let bytes = Array(name.utf8)
        var end = bytes.count
        if bytes.count > 3, bytes[(bytes.count - 3)...].elementsEqual(".gz".utf8) { end -= 3 }
        let dot = bytes[..<end].lastIndex(of: UInt8(ascii: ".")).flatMap { $0 == 0 ? nil : $0 } ?? end
        return String(decoding: bytes[..<dot], as: UTF8.self) + ".\(id)"
            + String(decoding: bytes[dot...], as: UTF8.self)
    }

    /// Notes the name a list file really got in `accepted/`. Inside a group.
    public func setAcceptedName(_ list: ListID, _ name: String) throws(LedgerError) {
        try update(list, "accepted_name = ?", [name])
    }

    /// Every line is in: `admitting` becomes `running`. Repeating it changes nothing.
    public func finishAdmission(_ list: ListID, position: ListPosition) throws(LedgerError) -> ListRow {
        try update(
            list, "state = 1, offset = max(offset, ?), line = max(line, ?)",
            [position.offset, position.line],
            only: "state = 0")
        return try existing(list)
    }

    /// The file held no good entry: state `rejected`. The rows of its bad lines are left to
    /// `removeSlice`.
    public func reject(_ list: ListID, reason: String, now: WallTime) throws(LedgerError) {
        try update(list, "state = 3, reason = ?, ended_at = ?", [reason, now.rawValue], only: "state < 2")
        try write { try dropDigestLists(of: list, $0) }
    }

    /// The list file lies under `finalName` in `done/` or `failed/`, its results beside it.
    public func close(_ list: ListID, finalName: String, now: WallTime) throws(LedgerError) {
        guard openJobs(try existing(list)) == 0 else {
            throw LedgerError(
                .bug, file: path, message: "list \(list) is closed with jobs that have not ended")
        }
        try update(
            list, "state = 2, final_name = ?, ended_at = ?", [finalName, now.rawValue], only: "state < 2")
        try write { try dropDigestLists(of: list, $0) }
    }

    /// Pauses or resumes a whole list: its lanes are not handed out, no row of a job is touched.
    public func set(list: ListID, paused: Bool) throws(LedgerError) {
        try update(list, "paused = ?", [paused], only: "state < 2")
    }

    /// Lists still `admitting` or `running`, by id.
    public func openLists() throws(LedgerError) -> [ListRow] {
        try lists(where: "state < 2", index: "list_open")
    }

    /// Running lists of which every job has ended: their results are due.
    public func endedLists() throws(LedgerError) -> [ListRow] {
        try lists(
            where: "state = 1 AND n_queued + n_active + n_waiting + n_publishing + n_paused = 0",
            index: "list_ended")
    }

    /// One list; nil where there is none. In a group the counts are those of the last commit.
    public func list(_ id: ListID) throws(LedgerError) -> ListRow? {
        try read { db in
            let statement = try db.cachedStatement(sql: RowColumns.listQuery + " WHERE id = ?")
            return try Row.fetchOne(statement, arguments: [id.rawValue]).map(RowColumns.list)
        }
    }

    /// The row of a list the caller has been given before.
    func existing(_ id: ListID) throws(LedgerError) -> ListRow {
        guard let row = try list(id) else {
            throw LedgerError(.bug, file: path, message: "there is no list \(id)")
        }
        return row
    }

    /// Own defaults of a list, from memory where it was asked for lately.
    func defaults(of list: ListID, _ db: Database) throws -> SharedOptions {
        if let known = caches.defaults[list] { return known }
        let statement = try db.cachedStatement(sql: "SELECT defaults FROM list WHERE id = ?")
        let text = try String.fetchOne(statement, arguments: [list.rawValue])
        let options = JSONColumn.options(text, over: .none)
        caches.remember(list, options)
        return options
    }

    /// Jobs of a list that have not ended, with what the running group has changed and not written yet.
    func openJobs(_ row: ListRow) -> Int {
        deltas.lanes.reduce(row.counts.open) { $0 + ($1.key.list == row.id ? $1.value.counts.open : 0) }
    }

    func update(
        _ list: ListID, _ assignments: String, _ values: [(any DatabaseValueConvertible)?],
        only condition: String = "1"
    ) throws(LedgerError) {
        try write { db in
            try db.cachedStatement(sql: "UPDATE list SET \(assignments) WHERE id = ? AND \(condition)")
                .execute(arguments: StatementArguments(values + [list.rawValue]))
        }
        changedLists.insert(list)
    }

    private func lists(where condition: String, index: String) throws(LedgerError) -> [ListRow] {
        try read { db in
            let sql = RowColumns.listQuery + " INDEXED BY \(index) WHERE \(condition) ORDER BY id"
            return try Row.fetchCursor(db.cachedStatement(sql: sql)).map(RowColumns.list).readAll()
        }
    }
}

extension Cursor {
    /// All elements, in order.
    func readAll() throws -> [Element] {
        var elements: [Element] = []
        while let element = try next() { elements.append(element) }
        return elements
    }
}
