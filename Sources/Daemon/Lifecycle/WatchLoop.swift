// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Runs on: `dld-watch`.
/// Owns: the questions to file systems that may block for long on a sick disk; the locks on parts directories of
/// mounts below the output.
/// Receives: homes that are to be prepared; a stop.
/// Sends: `DiskReport` to the dispatcher, when something has changed.
///
/// A thread of its own so that a dead NFS server blocks this and nothing else.
struct WatchLoop: ~Copyable {
    struct Places: Sendable {
        var output: OutputPlace
        var spool: String
        var state: String
        var dirMode: UInt32
    }
    /// Locks of directories, held for as long as those are there. A dictionary cannot hold what is not copyable.
    private final class HeldLock {
        private let lock: FileLock
        init(_ lock: consuming FileLock) { self.lock = lock }
    }

    private let places: Places
    private let bell: Doorbell
    private let inbox: Mailbox<PartHome>
    private let isStopping: @Sendable () -> Bool
    private let report: @Sendable (DiskReport) -> Void
    private var last = DiskReport()
    private var missingOutput: String?
    /// Homes with parts of ours, mounted or not, as written in `OUTPUT/.dld/mounts`.
    private var known: Set<PartHome>?
    private var locks: [PartHome: HeldLock] = [:]
    private var rounds = 0

    static let interval = Duration.seconds(2)
    /// Who owns a directory is asked every fifth round.
    static let ownerRounds = 5
    /// Free space moves all the time: so much of a move is told, in bytes.
    static let step: Int64 = 16 << 20

    /// - Parameter missing: why the output is not there; then its lock is still to be taken.
    init(
        places: Places, missing: String?, bell: Doorbell, inbox: Mailbox<PartHome>,
        isStopping: @escaping @Sendable () -> Bool, report: @escaping @Sendable (DiskReport) -> Void
    ) {
        self.places = places
        missingOutput = missing
        self.bell = bell
        self.inbox = inbox
        self.isStopping = isStopping
        self.report = report
    }

    mutating func run() {
        let needsOutputLock = missingOutput != nil
        while !isStopping() {
            let wanted = inbox.drain()
            let fresh = look(wanted: Set(wanted.filter { !$0.isOutput }), needsOutputLock: needsOutputLock)
            if !wanted.isEmpty || fresh.hasMoved(since: last) {
                last = fresh
                report(fresh)
            }
            rounds += 1
            _ = bell.wait(atMost: Self.interval)
        }
    }

    private mutating func look(wanted: Set<PartHome>, needsOutputLock: Bool) -> DiskReport {
        var fresh = DiskReport()
        let output = lookAtOutput(needsLock: needsOutputLock)
        fresh.places.append(output)
        if output.missing == nil {
            do throws(SystemError) {
                try lookAtHomes(wanted, into: &fresh)
            } catch {
                fresh.mounts = last.mounts
                fresh.places += last.places.filter { $0.role == .output && !$0.home.isOutput }
            }
        } else {
            fresh.mounts = last.mounts
        }
        fresh.places.append(reading(of: places.spool, .spool))
        fresh.places.append(reading(of: places.state, .state))
        return fresh
    }

    private mutating func lookAtOutput(needsLock: Bool) -> DiskReport.Place {
        let place = places.output
        do throws(SystemError) {
            if missingOutput != nil || rounds % Self.ownerRounds == 0 {
                missingOutput = try place.prepare(isNew: false, dirMode: places.dirMode)
                if missingOutput != nil { locks[.output] = nil }
                if missingOutput == nil, needsLock, locks[.output] == nil {
                    locks[.output] = HeldLock(try FileLock(directory: FilePath(place.parts)))
                }
            }
        } catch {
            missingOutput = "\(place.root): \(error)"
        }
        if let why = missingOutput {
            return DiskReport.Place(role: .output, path: place.root, missing: why)
        }
        // Between two looks at the owner: the directory of parts is there on the right disk only.
        var found = reading(of: place.parts, .output)
        found.path = place.root
        if found.missing != nil { missingOutput = found.missing }
        return found
    }

    /// Mounts that are wanted for the first time are claimed; those known from before must still be ours.
    private mutating func lookAtHomes(
        _ wanted: Set<PartHome>, into fresh: inout DiskReport
    ) throws(SystemError) {
        var known: Set<PartHome>
        if let read = self.known { known = read } else { known = try MountMemory.read(places.output) }
        let mounts = try MountMemory.table(places.output, known: known)
        fresh.mounts = mounts.table
        for home in known.union(wanted).sorted(by: { $0.path.lexicographicallyPrecedes($1.path) }) {
            let root = home.root(output: places.output.root)
            guard mounts.mounted.contains(home) else {
                locks[home] = nil
                if known.contains(home) {
                    fresh.places.append(
                        DiskReport.Place(
                            role: .output, home: home, path: root,
                            missing: "\(root) is not mounted, and files of dld belong there"))
                }
                continue
            }
            let sub = OutputPlace(root: root, identity: places.output.identity, claims: places.output.claims)
            fresh.places.append(look(at: home, sub, isNew: !known.contains(home)))
            if locks[home] != nil, known.insert(home).inserted { try MountMemory.write(known, places.output) }
        }
        self.known = known
    }

    private mutating func look(at home: PartHome, _ place: OutputPlace, isNew: Bool) -> DiskReport.Place {
        do throws(SystemError) {
            if locks[home] == nil || rounds % Self.ownerRounds == 0 {
                if let why = try place.prepare(isNew: isNew, dirMode: places.dirMode) {
                    locks[home] = nil
                    return DiskReport.Place(role: .output, home: home, path: place.root, missing: why)
                }
                if locks[home] == nil {
                    locks[home] = HeldLock(try FileLock(directory: FilePath(place.parts)))
                }
            }
        } catch {
            locks[home] = nil
            return DiskReport.Place(role: .output, home: home, path: place.root, missing: "\(error)")
        }
        var found = reading(of: place.parts, .output)
        found.home = home
        found.path = place.root
        return found
    }

    private func reading(of path: String, _ role: DiskReport.Role) -> DiskReport.Place {
        do throws(SystemError) {
            let folder = try Descriptor.openDirectory(FilePath(path))
            let space = try FileSystemSpace.of(descriptor: folder.rawValue, path)
            return DiskReport.Place(
                role: role, path: path, device: try folder.status(path).device,
                reading: DiskReading(
                    freeBytes: space.freeBytes, totalBytes: space.totalBytes, freeFiles: space.freeFiles,
                    totalFiles: space.totalFiles, isReadOnly: space.isReadOnly))
        } catch {
            return DiskReport.Place(role: role, path: path, missing: "\(error)")
        }
    }
}

/// What the watch thread found out about the file systems that dld writes to.
struct DiskReport: Sendable, Hashable {
    enum Role: String, Sendable { case output, spool, state }
    struct Place: Sendable, Hashable {
        var role: Role
        var home = PartHome.output
        var path: String
        var device: UInt64?
        var reading: DiskReading?
        /// Why it cannot be written to: not mounted, removed, another ledger's.
        var missing: String?
    }
    var mounts = MountTable()
    var places: [Place] = []

    func hasMoved(since old: DiskReport) -> Bool {
        guard mounts == old.mounts, places.count == old.places.count else { return true }
        return zip(places, old.places).contains { new, old in
            guard new.path == old.path, new.missing == old.missing, new.device == old.device,
                let now = new.reading, let before = old.reading
            else { return new != old }
            let step = max(1, min(now.totalBytes / 1000, WatchLoop.step))
            return abs(now.freeBytes - before.freeBytes) >= step || now.isReadOnly != before.isReadOnly
                || now.freeFiles.map { abs($0 - (before.freeFiles ?? 0)) > 8 } ?? false
        }
    }
}
