// SPDX-License-Identifier: Apache-2.0

import JobModel
public import LinuxKit
import SystemPackage

/// How far a publish had come that a crash cut off; asked at a start for each job found `publishing`.
public enum InterruptedPublishCheck: Sendable, Hashable {
    /// The final name is this file's. Send `rename` again all the same: its directory may not have been
    /// fsynced.
    case renamedAlready
    /// The part is there, with the data that was fsynced before the commit: send `rename`.
    case partStillThere
    /// Neither: the file is lost or not ours; the job starts over.
    case neither

    /// Looks; changes nothing. The directories are opened once; answers in order.
    ///
    /// - Parameter items: each with the part's identity as committed in the ledger.
    /// - Throws: the directories cannot be opened or looked into: a question for later, not an answer.
    public static func of(
        _ items: [PublishItem], settings: PublishSettings
    ) throws(SystemError) -> [InterruptedPublishCheck] {
        let place = try PublishPlace(settings)
        var verdicts: [InterruptedPublishCheck] = []
        for item in items { verdicts.append(try verdict(item, in: place)) }
        return verdicts
    }

    private static func verdict(
        _ item: PublishItem, in place: PublishPlace
    ) throws(SystemError) -> InterruptedPublishCheck {
        // First, for it opens the directory that tells what number the device has today.
        let part = try part(item, in: place)
        if let final = try status(of: item.path, in: place), place.isOurs(final, item) {
            return .renamedAlready
        }
        if let part, place.isOurs(part, item) { return .partStillThere }
        return .neither
    }

    /// On a mount that has no directory of parts yet there is none.
    private static func part(_ item: PublishItem, in place: PublishPlace) throws(SystemError) -> FileStatus? {
        do throws(SystemError) {
            return try place.part(item)
        } catch {
            if error.code == .noSuchFileOrDirectory, !item.home.isOutput { return nil }
            throw error
        }
    }

    /// A file or a link on the way to the path: it is not there.
    private static func status(of path: OutputPath, in place: PublishPlace) throws(SystemError) -> FileStatus?
    {
        do throws(SystemError) {
            return try place.output.status(of: FilePath(path.description))
        } catch {
            if error.code == .notDirectory || error.code == .tooManySymbolicLinkLevels { return nil }
            throw error
        }
    }
}
