// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// What `dld fsck` may do beyond looking.
public struct FsckOptions: Sendable {
    /// Mend what is dld's own.
    public var repair = false
    /// A published file that is gone or changed counts as wrong.
    public var strict = false
    /// Accept the output directory as this ledger's.
    public var adopt = false
    /// Queue what is gone or changed again, by a list in the spool.
    public var refetch = false
    /// Read every published file whose digest is known, and compare.
    public var digest = false
    public init() {}
}

/// `dld fsck`: compares spool, ledger, parts and output. One thread; no daemon runs beside it.
///
/// Opens the ledger as a start does (an older schema is upgraded after a copy), and holds the same locks. Memory is
/// the same whatever the ledger holds: tables are read in pages by their keys.
public enum FsckRun {
    /// - Parameter show: gets whole lines, the findings and a summary at last.
    /// - Returns: 0 nothing is wrong (any more); 1 something is; 65 the ledger is corrupt and `repair` was not
    ///   given; 75 a daemon holds a place; others as for all programs.
    public static func run(
        config path: String?, _ options: FsckOptions, version: String, show: @escaping (String) -> Void,
        complain: (String) -> Void
    ) -> Int32 {
        do {
            let configuration = try ConfigLoading.load(path).configuration
            try StateOwner.become(ownerOf: configuration.stateDir)
            let places = try FsckPlaces(configuration)
            var report = FsckReport(isStrict: options.strict, show: show)
            let opening = FsckLedger(
                configuration: configuration, options: options, version: version, configPath: path)
            guard let store = try opening.open(&report) else {
                report.summary()
                return report.isClean ? ExitStatus.fine : ExitStatus.failed
            }
            let context = FsckContext(configuration, options, store, report)
            try context.check()
            try store.close()
            context.report.summary()
            withExtendedLifetime(places) {}
            return context.report.isClean ? ExitStatus.fine : ExitStatus.failed
        } catch {
            let failure = startError(error)
            complain("dld: \(failure)\n")
            return failure.status
        }
    }

    private static func startError(_ error: any Error) -> StartError {
        if let error = error as? StartError { return error }
        if let error = error as? LedgerError { return OpenedLedger.startError(error) }
        return StartError(ExitStatus.io, "\(error)")
    }
}

/// The locks that a daemon holds too: whoever has one is the only one at work there.
final class FsckPlaces {
    private let state: FileLock
    private let spool: FileLock?

    init(_ configuration: Configuration) throws(StartError) {
        let path = FilePath(configuration.stateDir)
        do {
            guard try FileStatus.of(path, followingLinks: true) != nil else {
                throw StartError(
                    ExitStatus.config,
                    "\(configuration.stateDir): there is no state directory: dld has not run yet, "
                        + "or the config names another place")
            }
            state = try FileLock(file: path.appending("lock"))
            let folder = FilePath(configuration.spoolDir)
            let isThere = try FileStatus.of(folder, followingLinks: true) != nil
            spool = isThere ? try FileLock(directory: folder) : nil
        } catch let error as StartError {
            throw error
        } catch let error as SystemError where error.isWouldBlock {
            let note = FileLock.note(in: path.appending("lock")).split(separator: "\n").first ?? ""
            throw StartError(
                ExitStatus.held,
                "\(error.object) is in use by dld (\(note)): stop it first, systemctl stop dld")
        } catch {
            throw StartError(ExitStatus.io, "\(error)")
        }
    }
}

/// What all checks share.
final class FsckContext {
    let configuration: Configuration
    let options: FsckOptions
    let store: LedgerStore
    let place: OutputPlace
    var report: FsckReport
    var refetch: RefetchList
    /// Where parts and final paths lie, and which of those mounts are not there.
    private(set) var mounts = MountTable()
    private var missingHomes: Set<PartHome> = []

    init(_ configuration: Configuration, _ options: FsckOptions, _ store: LedgerStore, _ report: FsckReport) {
        self.configuration = configuration
        self.options = options
        self.store = store
        self.report = report
        place = OutputPlace(root: configuration.outputDir, identity: store.identity, claims: true)
        refetch = RefetchList(spool: configuration.spoolDir, keepsDigest: false)
    }

    var spool: String { configuration.spoolDir }

    func check() throws {
        let isOutputOurs = try OutputCheck(self).run()
        try ModeCheck(self).run(withOutput: isOutputOurs)
        try ListCheck(self).run()
        try LeftoverCheck(self).run(withOutput: isOutputOurs)
        guard isOutputOurs else { return }
        // A second dld of the same parts may be at work under another config.
        let parts = FilePath(place.parts)
        let isThere = try FileStatus.of(parts) != nil
        let lock: FileLock? = isThere ? try PartCheck.lock(parts) : nil
        try readMounts()
        try PartCheck(self).run()
        try QuarantineCheck(self).run()
        try FileCheck(self).run()
        let name = "fsck-refetch-\(WallClock.milliseconds()).jsonl"
        if try refetch.commit(as: name) {
            report.add(
                Finding(
                    weight: .note, object: "\(spool)/\(name)",
                    says: "\(refetch.count) files are queued again by this list", remedy: ""))
        }
        withExtendedLifetime(lock) {}
    }

    /// What lies on a disk that is not mounted is not gone: nothing is said of it, mended or fetched again.
    private func readMounts() throws {
        let known = try MountMemory.read(place)
        let found = try MountMemory.table(place, known: known)
        mounts = found.table
        missingHomes = known.subtracting(found.mounted)
        for home in missingHomes.sorted(by: { $0.path.lexicographicallyPrecedes($1.path) }) {
            report.add(
                Finding(
                    weight: .wrong, object: home.root(output: place.root),
                    says: "it is not mounted, and files of dld belong there; none of them was looked at",
                    remedy: "mount it"))
        }
    }

    /// The mount that a path lies on; nil where that is not there.
    func home(of path: OutputPath) -> PartHome? {
        let home = mounts.home(of: path)
        return missingHomes.contains(home) ? nil : home
    }

    /// Homes whose parts can be looked at.
    var homes: [PartHome] { ([.output] + mounts.homes).filter { !missingHomes.contains($0) } }

    /// Mends if that was asked for, and says so; else says which option would.
    func mend(
        _ object: String, _ says: String, weight: Finding.Weight = .wrong, done: String,
        _ action: () throws -> Void
    ) {
        guard options.repair else {
            report.add(
                Finding(weight: weight, object: object, says: says, remedy: "dld fsck --repair: \(done)"))
            return
        }
        do {
            try action()
            report.add(Finding(weight: weight, object: object, says: says, remedy: done, isMended: true))
        } catch {
            report.add(
                Finding(
                    weight: .wrong, object: object, says: says, remedy: "it could not be mended: \(error)"))
        }
    }
}
