// SPDX-License-Identifier: Apache-2.0

internal import GRDB

/// Why the ledger could not do what was asked. Nothing of the group it happened in has been kept.
public struct LedgerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the daemon has to do about it.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// Another program held the database longer than the busy timeout (SQLITE_BUSY, SQLITE_LOCKED): try
        /// again.
        case busy
        /// SQLITE_FULL: no space; try again when there is some.
        case diskFull
        /// SQLITE_READONLY: the file, its directory or the mount cannot be written; try again later.
        case readOnly
        /// SQLITE_IOERR: the disk failed under SQLite; try again later.
        case io
        /// SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH: the file cannot be opened or made.
        case cannotOpen
        /// SQLITE_CORRUPT, SQLITE_NOTADB, or a database that is not a ledger: stop, the file must be mended.
        case corrupt
        /// Written by a later version of the program: refuse to start.
        case newerSchema
        /// Anything else is our own bug: a constraint, a misuse, wrong SQL.
        case bug
    }
    /// What went wrong, as far as the caller must tell it apart.
    public let code: Code
    /// Path of the database file.
    public let file: String
    /// One line for people: what SQLite said, with its result code; never the values of a statement.
    public let message: String

    /// For the module's own findings; SQLite's are mapped.
    public init(_ code: Code, file: String, message: String) {
        self.code = code
        self.file = file
        self.message = message
    }

    /// Whether the same group may succeed later without anybody mending the file.
    public var isTransient: Bool {
        switch code {
        case .busy, .diskFull, .readOnly, .io: true
        case .cannotOpen, .corrupt, .newerSchema, .bug: false
        }
    }
    /// As the log shows it.
    public var description: String { "ledger \(file): \(message)" }
}

extension LedgerError {
    /// Maps what GRDB throws by SQLite's primary result code (https://www.sqlite.org/rescode.html).
    init(_ error: any Error, file: String) {
        if let own = error as? LedgerError {
            self = own
            return
        }
        guard let error = error as? DatabaseError else {
            self.init(.bug, file: file, message: String(describing: error))
            return
        }
        let code: Code =
            switch error.resultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED: .busy
            case .SQLITE_FULL: .diskFull
            case .SQLITE_READONLY: .readOnly
            case .SQLITE_IOERR, .SQLITE_NOMEM: .io
            case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH: .cannotOpen
            case .SQLITE_CORRUPT, .SQLITE_NOTADB: .corrupt
            default: .bug
            }
        let text = error.message ?? "unknown error"
        let statement = code == .bug ? error.sql.map { ", while executing: \($0)" } ?? "" : ""
        self.init(
            code, file: file,
            message: "\(text) (SQLite result code \(error.extendedResultCode.rawValue))\(statement)")
    }
}
