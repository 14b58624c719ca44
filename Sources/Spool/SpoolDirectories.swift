// SPDX-License-Identifier: Apache-2.0

public import LinuxKit
import SystemPackage

/// Where a list file can lie.
enum SpoolPlace: String, CaseIterable {
    /// The spool itself.
    case spool = ""
    case accepted, done, failed, rejected

    static let folders: [SpoolPlace] = [.accepted, .done, .failed, .rejected]

    /// SPOOL is 3770: members of the group drop lists, and the sticky bit keeps them from each other's. setgid keeps
    /// the group below; only `accepted/` is closed to it, because what lies there is the daemon's.
    var permissions: FilePermissions {
        switch self {
        case .spool: FilePermissions(rawValue: 0o3770)
        case .accepted: FilePermissions(rawValue: 0o2750)
        case .done, .failed, .rejected: FilePermissions(rawValue: 0o2770)
        }
    }
}

/// One directory, held open: look-ups and renames go by the descriptor, so that nobody can swap it under us.
final class OpenFolder {
    let descriptor: Descriptor
    let path: String

    init(_ descriptor: consuming Descriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    func status(of name: String) throws(SystemError) -> FileStatus? {
        try FileStatus.of(FilePath(name), in: descriptor.rawValue)
    }
    func synchronize() throws(SystemError) { try descriptor.synchronize(path) }
}

/// The spool and its four folders. Used on `dld-spool` only, but for `create`.
public final class SpoolDirectories {
    let path: String
    private let folders: [OpenFolder]

    /// Makes SPOOL and the four folders where they are absent, with their modes whatever the umask, and tries each
    /// by making and removing a file. Folders that are there keep the modes they have. Any thread.
    ///
    /// - Throws: the system call that failed, with the directory it failed on.
    public static func create(at path: String) throws(SystemError) {
        let directories = try SpoolDirectories(at: path, makesSpool: true)
        for place in SpoolPlace.allCases {
            let folder = directories[place]
            // Begins with a dot: a scan of ours or of a user's script does not take it for a list.
            let probe = FilePath(".dld-probe")
            let number = folder.descriptor.rawValue
            let file = try Descriptor.open(
                probe, .writeOnly, options: [.create, .truncate, .noFollow], permissions: .ownerReadWrite,
                in: number)
            try file.close(folder.path + "/.dld-probe")
            _ = try unlink(probe, in: number)
        }
    }

    /// Opens them, making the folders that are absent. SPOOL itself is made at a start only: later its absence means
    /// that a disk is not mounted.
    init(at path: String, makesSpool: Bool) throws(SystemError) {
        self.path = path
        let spool = try Self.open(.spool, FilePath(path), in: nil, path, makes: makesSpool)
        var folders = [spool]
        for place in SpoolPlace.folders {
            let full = path + "/" + place.rawValue
            folders.append(
                try Self.open(
                    place, FilePath(place.rawValue), in: spool.descriptor.rawValue, full, makes: true))
        }
        self.folders = folders
    }

    subscript(place: SpoolPlace) -> OpenFolder {
        switch place {
        case .spool: folders[0]
        case .accepted: folders[1]
        case .done: folders[2]
        case .failed: folders[3]
        case .rejected: folders[4]
        }
    }

    /// Whether the paths still lead to what is open: false once somebody moved or removed one.
    func areCurrent() -> Bool {
        do {
            for folder in folders {
                guard let now = try FileStatus.of(FilePath(folder.path), followingLinks: true) else {
                    return false
                }
                if try !now.isSameFile(as: folder.descriptor.status(folder.path)) { return false }
            }
            return true
        } catch {
            return false
        }
    }

    private static func open(
        _ place: SpoolPlace, _ name: FilePath, in parent: Int32?, _ path: String, makes: Bool
    ) throws(SystemError) -> OpenFolder {
        // Only SPOOL itself may be reached through a symbolic link: that is the operator's to say.
        let options: FileDescriptor.OpenOptions = place == .spool ? [.directory] : [.directory, .noFollow]
        do throws(SystemError) {
            return OpenFolder(try Descriptor.open(name, .readOnly, options: options, in: parent), path: path)
        } catch  where makes && error.code == .noSuchFileOrDirectory {
            try FolderCalls.makeDirectory(name, in: parent, path)
            let made = OpenFolder(
                try Descriptor.open(name, .readOnly, options: options, in: parent), path: path)
            try made.descriptor.setPermissions(place.permissions, path)
            return made
        } catch {
            throw SystemError(error.code, error.operation, path)
        }
    }
}
