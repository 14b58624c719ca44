// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Gives a group of parts their final names, then makes the names durable: each directory touched is fsynced
/// once, new ones in their parents too, and only then are the jobs reported. In two steps, so that one syncfs can
/// make these directories and the next group's data durable.
///
/// Each step may be repeated: a file that has its final name already is found by its inode.
struct PartRename {
    let settings: PublishSettings
    let heartbeat: Heartbeat

    private enum Result {
        case renamed
        case taken
    }

    /// Renamed, and not durable yet.
    struct Renaming {
        fileprivate(set) var events: [PublishEvent] = []
        fileprivate var items: [PublishItem] = []
        /// What each item needs synced, and all of it.
        fileprivate var needs: [[FilePath]] = []
        fileprivate(set) var directories: Set<FilePath> = []
        fileprivate var unsynced: Set<[UInt8]> = []
    }

    mutating func begin(_ items: [PublishItem], in place: PublishPlace) -> Renaming {
        // What others moved away since the last group must not be written to through an old descriptor.
        place.output.forgetDirectories()
        var renaming = Renaming()
        for item in items {
            heartbeat.mark()
            do throws(SystemError) {
                switch try rename(item, in: place) {
                case .success(.renamed):
                    renaming.items.append(item)
                    if let event = try sidecar(of: item, in: place) { renaming.events.append(event) }
                case .success(.taken): renaming.events.append(.nameTaken(item.seq))
                case .failure(let error):
                    renaming.events.append(.renameFailed(item.seq, PublishTrouble(error)))
                }
            } catch {
                let obstacle = place.obstacle(to: item.path)
                let fault = PublishFault.error(error, path: item.path, obstacle: obstacle)
                renaming.events.append(
                    .renameFailed(item.seq, PublishTrouble(fault, systemCode: error.code.rawValue)))
            }
        }
        noteDirectories(&renaming)
        return renaming
    }

    /// - Parameter isOutputSynced: the output's file system has been synced since `begin`.
    func finish(_ renaming: Renaming, in place: PublishPlace, isOutputSynced: Bool) -> [PublishEvent] {
        var events = renaming.events
        let faults = syncDirectories(of: renaming, in: place, isOutputSynced)
        var durable: [JobSeq] = []
        for (item, fault) in zip(renaming.items, faults) {
            if let fault { events.append(.renameFailed(item.seq, fault)) } else { durable.append(item.seq) }
        }
        if !durable.isEmpty { events.append(.renamed(durable)) }
        return events
    }

    /// Beside the file's name, and before the fsync of the directory they share.
    private mutating func sidecar(
        of item: PublishItem, in place: PublishPlace
    ) throws(SystemError) -> PublishEvent? {
        guard item.mark == .sidecar, item.digest != nil else { return nil }
        let folder = try directory(FilePath(item.path.description).removingLastComponent(), in: place)
        return DigestMarking(settings: settings).writeSidecar(of: item, in: folder, of: place)
    }

    private mutating func rename(
        _ item: PublishItem, in place: PublishPlace
    ) throws(SystemError) -> Swift.Result<Result, JobError> {
        let path = FilePath(item.path.description)
        let name = FilePath(item.path.lastComponent)
        let shown = place.partPath(item)
        guard let part = try place.part(item) else {
            // A repeat of one that went through, or a loss.
            if let final = try place.output.status(of: path), place.isOurs(final, item) {
                return .success(.renamed)
            }
            return .failure(PublishFault.missingPart(shown))
        }
        guard place.isOurs(part, item) else { return .failure(PublishFault.foreignPart(shown)) }
        let folder = try directory(path.removingLastComponent(), in: place)
        let from = try place.parts(item.home).descriptor
        let old = FilePath(item.partName)
        do throws(SystemError) {
            heartbeat.enter("rename")
            defer { heartbeat.leave() }
            if item.replaces {
                try renameReplace(old, in: from, to: name, in: folder)
            } else {
                try renameNoReplace(old, in: from, to: name, in: folder)
            }
            return .success(.renamed)
        } catch {
            switch error.code {
            case .fileExists where !item.replaces:
                return .success(try settleTaken(item, name, in: folder, of: place) ? .renamed : .taken)
            default:
                throw Self.named(error, item, in: place)
            }
        }
    }

    /// The calls take names relative to open directories; people get the whole paths.
    private static func named(
        _ error: SystemError, _ item: PublishItem, in place: PublishPlace
    ) -> SystemError {
        let final = place.output.fullPath(FilePath(item.path.description))
        return SystemError(error.code, error.operation, "\(place.partPath(item)) -> \(final)")
    }

    /// The name is taken: by our own file if a crash fell between link and unlink. Then the part's name goes.
    private func settleTaken(
        _ item: PublishItem, _ name: FilePath, in folder: Int32, of place: PublishPlace
    ) throws(SystemError) -> Bool {
        guard let found = try FileStatus.of(name, in: folder), place.isOurs(found, item) else { return false }
        try unlink(FilePath(item.partName), in: try place.parts(item.home).descriptor)
        return true
    }

    /// The directory a file goes into, made where it is missing.
    private func directory(_ path: FilePath, in place: PublishPlace) throws(SystemError) -> Int32 {
        do throws(SystemError) {
            return try place.output.directory(path)
        } catch {
            guard error.code == .noSuchFileOrDirectory else { throw error }
        }
        var missing: [[UInt8]] = []
        for prefix in Self.prefixes(of: path) where try place.output.status(of: prefix) == nil {
            missing.append(Array(prefix.string.utf8))
        }
        settings.unsynced.insert(missing)
        var created: [FilePath] = []
        let mode = FilePermissions(rawValue: CInterop.Mode(settings.dirMode & 0o7777))
        return try place.output.directory(path, creating: mode, created: &created)
    }

    /// `a`, `a/b`, `a/b/c` of `a/b/c`.
    private static func prefixes(of path: FilePath) -> [FilePath] {
        var prefixes: [FilePath] = []
        var walked = FilePath()
        for component in path.components {
            walked.append(component)
            prefixes.append(walked)
        }
        return prefixes
    }
}

extension PartRename {
    /// Which directories the renames have touched: the same few for many files, so each is worked out once.
    private func noteDirectories(_ renaming: inout Renaming) {
        var known: [FilePath: [FilePath]] = [:]
        for item in renaming.items {
            let folder = FilePath(item.path.description).removingLastComponent()
            if let needs = known[folder] {
                renaming.needs.append(needs)
                continue
            }
            let fresh = settings.unsynced.pending(
                among: Self.prefixes(of: folder).map { Array($0.string.utf8) })
            renaming.unsynced.formUnion(fresh)
            // A new directory's name lies in its parent.
            let parents = fresh.map { FilePath(String(decoding: $0, as: UTF8.self)).removingLastComponent() }
            let needs = [folder] + parents
            known[folder] = needs
            renaming.needs.append(needs)
            renaming.directories.formUnion(needs)
        }
    }

    /// fsyncs what the renames touched. Answers for each item the error that keeps it from being durable, or
    /// nil.
    private func syncDirectories(
        of renaming: Renaming, in place: PublishPlace, _ isOutputSynced: Bool
    ) -> [PublishTrouble?] {
        let failed =
            settings.durability == .none
            ? [:] : sync(renaming.directories, in: place, isOutputSynced: isOutputSynced)
        settings.unsynced.remove(
            renaming.unsynced.filter { path in
                failed[FilePath(String(decoding: path, as: UTF8.self)).removingLastComponent()] == nil
            })
        return renaming.needs.map { paths in paths.lazy.compactMap { failed[$0] }.first }
    }

    /// - Returns: the directories whose fsync failed.
    private func sync(
        _ paths: Set<FilePath>, in place: PublishPlace, isOutputSynced: Bool
    ) -> [FilePath: PublishTrouble] {
        guard !paths.isEmpty else { return [:] }
        heartbeat.enter("fsync of directories")
        defer { heartbeat.leave() }
        if isOutputSynced { return syncEach(elsewhere(paths, in: place), in: place) }
        if paths.count >= max(8, settings.syncThreshold) {
            do throws(SystemError) {
                try syncFileSystem(of: place.output.descriptor, settings.outputDirectory)
                return syncEach(elsewhere(paths, in: place), in: place)
            } catch {
                // Which one failed, each fsync tells.
            }
        }
        return syncEach(paths, in: place)
    }

    /// One call is for one file system: what lies on another mount below the output is synced by itself.
    private func elsewhere(_ paths: Set<FilePath>, in place: PublishPlace) -> Set<FilePath> {
        paths.filter { isOnOtherMount($0, in: place) }
    }

    private func syncEach(_ paths: Set<FilePath>, in place: PublishPlace) -> [FilePath: PublishTrouble] {
        var failed: [FilePath: PublishTrouble] = [:]
        // Outermost first: a name counts only under names that count.
        for path in paths.sorted(by: { $0.components.count < $1.components.count }) {
            do throws(SystemError) {
                try place.output.synchronize(path)
            } catch {
                failed[path] = PublishTrouble(error)
            }
        }
        return failed
    }

    private func isOnOtherMount(_ path: FilePath, in place: PublishPlace) -> Bool {
        do throws(SystemError) {
            return try place.output.status(of: path)?.device != place.output.device
        } catch {
            return true
        }
    }
}
