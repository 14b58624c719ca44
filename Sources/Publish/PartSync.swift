// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Makes the data of a group of parts durable: one syncfs or an fsync each, as `SyncChoice` says.
///
/// **What is believed.** The kernel keeps a failed write-back as an error of the inode and, apart from it, of the
/// whole file system, and tells each once to every descriptor that was open when it happened (errseq_t). A
/// descriptor opened later hears of it only if nobody has before and the inode is still in memory. So a part is
/// believed only by a descriptor that was open before its first byte: its own, kept open by the worker
/// (`KeptFile`), or that of the parts directory, asked by syncfs. Never by a second fsync, and never by a fresh
/// descriptor.
///
/// syncfs does not say whose error it tells, and it does not use up the files' own: after it failed, a part with its
/// own descriptor is asked by that; one without is fetched again, for the error may be its own.
struct PartSync {
    let settings: PublishSettings
    let heartbeat: Heartbeat
    /// syncfs and fsync; others in tests.
    var syncAll: (Int32, String) throws(SystemError) -> Void = { (number, object) throws(SystemError) in
        try syncFileSystem(of: number, object)
    }
    var syncOne: (borrowing Descriptor, String) throws(SystemError) -> Void = {
        (file, object) throws(SystemError) in
        try file.synchronize(object)
    }

    /// Whether the last `run` has synced the output's whole file system.
    private(set) var coversOutput = false
    private var choice: SyncChoice

    init(settings: PublishSettings, heartbeat: Heartbeat) {
        self.settings = settings
        self.heartbeat = heartbeat
        choice = SyncChoice(threshold: settings.syncThreshold)
    }

    /// - Parameter directories: how many of the output are to be synced as well, by the same call if it is one.
    mutating func run(
        _ items: [PublishItem], in place: PublishPlace, besides directories: Int = 0
    ) -> [PublishEvent] {
        coversOutput = false
        var events: [PublishEvent] = []
        var sound: [PublishItem] = []
        for item in items {
            if let trouble = check(item, in: place) {
                events.append(.syncFailed(item.seq, trouble))
            } else {
                sound.append(item)
            }
        }
        events += DigestMarking(settings: settings).setAttributes(of: sound, in: place)
        var synced: [JobSeq] = []
        for (item, trouble) in judge(sound, directories, in: place) {
            if let trouble {
                events.append(.syncFailed(item.seq, trouble))
            } else {
                synced.append(item.seq)
            }
        }
        if !synced.isEmpty { events.append(.synced(synced)) }
        return events
    }

    private mutating func judge(
        _ items: [PublishItem], _ directories: Int, in place: PublishPlace
    ) -> [(PublishItem, PublishTrouble?)] {
        if settings.durability == .none { return items.map { ($0, nil) } }
        var judged: [(PublishItem, PublishTrouble?)] = []
        // Nearly always one home, in which the order stays.
        for home in Set(items.map(\.home)) {
            let group = items.filter { $0.home == home }
            let needsAll =
                choice.isTogether(group.count + (home.isOutput ? directories : 0))
                || group.contains { $0.file == nil }
            let failure = needsAll ? syncTogether(home, in: place) : nil
            if needsAll, failure == nil, home.isOutput { coversOutput = true }
            let begin = Monotonic.nanoseconds()
            defer { if !needsAll { choice.tookAlone(since(begin), count: group.count) } }
            for item in group {
                if needsAll, failure == nil {
                    judged.append((item, nil))
                } else if let file = item.file {
                    judged.append((item, syncAlone(file, place.partPath(item))))
                } else {
                    judged.append((item, failure))
                }
            }
        }
        return judged
    }

    /// The part under that name must be the one that was written, to its last byte.
    private func check(_ item: PublishItem, in place: PublishPlace) -> PublishTrouble? {
        do throws(SystemError) {
            guard let status = try place.part(item) else {
                return PublishTrouble(PublishFault.missingPart(place.partPath(item)))
            }
            return place.isOurs(status, item)
                ? nil : PublishTrouble(PublishFault.foreignPart(place.partPath(item)))
        } catch {
            // Not looked at, so not doubted.
            return PublishTrouble(error, isUntried: true)
        }
    }

    private mutating func syncTogether(_ home: PartHome, in place: PublishPlace) -> PublishTrouble? {
        heartbeat.enter("syncfs")
        let begin = Monotonic.nanoseconds()
        defer {
            choice.tookTogether(since(begin))
            heartbeat.leave()
        }
        do throws(SystemError) {
            let folder = try place.parts(home)
            try syncAll(folder.descriptor, folder.tree.root.string)
            return nil
        } catch {
            return PublishTrouble(error)
        }
    }

    private func since(_ begin: Int64) -> Duration { .nanoseconds(Monotonic.nanoseconds() - begin) }

    private func syncAlone(_ file: KeptFile, _ path: String) -> PublishTrouble? {
        heartbeat.enter("fsync")
        defer { heartbeat.leave() }
        do throws(SystemError) {
            try syncOne(file.descriptor, path)
            return nil
        } catch {
            return PublishTrouble(error)
        }
    }

    /// fdatasync of a part that is to be resumed, or is still being written.
    func keep(_ partName: String, _ home: PartHome, in place: PublishPlace) -> PartSyncResult {
        if settings.durability == .none { return .stored }
        let file: Descriptor
        let path: String
        do throws(SystemError) {
            let folder = try place.parts(home)
            file = try folder.open(partName)
            path = folder.tree.fullPath(FilePath(partName))
        } catch {
            return .missed
        }
        heartbeat.enter("fdatasync of a part")
        defer { heartbeat.leave() }
        do throws(SystemError) { try file.synchronizeContent(path) } catch {
            return .lost
        }
        return .stored
    }
}
