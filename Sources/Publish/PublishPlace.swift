// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// The open directories that a publish thread works in. Confined to that thread.
///
/// Opened once and kept: what is renamed goes through these descriptors, never again through a path that
/// somebody may have bent meanwhile.
final class PublishPlace {
    var output: DirectoryTree
    private let settings: PublishSettings
    private var folders: [PartHome: PartsDirectory] = [:]

    init(_ settings: PublishSettings) throws(SystemError) {
        self.settings = settings
        output = try DirectoryTree(root: FilePath(settings.outputDirectory))
        _ = try parts(.output)
    }

    /// Whether the output's path and its parts' still lead to what was opened.
    func isCurrent() -> Bool {
        // A mount below the output comes and goes without the others' harm.
        folders = folders.filter { $0.value.isCurrent(in: output) }
        do throws(SystemError) {
            return try output.isRootCurrent() && folders[.output] != nil
        } catch {
            return false
        }
    }

    /// The directory of a home's parts, opened when first needed.
    func parts(_ home: PartHome) throws(SystemError) -> PartsDirectory {
        if let folder = folders[home] { return folder }
        let path = home.partsBelowOutput(main: settings.partsDirectory)
        let folder = PartsDirectory(try output.subtree(FilePath(path), capacity: 1), below: FilePath(path))
        folders[home] = folder
        return folder
    }

    /// The directory of a home's quarantine.
    func quarantine(_ home: PartHome) -> FilePath {
        FilePath(home.root(output: settings.outputDirectory) + "/" + QuarantineName.directory)
    }

    /// The part's full path, for messages.
    func partPath(_ item: PublishItem) -> String {
        item.home.parts(output: settings.outputDirectory, main: settings.partsDirectory) + "/" + item.partName
    }

    /// What lies under a part's name; nil: nothing.
    func part(_ item: PublishItem) throws(SystemError) -> FileStatus? {
        try FileStatus.of(FilePath(item.partName), in: try parts(item.home).descriptor)
    }

    /// Whether a status is that of the item's file.
    ///
    /// Device numbers may change with a reboot (device mapper, NFS): when the whole file system bears another
    /// number than at the time of writing, inode and size tell.
    func isOurs(_ status: FileStatus, _ item: PublishItem) -> Bool {
        guard status.kind == .regular, status.inode == item.inode, status.size == item.size else {
            return false
        }
        if status.device == item.device { return true }
        guard let now = folders[item.home]?.tree.device else { return false }
        return status.device == now && now != item.device
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

/// One home's open parts directory. A class, because a dictionary cannot hold what is not copyable.
final class PartsDirectory {
    let tree: DirectoryTree
    private let below: FilePath

    /// - Parameter below: where it lies in the output.
    init(_ tree: consuming DirectoryTree, below: FilePath) {
        self.tree = tree
        self.below = below
    }
    var descriptor: Int32 { tree.descriptor }

    /// Whether its place in the output is still this very directory, and no link to it.
    func isCurrent(in output: borrowing DirectoryTree) -> Bool {
        do throws(SystemError) {
            guard let now = try output.status(of: below), let then = try tree.status(of: FilePath()) else {
                return false
            }
            return now.isSameFile(as: then)
        } catch {
            return false
        }
    }

    /// Opens a part, never through a link and never one that turned into something else.
    func open(_ name: String) throws(SystemError) -> Descriptor {
        try tree.open(FilePath(name), .readOnly, options: [.noFollow, .nonBlocking])
    }
}
