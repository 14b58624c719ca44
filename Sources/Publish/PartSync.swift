// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Makes the data of a group of parts durable: one syncfs from the threshold up, else an fsync each.
///
/// syncfs costs the same for many files as for one, but waits for everything on the file system and does not
/// say which file an error belongs to. So after an error each part is fsynced by itself: the kernel tells an
/// unseen write error of a file to whoever opens and syncs it next. One that no part owns up to was another
/// program's.
struct PartSync {
    let settings: PublishSettings
    let heartbeat: Heartbeat
    /// syncfs; another one in tests.
    var syncAll: (Int32, String) throws(SystemError) -> Void = { (number, object) throws(SystemError) in
        try syncFileSystem(of: number, object)
    }

    func run(_ items: [PublishItem], in place: PublishPlace) -> [PublishEvent] {
        var events: [PublishEvent] = []
        var sound: [PublishItem] = []
        for item in items {
            if let error = check(item, in: place) {
                events.append(.syncFailed(item.seq, error))
            } else {
                sound.append(item)
            }
        }
        var synced: [JobSeq] = []
        if settings.durability == .none || syncTogether(sound, in: place) {
            synced = sound.map(\.seq)
        } else {
            for item in sound {
                if let error = syncAlone(item, in: place) {
                    events.append(.syncFailed(item.seq, error))
                } else {
                    synced.append(item.seq)
                }
            }
        }
        if !synced.isEmpty { events.append(.synced(synced)) }
        return events
    }

    /// The part under that name must be the one that was written, to its last byte.
    private func check(_ item: PublishItem, in place: PublishPlace) -> JobError? {
        do throws(SystemError) {
            guard let status = try place.part(item.partName) else {
                return PublishFault.missingPart(place.partPath(item.partName))
            }
            return place.isOurs(status, item) ? nil : PublishFault.foreignPart(place.partPath(item.partName))
        } catch {
            return PublishFault.error(error)
        }
    }

    /// - Returns: false where each has to be looked at by itself.
    private func syncTogether(_ items: [PublishItem], in place: PublishPlace) -> Bool {
        guard items.count >= settings.syncThreshold else { return false }
        heartbeat.enter("syncfs")
        defer { heartbeat.leave() }
        do throws(SystemError) {
            try syncAll(place.parts.descriptor, settings.partsDirectory)
            return true
        } catch {
            return false
        }
    }

    private func syncAlone(_ item: PublishItem, in place: PublishPlace) -> JobError? {
        heartbeat.enter("fsync")
        defer { heartbeat.leave() }
        do throws(SystemError) {
            let file = try place.openPart(item.partName)
            try file.synchronize(place.partPath(item.partName))
            return nil
        } catch {
            return PublishFault.error(error)
        }
    }

    /// fdatasync of a part that will be resumed.
    func keep(_ partName: String, in place: PublishPlace) -> Bool {
        if settings.durability == .none { return true }
        heartbeat.enter("fdatasync")
        defer { heartbeat.leave() }
        do throws(SystemError) {
            let file = try place.openPart(partName)
            try file.synchronizeContent(place.partPath(partName))
            return true
        } catch {
            return false
        }
    }

    /// fdatasync of a part that is still being written.
    func checkpoint(_ partName: String, in place: PublishPlace) -> CheckpointSync {
        if settings.durability == .none { return .stored }
        let file: Descriptor
        do throws(SystemError) { file = try place.openPart(partName) } catch { return .missed }
        heartbeat.enter("fdatasync of a checkpoint")
        defer { heartbeat.leave() }
        do throws(SystemError) { try file.synchronizeContent(place.partPath(partName)) } catch {
            return .lost
        }
        return .stored
    }
}
