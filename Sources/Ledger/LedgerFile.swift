// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import GRDB
internal import Glibc
internal import JobModel

/// Making, opening and upgrading the database file. Everything that reads or writes it goes through SQLite:
/// one open and close by hand would drop the locks SQLite holds on it in this process.
enum LedgerFile {
    /// Opens the ledger at `path`, making it when there is none, and brings its schema up to this program's.
    static func open(
        path: String, durability: LedgerDurability, programVersion: String, steps: [LedgerStep]
    ) throws -> DatabaseQueue {
        // Left by a start that died while it made the ledger. A name, never a second ledger: see `create`.
        for name in [".new", ".new-journal"] { _ = unsafe unlink(path + name) }
        if unsafe access(path, F_OK) != 0 && errno == ENOENT {
            try create(path: path, programVersion: programVersion, steps: steps)
        } else if try size(of: path) == 0 {
            // SQLite would take it for a new database and forget every job without a word.
            throw LedgerError(.corrupt, file: path, message: "the file is empty; a ledger never is")
        }
        try restrict(path)
        let queue = try DatabaseQueue(path: path, configuration: configuration(readonly: false))
        try queue.writeWithoutTransaction { db in
            let found = try version(db, path: path)
            guard found <= steps.count else {
                throw LedgerError(
                    .newerSchema, file: path,
                    message: "schema version \(found) is newer than this program's (\(steps.count)); "
                        + "install the newer program, or put a copy of the old ledger back")
            }
            try tune(db, durability: durability)
            if found < steps.count {
                try copy(db, path: path, version: found)
                try pack(db)
                try migrate(db, from: found, programVersion: programVersion, steps: steps)
            } else {
                try refreshViews(db, programVersion: programVersion)
            }
        }
        return queue
    }

    /// How long a lock from outside is waited for.
    static let busyMilliseconds = 5000

    static func configuration(readonly: Bool) -> Configuration {
        SQLiteSettings.apply()
        var configuration = Configuration()
        configuration.label = readonly ? "dld.ledger.read" : "dld.ledger"
        configuration.readonly = readonly
        // No foreign keys: rows are written in millions, and the audit checks what they would.
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(Double(busyMilliseconds) / 1000)
        return configuration
    }

    /// Per-connection settings. WAL is set here and not through GRDB, which would write before the version is
    /// known and lower `synchronous` to NORMAL: that loses commits at a power cut.
    private static func tune(_ db: Database, durability: LedgerDurability) throws {
        guard try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL") == "wal" else {
            throw LedgerError(
                .cannotOpen, file: "",
                message: "the file system of the ledger does not carry SQLite's WAL mode")
        }
        try db.execute(sql: "PRAGMA synchronous = \(durability == .full ? "FULL" : "OFF")")
        // 3.5 MiB, whatever the page size: the ends of the indexes of a thousand lanes at once.
        try db.execute(sql: "PRAGMA cache_size = -3584")
        try db.execute(sql: "PRAGMA mmap_size = 0")
        try db.execute(sql: "PRAGMA temp_store = MEMORY")
        _ = try Int64.fetchOne(db, sql: "PRAGMA journal_size_limit = \(LogBound.idleBytes)")
        // 16 MiB of pages between automatic checkpoints: pages hit again and again are written home once.
        _ = try Int64.fetchOne(db, sql: "PRAGMA wal_autocheckpoint = 4096")
    }

    /// Makes the whole ledger under another name and links it into place: ledger.db is there whole or not at
    /// all.
    private static func create(path: String, programVersion: String, steps: [LedgerStep]) throws {
        let fresh = path + ".new"
        do { try make(at: fresh, programVersion: programVersion, steps: steps).close() }
        guard unsafe link(fresh, path) == 0 || errno == EEXIST else {
            throw LedgerError(
                .cannotOpen, file: path, message: "link: \(unsafe String(cString: strerror(errno)))")
        }
        _ = unsafe unlink(fresh)
        syncDirectory(of: path)
    }

    /// A new ledger at a path where nothing lies, open and not yet in WAL mode: closed, it is one whole file.
    static func make(at path: String, programVersion: String, steps: [LedgerStep]) throws -> DatabaseQueue {
        let queue = try DatabaseQueue(path: path, configuration: configuration(readonly: false))
        try restrict(path)
        try queue.writeWithoutTransaction { db in
            // Before the first table. Pages that lists leave are given back a few at a time: see `FilePacking`.
            try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            try db.execute(sql: "PRAGMA application_id = \(LedgerSchema.applicationID)")
            try migrate(db, from: 0, programVersion: programVersion, steps: steps)
        }
        return queue
    }

    private static func version(_ db: Database, path: String) throws -> Int {
        // The first read of the file: a wrong header or a torn page shows here.
        let application = try Int64.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        guard application == LedgerSchema.applicationID else {
            throw LedgerError(
                .corrupt, file: path, message: "this SQLite file is no ledger (application_id \(application))"
            )
        }
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version >= 1 else {
            throw LedgerError(.corrupt, file: path, message: "the ledger has no schema version")
        }
        return version
    }

    /// `ledger.db.vN`: the ledger as version N left it, made through SQLite so that what lies in the WAL is
    /// in it.
    private static func copy(_ db: Database, path: String, version: Int) throws {
        let target = "\(path).v\(version)"
        // One left by a start that died in the middle may be cut short; the ledger itself is still of that
        // version.
        _ = unsafe unlink(target)
        let descriptor = unsafe Glibc.open(target, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw LedgerError(
                .cannotOpen, file: target, message: "open: \(unsafe String(cString: strerror(errno)))")
        }
        _ = Glibc.close(descriptor)
        // VACUUM INTO takes an empty file as it is, with its mode.
        try db.execute(sql: "VACUUM INTO ?", arguments: [target])
        syncDirectory(of: path)
    }

    /// A ledger of before: only a VACUUM lets it give pages back, and an upgrade has copied it anyway.
    private static func pack(_ db: Database) throws {
        guard try Int.fetchOne(db, sql: "PRAGMA auto_vacuum") == 0 else { return }
        try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
        try db.execute(sql: "VACUUM")
    }

    /// Each step in a transaction of its own, the version with it: a crash leaves one version or the next.
    private static func migrate(_ db: Database, from: Int, programVersion: String, steps: [LedgerStep]) throws
    {
        for (index, step) in steps.enumerated().dropFirst(from) {
            try db.inTransaction(.immediate) {
                // Views stand on tables that the step may change.
                for view in LedgerViews.names { try db.execute(sql: "DROP VIEW IF EXISTS \(view)") }
                try step(db)
                try LedgerViews.install(db)
                try note(db, programVersion: programVersion)
                try db.execute(sql: "PRAGMA user_version = \(index + 1)")
                return .commit
            }
        }
    }

    /// The views follow the program, not the schema.
    private static func refreshViews(_ db: Database, programVersion: String) throws {
        let writer = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'program'")
        guard writer != programVersion else { return }
        try db.inTransaction(.immediate) {
            try LedgerViews.install(db)
            try note(db, programVersion: programVersion)
            return .commit
        }
    }

    private static func note(_ db: Database, programVersion: String) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO meta (key, value) VALUES ('program', ?)", arguments: [programVersion]
        )
    }

    private static func size(of path: String) throws -> Int64 {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw LedgerError(
                .cannotOpen, file: path, message: "stat: \(unsafe String(cString: strerror(errno)))")
        }
        return Int64(status.st_size)
    }

    /// 0600: passwords of URLs are in it. SQLite gives -wal and -shm the mode of the database.
    private static func restrict(_ path: String) throws {
        guard unsafe chmod(path, 0o600) == 0 || errno == EPERM || errno == EROFS else {
            throw LedgerError(
                .cannotOpen, file: path, message: "chmod: \(unsafe String(cString: strerror(errno)))")
        }
    }

    /// Best effort: a directory that cannot be synced is one of a file system that has no such thing.
    private static func syncDirectory(of path: String) {
        let cut = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let directory = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = unsafe Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = fsync(descriptor)
        _ = Glibc.close(descriptor)
    }
}

/// One migration: from the version before it to its own, which is its place in the list from 1.
typealias LedgerStep = @Sendable (Database) throws -> Void

extension LedgerFile {
    static let steps: [LedgerStep] = [makeVersion1, makeVersion2, makeVersion3]

    @Sendable private static func makeVersion1(_ db: Database) throws {
        for statement in LedgerSchema.version1 { try db.execute(sql: statement) }
        try db.execute(sql: "INSERT INTO total (id, next_seq) VALUES (1, 1)")
        // The lane of sums and bad lines has no host; its row has a number of its own like the others.
        try db.execute(sql: "INSERT INTO host (id, name) VALUES (0, '')")
        var generator = SystemRandomNumberGenerator()
        for key in ["identity", "job_key"] {
            let number = UInt64.random(in: 1...UInt64.max, using: &generator)
            let hex = String(number, radix: 16)
            try db.execute(
                sql: "INSERT INTO meta (key, value) VALUES (?, ?)",
                arguments: [key, String(repeating: "0", count: 16 - hex.utf8.count) + hex])
        }
    }
    @Sendable private static func makeVersion2(_ db: Database) throws {
        for statement in LedgerSchema.version2 { try db.execute(sql: statement) }
    }
    @Sendable private static func makeVersion3(_ db: Database) throws {
        for statement in LedgerSchema.version3 { try db.execute(sql: statement) }
    }
}
