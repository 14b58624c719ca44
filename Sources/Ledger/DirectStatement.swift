// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import GRDBSQLite
internal import JobModel

/// One row being read. Every column is read as optional: a damaged file gives an odd value, never a trap.
protocol ColumnReading {
    func optionalNumber(_ index: Int) -> Int64?
    func text(_ index: Int) -> String?
}

extension ColumnReading {
    /// NULL is 0.
    func number(_ index: Int) -> Int64 { optionalNumber(index) ?? 0 }
    func time(_ index: Int) -> WallTime? { optionalNumber(index).map { WallTime(milliseconds: $0) } }
}

extension Row: ColumnReading {
    func optionalNumber(_ index: Int) -> Int64? { self[index] as Int64? }
    func text(_ index: Int) -> String? { self[index] as String? }
}

/// A statement that runs for every job, driven by SQLite's own calls: GRDB's arguments and rows cost several times
/// what SQLite needs for such a statement itself. GRDB prepares it, and its connection ends its life.
///
/// Parameters are bound in order: `bind(1).bind("x").run()`. Errors are thrown as GRDB throws them. Confined to the
/// connection's thread, inside its accesses.
@safe final class DirectStatement {
    private let statement: Statement
    private let pointer: OpaquePointer
    private let connection: OpaquePointer
    /// Parameters bound since the last run.
    private var bound: Int32 = 0

    init(_ db: Database, _ sql: String) throws {
        statement = try db.makeStatement(sql: sql)
        unsafe pointer = statement.sqliteStatement
        guard let open = unsafe db.sqliteConnection else {
            throw DatabaseError(resultCode: .SQLITE_MISUSE, message: "the connection is closed")
        }
        unsafe connection = open
    }

    @discardableResult
    func bind(_ number: Int64?) -> DirectStatement {
        bound += 1
        if let number {
            unsafe sqlite3_bind_int64(pointer, bound, number)
        } else {
            unsafe sqlite3_bind_null(pointer, bound)
        }
        return self
    }

    @discardableResult
    func bind(_ number: Int) -> DirectStatement { bind(Int64(number)) }

    @discardableResult
    func bind(_ text: String?) -> DirectStatement {
        bound += 1
        guard var text else {
            unsafe sqlite3_bind_null(pointer, bound)
            return self
        }
        // SQLite copies it: it must outlive this call only.
        text.withUTF8 { bytes in
            _ = unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                unsafe sqlite3_bind_text64(
                    pointer, bound, characters.baseAddress ?? Self.nothing, UInt64(characters.count),
                    Self.copied, UInt8(SQLITE_UTF8))
            }
        }
        return self
    }

    /// A blob; at least one byte.
    @discardableResult
    func bind(bytes: [UInt8]) -> DirectStatement {
        bound += 1
        // SQLite copies it: it must outlive this call only.
        unsafe bytes.withUnsafeBytes {
            _ = unsafe sqlite3_bind_blob64(pointer, bound, $0.baseAddress, UInt64($0.count), Self.copied)
        }
        return self
    }

    /// For a statement that gives no rows. Ready for its next use whatever happens.
    func run() throws {
        defer { reset() }
        while try step() {}
    }

    /// How many rows the last `INSERT`, `UPDATE` or `DELETE` of this connection has touched.
    var changes: Int { Int(unsafe sqlite3_changes(connection)) }

    /// What is made of each row; nil leaves it out.
    func rows<T>(_ make: (borrowing DirectStatement) -> T?) throws -> [T] {
        defer { reset() }
        var made: [T] = []
        while try step() {
            if let one = make(self) { made.append(one) }
        }
        return made
    }

    /// What is made of the first row; nil without one.
    func first<T>(_ make: (borrowing DirectStatement) -> T?) throws -> T? {
        defer { reset() }
        return try step() ? make(self) : nil
    }

    private func step() throws -> Bool {
        let code = unsafe sqlite3_step(pointer)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default:
            throw DatabaseError(
                resultCode: ResultCode(rawValue: code),
                message: unsafe String(cString: sqlite3_errmsg(connection)), sql: statement.sql)
        }
    }

    private func reset() {
        bound = 0
        _ = unsafe sqlite3_reset(pointer)
    }

    /// SQLITE_TRANSIENT, a cast that Swift does not import.
    private static var copied: sqlite3_destructor_type {
        unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    }
    /// The address of an empty text: a null pointer would bind NULL.
    private static var nothing: UnsafePointer<CChar> {
        unsafe UnsafePointer(bitPattern: MemoryLayout<Int>.alignment)!
    }
}

extension DirectStatement: ColumnReading {
    func optionalNumber(_ index: Int) -> Int64? {
        let column = Int32(index)
        guard unsafe sqlite3_column_type(pointer, column) != SQLITE_NULL else { return nil }
        return unsafe sqlite3_column_int64(pointer, column)
    }

    func text(_ index: Int) -> String? {
        let column = Int32(index)
        guard let bytes = unsafe sqlite3_column_text(pointer, column) else { return nil }
        let count = Int(unsafe sqlite3_column_bytes(pointer, column))
        return unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
}
