// SPDX-License-Identifier: Apache-2.0

import Config
import Glibc
import LinuxKit
import Spool
import SystemPackage

/// The directories of one engine: made, tried, locked. Main thread, before any other starts.
///
/// Locks are flocks held for life: on STATE/lock, on SPOOL, on the parts directory. A second dld on any of them ends
/// with 75 and the holder's pid, whichever way the first was started.
struct Places: ~Copyable {
    let spool: String
    let output: String
    let state: String
    private let stateLock: FileLock
    private let spoolLock: FileLock

    init(spool: String, output: String, state: String, version: String) throws(StartError) {
        try Self.make(state, mode: 0o700)
        let stateLock = try Self.lockState(state, version: version)
        do { try SpoolDirectories.create(at: spool) } catch { throw Self.unusable(spool, error) }
        let spoolLock = try Self.lockSpool(spool)
        for path in [state, spool] { try Self.tryWriting(path) }
        self.spool = spool
        self.output = output
        self.state = state
        self.stateLock = stateLock
        self.spoolLock = spoolLock
    }

    private static func lockState(_ state: String, version: String) throws(StartError) -> FileLock {
        let path = FilePath(state + "/lock")
        do {
            let lock = try FileLock(file: path)
            try lock.write(note: "pid \(ProcessFacts.pid) dld \(version)\n")
            return lock
        } catch {
            throw held(error, what: state, note: FileLock.note(in: path))
        }
    }

    private static func lockSpool(_ spool: String) throws(StartError) -> FileLock {
        do { return try FileLock(directory: FilePath(spool)) } catch {
            throw held(error, what: spool, note: "")
        }
    }

    static func make(_ path: String, mode: UInt32) throws(StartError) {
        do { try DirectoryMaking.make(FilePath(path), mode: mode) } catch { throw unusable(path, error) }
    }

    /// Makes and removes a file: the only test that a sandbox, a mount and a mode all agree to.
    static func tryWriting(_ path: String) throws(StartError) {
        let name = FilePath(path + "/.dld-write-test")
        do {
            _ = try unlink(name)
            let file = try Descriptor.open(
                name, .writeOnly, options: [.create, .exclusiveCreate, .noFollow],
                permissions: [.ownerReadWrite])
            try file.close(name.string)
            _ = try unlink(name)
        } catch {
            throw unusable(path, error)
        }
    }

    /// Asks without writing: the place may be another ledger's. What is not there at all is judged later.
    /// The corresponding C function is `access`.
    static func tryAccess(_ path: String) throws(StartError) {
        if unsafe access(path, W_OK) == 0 || errno == ENOENT { return }
        throw unusable(path, .last("write to", path))
    }

    private static func held(_ error: SystemError, what: String, note: String) -> StartError {
        guard error.isWouldBlock else { return unusable(what, error) }
        let holder = note.split(separator: "\n").first.map { " (\($0))" } ?? ""
        return StartError(
            ExitStatus.held, "\(what) is in use by another dld\(holder); hand it lists with: dlctl add FILE")
    }

    static func unusable(_ path: String, _ error: SystemError) -> StartError {
        StartError(
            ExitStatus.config,
            """
            \(path) cannot be used: \(error)
            Under systemd, allow it with: systemctl edit dld
              [Service]
              ReadWritePaths=\(path)
              RequiresMountsFor=\(path)
            and, where it lies below /home or /root:
              ProtectHome=no
            """)
    }
}

/// `OUTPUT/.dld`: which ledger owns the output, and the directory of this ledger's parts.
struct OutputPlace: Sendable {
    let root: String
    let identity: String
    /// `dld get` shares a directory with anybody: it keeps parts there but owns nothing.
    let claims: Bool

    var parts: String { "\(root)/.dld/\(identity)" }
    private var idPath: String { "\(root)/.dld/id" }

    /// What is wrong with the output, in words; nil when it may be written to. Makes what is missing only where that
    /// cannot be a disk that is not mounted: when the ledger has no jobs yet.
    /// - Parameter isNew: the ledger has never had a job, or somebody said to adopt the place.
    func prepare(isNew: Bool, dirMode: UInt32) throws(SystemError) -> String? {
        if let link = try linkOnTheWay() {
            return
                "\(link) is a symbolic link, and dld writes through none below its output: put a directory "
                + "or a bind mount there"
        }
        if claims {
            switch try owner() {
            case identity: break
            case nil where isNew:
                try claim(dirMode: dirMode)
            case nil:
                return "\(root) has no .dld/id though the ledger has jobs there: not mounted? "
                    + "If the files are there all the same: dld fsck --adopt"
            case let other?:
                return "\(root) belongs to another ledger (\(other)): not mounted, or the config changed? "
                    + "To take it over: dld fsck --adopt"
            }
        } else {
            try DirectoryMaking.make(FilePath(root), mode: dirMode)
            try DirectoryMaking.make(FilePath(root + "/.dld"), mode: 0o755)
        }
        try DirectoryMaking.make(FilePath(parts), mode: 0o700)
        return nil
    }

    /// Of the directories that dld keeps in the output the first that is a link; nil: none is.
    private func linkOnTheWay() throws(SystemError) -> String? {
        for path in [root + "/.dld", parts] where try FileStatus.of(FilePath(path))?.kind == .symbolicLink {
            return path
        }
        return nil
    }

    /// Makes the place this ledger's, whoever's it was.
    func claim(dirMode: UInt32) throws(SystemError) {
        try DirectoryMaking.make(FilePath(root), mode: dirMode)
        try DirectoryMaking.make(FilePath(root + "/.dld"), mode: 0o755)
        try SafeFileWriter.write(
            Array((identity + "\n").utf8), to: FilePath(idPath),
            permissions: [.ownerReadWrite, .groupRead, .otherRead])
    }

    /// The ledger named in `OUTPUT/.dld/id`; nil where there is none.
    func owner() throws(SystemError) -> String? {
        guard try FileStatus.of(FilePath(idPath)) != nil else { return nil }
        let file = try Descriptor.open(FilePath(idPath), .readOnly, options: [.noFollow, .nonBlocking])
        let bytes = try file.read(upTo: 64, idPath) ?? []
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
