// SPDX-License-Identifier: Apache-2.0

public import JobModel
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

    /// Looks; changes nothing.
    /// - Parameters:
    ///   - device: with `inode` and `size`, the part's identity as committed in the ledger.
    ///   - partName: one component in the parts directory.
    /// - Throws: the directories cannot be opened or looked into: a question for later, not an answer.
    public static func of(
        path: OutputPath, device: UInt64, inode: UInt64, size: Int64, partName: String,
        settings: PublishSettings
    ) throws(SystemError) -> InterruptedPublishCheck {
        let place = try PublishPlace(settings)
        return try verdict(
            path: path, device: device, inode: inode, size: size, partName: partName, in: place)
    }

    /// The same for many, with the directories opened once. Answers in order.
    public static func of(
        _ items: [PublishItem], settings: PublishSettings
    ) throws(SystemError) -> [InterruptedPublishCheck] {
        let place = try PublishPlace(settings)
        var verdicts: [InterruptedPublishCheck] = []
        for item in items {
            verdicts.append(
                try verdict(
                    path: item.path, device: item.device, inode: item.inode, size: item.size,
                    partName: item.partName, in: place))
        }
        return verdicts
    }

    private static func verdict(
        path: OutputPath, device: UInt64, inode: UInt64, size: Int64, partName: String, in place: PublishPlace
    ) throws(SystemError) -> InterruptedPublishCheck {
        if let final = try status(of: path, in: place),
            place.isOurs(final, device: device, inode: inode, size: size)
        {
            return .renamedAlready
        }
        if let part = try place.part(partName), place.isOurs(part, device: device, inode: inode, size: size) {
            return .partStillThere
        }
        return .neither
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
