// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Ledger
import LinuxKit
import Publish
import SystemPackage

/// The ledger at a start: opened, recovered and read by the main thread, then closed; the ledger thread opens it anew
/// for itself. Everything the threads must know of the past is here as plain values.
struct OpenedLedger: Sendable {
    let path: String
    let durability: LedgerDurability
    let cipher: JobIDCipher
    let nextSeq: JobSeq
    let place: OutputPlace
    let lists: [ListRow]
    let publishes: [InterruptedPublish]
    /// The last run died by itself.
    let isAfterCrash: Bool
    /// Jobs that have failed for that, at this start.
    let quarantined: Int
    /// The most crashes that a job which goes on has to its name.
    let mostCrashes: Int
    /// Hosts that no range is asked of.
    let rangeLiars: [HostKey]
    /// Also hosts that no list names.
    let heldHosts: [HeldHost]
    let mounts: MountTable
    /// Mounts that hold files of ours and are not there.
    let missingHomes: [PartHome]
    /// Why the output may not be written to yet, if so.
    let missingOutput: String?

    init(_ plan: EnginePlan) throws(StartError) {
        let configuration = plan.configuration
        path = configuration.stateDir + "/ledger.db"
        durability = configuration.durability == .full ? .full : .none
        let now = WallTime(milliseconds: WallClock.milliseconds())
        do {
            let store = try LedgerStore.open(path: path, durability: durability, programVersion: plan.version)
            cipher = store.cipher
            place = OutputPlace(
                root: configuration.outputDir, identity: store.identity, claims: plan.claimsOutput)
            let isNew = try store.totals().total == 0
            missingOutput = try Self.preparing(place, isNew: isNew, dirMode: configuration.output.dirMode)
            let last = try LastRun(store, state: configuration.stateDir, counts: plan.claimsOutput)
            isAfterCrash = last.isCrash
            let recovery = try store.group { () throws(LedgerError) in
                try store.noteRun(ProcessFacts.bootID)
                return try store.recover(now: now, isCrash: last.isCrash)
            }
            quarantined = recovery.quarantined
            mostCrashes = recovery.mostCrashes
            (mounts, missingHomes) = try Self.homes(of: place, missing: missingOutput)
            publishes =
                missingOutput != nil || recovery.publishes.isEmpty
                ? recovery.publishes
                : try Self.goOn(recovery.publishes, place, mounts, missingHomes, store, now)
            if missingOutput == nil {
                for home in [.output] + mounts.homes where !missingHomes.contains(home) {
                    let parts = home.parts(output: place.root, main: place.parts)
                    try PartSweep.run(in: parts, store)
                }
            }
            rangeLiars = try store.hostsLyingAboutRanges(limit: RangeMemory.limit)
            heldHosts = try store.heldHosts(now: now, limit: DispatchLoop.maxHosts)
            lists = try store.openLists()
            nextSeq = store.nextSeq
            try store.close()
        } catch let error as LedgerError {
            throw Self.startError(error)
        } catch let error as StartError {
            throw error
        } catch {
            throw StartError(ExitStatus.io, "\(error)")
        }
    }

    private static func preparing(
        _ place: OutputPlace, isNew: Bool, dirMode: UInt32
    ) throws(StartError) -> String? {
        do {
            try Places.tryAccess(place.root)
            let missing = try place.prepare(isNew: isNew, dirMode: dirMode)
            if missing == nil { try Places.tryWriting(place.parts) }
            return missing
        } catch let error as StartError {
            throw error
        } catch let error as SystemError {
            throw Places.unusable(place.root, error)
        } catch {
            throw StartError(ExitStatus.io, "\(place.root): \(error)")
        }
    }

    private static func homes(
        of place: OutputPlace, missing: String?
    ) throws -> (mounts: MountTable, missing: [PartHome]) {
        guard missing == nil else { return (MountTable(), []) }
        let known = try MountMemory.read(place)
        let found = try MountMemory.table(place, known: known)
        return (found.table, known.filter { !found.mounted.contains($0) })
    }

    /// Those whose file is found go on to their rename; the others start over. Those whose disk is not there wait.
    private static func goOn(
        _ publishes: [InterruptedPublish], _ place: OutputPlace, _ mounts: MountTable, _ missing: [PartHome],
        _ store: LedgerStore, _ now: WallTime
    ) throws -> [InterruptedPublish] {
        let settings = PublishSettings(outputDirectory: place.root, partsDirectory: place.parts)
        var found = publishes.filter { missing.contains(mounts.home(of: $0.path)) }
        let there = publishes.filter { !missing.contains(mounts.home(of: $0.path)) }
        let items = there.map { publish in
            PublishItem(
                seq: publish.job.seq, partName: publish.part, device: publish.device,
                inode: publish.inode, size: publish.size, path: publish.path, replaces: false,
                home: mounts.home(of: publish.path))
        }
        var lost: [JobChange] = []
        for (publish, check) in zip(there, try InterruptedPublishCheck.of(items, settings: settings)) {
            switch check {
            case .renamedAlready, .partStillThere: found.append(publish)
            case .neither:
                let attempts = max(0, publish.job.attempts - 1)
                lost.append(
                    .requeued(
                        publish.job.seq, attempts: attempts, fetchedBytes: publish.job.fetchedBytes,
                        waited: publish.job.waited, resume: nil))
            }
        }
        if !lost.isEmpty {
            let changes = lost
            _ = try store.group { () throws(LedgerError) in try store.apply(changes, now: now) }
        }
        return found
    }

    /// The way out of a damaged ledger. Finished files and results of ended lists are whole without it.
    static func mending(config: String? = nil) -> String {
        let option = config.map { " --config \($0)" } ?? ""
        return "Mend it, with dld stopped, by: dld fsck --repair\(option)   (or put a backup in its place)"
    }

    static func startError(_ error: LedgerError) -> StartError {
        switch error.code {
        case .corrupt: StartError(ExitStatus.dataError, "\(error)", remedy: mending())
        case .newerSchema: StartError(ExitStatus.config, "\(error)")
        case .busy: StartError(ExitStatus.held, "\(error)")
        case .diskFull, .readOnly, .io, .cannotOpen, .bug: StartError(ExitStatus.io, "\(error)")
        }
    }
}

/// The lock on this ledger's parts directory.
struct PartsLock: ~Copyable {
    private let lock: FileLock?

    /// - Parameter missing: the output is not there; nothing is locked, and nothing will be written.
    init(_ place: OutputPlace, missing: String?) throws(StartError) {
        guard missing == nil else {
            lock = nil
            return
        }
        do { lock = try FileLock(directory: FilePath(place.parts)) } catch {
            guard error.isWouldBlock else { throw Places.unusable(place.parts, error) }
            throw StartError(ExitStatus.held, "\(place.parts) is in use by another dld")
        }
    }
}
