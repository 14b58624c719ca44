// SPDX-License-Identifier: Apache-2.0

internal import CSQLite

/// What holds for SQLite in the whole process.
enum SQLiteSettings {
    /// SQLite counts its memory behind one lock for all connections, at each of some dozen allocations a statement; nobody
    /// asks for the number. Only before the first connection: later it is refused, and costs what it did.
    static func apply() { _ = applied }

    private static let applied = dld_sqlite_count_no_memory()
}
