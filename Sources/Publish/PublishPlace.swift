// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// The two open directories that a publish thread works in. Confined to that thread.
///
/// Opened once and kept: what is renamed goes through these descriptors, never again through a path that
/// somebody may have bent meanwhile.
final class PublishPlace {
    var output: DirectoryTree
    let parts: DirectoryTree

    init(_ settings: PublishSettings) throws(SystemError) {
        output = try DirectoryTree(root: FilePath(settings.outputDirectory))
        parts = try DirectoryTree(root: FilePath(settings.partsDirectory), capacity: 1)
    }

    /// Whether both paths still lead to what was opened.
    func isCurrent() -> Bool {
        do throws(SystemError) {
            guard try output.isRootCurrent() else { return false }
            return try parts.isRootCurrent()
        } catch {
            return false
        }
    }

    /// The part's full path, for messages.
    func partPath(_ name: String) -> String { parts.fullPath(FilePath(name)) }

    /// What lies under a part's name; nil: nothing.
    func part(_ name: String) throws(SystemError) -> FileStatus? {
        try FileStatus.of(FilePath(name), in: parts.descriptor)
    }

    /// Whether a status is that of the item's file.
    ///
    /// Device numbers may change with a reboot (device mapper, NFS): when the whole file system bears another
    /// number than at the time of writing, inode and size tell.
    func isOurs(_ status: FileStatus, device: UInt64, inode: UInt64, size: Int64) -> Bool {
        status.kind == .regular && status.inode == inode && status.size == size
            && (status.device == device || (status.device == parts.device && parts.device != device))
    }

    func isOurs(_ status: FileStatus, _ item: PublishItem) -> Bool {
        isOurs(status, device: item.device, inode: item.inode, size: item.size)
    }

    /// Opens a part, never through a link and never one that turned into something else.
    func openPart(
        _ name: String, _ mode: FileDescriptor.AccessMode = .readOnly
    ) throws(SystemError) -> Descriptor {
        try parts.open(FilePath(name), mode, options: [.noFollow, .nonBlocking])
    }

    /// The first component on the way to a path that is no directory: what stands in the way.
    func obstacle(to path: OutputPath) -> String? {
        var walked = FilePath()
        for component in FilePath(path.description).removingLastComponent().components {
            walked.append(component)
            do throws(SystemError) {
                guard let status = try output.status(of: walked) else { return nil }
                if status.kind != .directory { return walked.string }
            } catch {
                return walked.string
            }
        }
        return nil
    }
}
