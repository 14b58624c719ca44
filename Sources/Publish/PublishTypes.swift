// SPDX-License-Identifier: Apache-2.0

public import JobModel
public import LinuxKit
import Locking
import SystemPackage

/// One finished part file on its way to its final name.
public struct PublishItem: Sendable, Hashable {
    public var seq: JobSeq
    /// One component in the parts directory.
    public var partName: String
    /// Identity of the part file as the transfer wrote it: another file under its name is never published.
    public var device: UInt64
    public var inode: UInt64
    /// In bytes.
    public var size: Int64
    /// The final path, below the output directory.
    public var path: OutputPath
    /// Whether a file that lies there is replaced (`overwrite`, `update`); otherwise a taken name is
    /// reported.
    public var replaces: Bool
    /// The mount that part and final path lie on.
    public var home: PartHome
    /// The part as its worker kept it open, for its fsync.
    public var file: KeptFile?
    /// Where `digest` is written, if it is known.
    public var mark = DigestMark.none
    public var digest: Checksum?
    public init(
        seq: JobSeq, partName: String, device: UInt64, inode: UInt64, size: Int64, path: OutputPath,
        replaces: Bool, home: PartHome = .output, file: KeptFile? = nil
    ) {
        self.seq = seq
        self.partName = partName
        self.device = device
        self.inode = inode
        self.size = size
        self.path = path
        self.replaces = replaces
        self.home = home
        self.file = file
    }
}

/// Why a part is not synced or not renamed.
public struct PublishTrouble: Sendable, Hashable {
    public var error: JobError
    /// The errno behind it; 0 if none.
    public var systemCode: Int32
    /// The step was not even tried (the directory is not there, no descriptors): the part is as good as before.
    public var isUntried: Bool

    public init(_ error: JobError, systemCode: Int32 = 0, isUntried: Bool = false) {
        self.error = error
        self.systemCode = systemCode
        self.isUntried = isUntried
    }

    init(_ error: SystemError, isUntried: Bool = false) {
        self.init(PublishFault.error(error), systemCode: error.code.rawValue, isUntried: isUntried)
    }
}

/// What the dispatcher asks for. `sync` and `rename` of one job are two commands: between them the ledger
/// commits `publishing`.
public enum PublishCommand: Sendable {
    /// Makes the data durable.
    case sync([PublishItem])
    /// Gives the final names and makes those durable. May be sent again for one that was renamed already
    /// (after a restart, after `renameFailed`): answered as if it were the first time.
    case rename([PublishItem])
    /// Makes what a part has so far durable (fdatasync): it will be resumed.
    case keep(JobSeq, partName: String, home: PartHome)
    /// The same for a part that is still being written. `token`: whatever the sender knows it by.
    case checkpoint(JobSeq, token: UInt64, partName: String, home: PartHome)
    /// Removes parts; missing ones are fine.
    case discard([String], home: PartHome)
    /// Moves a part whose digest is wrong into the home's quarantine, over one of that name.
    case quarantine(String, as: String, home: PartHome)
    /// Removes what was put into a home's quarantine before then. Nobody waits for it.
    case emptyQuarantine(before: WallTime, home: PartHome)
    /// Opens a home's parts directory, before the first part is written there: its write errors are heard.
    case watch(PartHome)
    /// Ends the loop after what was sent before it.
    case stop
}

/// What came of it. Every item of `sync`, `rename`, `keep` and `checkpoint` is answered exactly once.
public enum PublishEvent: Sendable, Hashable {
    case synced([JobSeq])
    /// The data may not be on the disk: fetch again from zero, unless the step was not tried.
    case syncFailed(JobSeq, PublishTrouble)
    /// The names are durable, their directories included.
    case renamed([JobSeq])
    /// Something else has that name; nothing was changed.
    case nameTaken(JobSeq)
    /// Not under its final name, or there but perhaps not durably; sending `rename` again is right in both
    /// cases.
    case renameFailed(JobSeq, PublishTrouble)
    case kept(JobSeq, PartSyncResult)
    case checkpointed(JobSeq, token: UInt64, PartSyncResult)
    /// The digest could not be written to, or beside, the file. Comes beside the answer to its item; the first of a
    /// command is told, the others are alike.
    case unmarked(JobSeq, why: String)
}

/// What came of the sync of a part that is to be resumed.
public enum PartSyncResult: Sendable, Hashable {
    /// What the part held when it was asked for is on the disk.
    case stored
    /// There is no such part any more, or it cannot be opened: nothing is known.
    case missed
    /// The disk refused it: what was written may be lost, and a later fsync that says otherwise is not believed.
    case lost
}

/// Where and how to publish. The two publish threads get the same value.
public struct PublishSettings: Sendable {
    public enum Durability: String, Sendable, Codable {
        case full
        /// The same order of steps, without any fsync.
        case none
    }
    /// The output directory, as configured.
    public var outputDirectory: String
    /// `OUTPUT/.dld/ID`.
    public var partsDirectory: String
    public var durability: Durability
    /// Permission bits of directories made below the output.
    public var dirMode: UInt32
    /// From so many files and directories in one group on, one syncfs instead of an fsync each, see `SyncChoice`.
    public var syncThreshold: Int
    /// Shared by all loops that got this value.
    let unsynced = UnsyncedDirectories()

    /// Touches no file.
    public init(
        outputDirectory: String, partsDirectory: String, durability: Durability = .full,
        dirMode: UInt32 = 0o755,
        syncThreshold: Int = 2
    ) {
        self.outputDirectory = outputDirectory
        self.partsDirectory = partsDirectory
        self.durability = durability
        self.dirMode = dirMode
        self.syncThreshold = max(1, syncThreshold)
    }
}

/// Directories that were made, or are about to be, and whose names are not known to be durable yet.
///
/// One loop may rename into a directory that the other has just made: it must not report the file as durable
/// while the directory's own name is not. So both look here. Holds paths in flight only. Any thread.
final class UnsyncedDirectories: Sendable {
    private let paths = Guarded<Set<[UInt8]>>([])

    /// Before they are made.
    func insert(_ added: [[UInt8]]) { paths.withLock { $0.formUnion(added) } }

    /// After an fsync of their parent that began when they were there.
    func remove(_ durable: some Sequence<[UInt8]>) { paths.withLock { $0.subtract(durable) } }

    /// Those among the given ones.
    func pending(among candidates: [[UInt8]]) -> [[UInt8]] {
        paths.withLock { known in known.isEmpty ? [] : candidates.filter { known.contains($0) } }
    }
}
