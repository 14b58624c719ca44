// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// The directories of part files, one a home, as one worker sees them. The loop's thread only.
final class PartFolders {
    private let main: String
    private let output: String
    let heartbeat: Heartbeat
    private var folders: [PartHome: PartFolder] = [:]

    init(main: String, output: String, heartbeat: Heartbeat) {
        self.main = main
        self.output = output
        self.heartbeat = heartbeat
    }

    subscript(home: PartHome) -> PartFolder {
        if let folder = folders[home] { return folder }
        let folder = PartFolder(
            output: output, below: home.partsBelowOutput(main: main), heartbeat: heartbeat)
        folders[home] = folder
        return folder
    }

    /// A disk has gone or come: what is open may be another one than what the paths lead to.
    func forgetAll() { for folder in folders.values { folder.forget() } }
}

/// The directory of part files as one worker sees it, opened when first needed.
///
/// Kept open across parts: one `openat` a file. Forgotten after trouble, so that a disk that was mounted
/// meanwhile is seen. The loop's thread only.
final class PartFolder {
    private let output: String
    private let below: String
    /// Marked around what may block long.
    let heartbeat: Heartbeat
    private var directory: Descriptor?

    /// - Parameter below: where it lies in the output directory; no link is followed from there on.
    init(output: String, below: String, heartbeat: Heartbeat) {
        self.output = output
        self.below = below
        self.heartbeat = heartbeat
    }

    /// For `*at` calls within one call of the loop.
    func descriptor() throws(SystemError) -> Int32 {
        if let number = openNumber { return number }
        let tree = try DirectoryTree(root: FilePath(output), capacity: 1)
        directory = try tree.open(FilePath(below), .readOnly, options: [.directory])
        return openNumber!
    }
    private var openNumber: Int32? {
        switch directory {
        case .some(let directory): directory.rawValue
        case nil: nil
        }
    }

    func forget() { directory = nil }

    /// A new, empty part. One of that name that is left over from another life goes first. The umask has had its say
    /// about the mode.
    func create(_ name: String, mode: UInt32) throws(SystemError) -> Descriptor {
        let folder = try descriptor()
        let permissions = FilePermissions(rawValue: mode & 0o777)
        do {
            return try open(name, [.create, .exclusiveCreate], permissions, folder)
        } catch  where error.code == .fileExists {
            remove(name)
            return try open(name, [.create, .exclusiveCreate], permissions, folder)
        }
    }

    /// The part that a resume point speaks of, with everything beyond the point cut off; nil where it is not
    /// that file any more: another inode, another name linked to it, shorter than it should be.
    func open(_ name: String, from point: ResumePoint) throws(SystemError) -> Descriptor? {
        let part: Descriptor
        do {
            part = try open(name, [], [], try descriptor())
        } catch  where error.code == .noSuchFileOrDirectory || error.code == .tooManySymbolicLinkLevels {
            return nil
        }
        let status = try part.status(name)
        // The device's number may be another one after a reboot; the file is in this folder either way.
        guard status.kind == .regular, status.inode == point.inode, status.links == 1, point.known > 0,
            status.size >= point.extent
        else { return nil }
        return part
    }

    private func open(
        _ name: String, _ options: FileDescriptor.OpenOptions, _ permissions: FilePermissions, _ folder: Int32
    ) throws(SystemError) -> Descriptor {
        try Descriptor.open(
            FilePath(name), .writeOnly, options: options.union(.noFollow), permissions: permissions,
            in: folder)
    }

    /// Best effort: a part that stays is found by the start-up sweep and by `dld fsck`.
    func remove(_ name: String) {
        _ = try? unlink(FilePath(name), in: descriptor())  // no directory: no part
    }
}
