// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// `OUTPUT/.dld/mounts`: the mounts below the output that hold parts or files of this ledger, a path a line, escaped
/// as in mountinfo. One that is not mounted is waited for: nothing is written into its bare mount point.
enum MountMemory {
    private static func path(_ place: OutputPlace) -> FilePath { FilePath(place.root + "/.dld/mounts") }

    static func read(_ place: OutputPlace) throws(SystemError) -> Set<PartHome> {
        guard try FileStatus.of(path(place)) != nil else { return [] }
        let file = try Descriptor.open(path(place), .readOnly, options: [.noFollow, .nonBlocking])
        var bytes: [UInt8] = []
        while let run = try file.read(upTo: 65_536, path(place).string), !run.isEmpty { bytes += run }
        return Set(bytes.split(separator: UInt8(ascii: "\n")).map { PartHome(MountTable.unescaped($0)) })
    }

    static func write(_ homes: Set<PartHome>, _ place: OutputPlace) throws(SystemError) {
        let lines = homes.map { MountTable.escaped($0.path) + [UInt8(ascii: "\n")] }
        try SafeFileWriter.write(
            lines.sorted { $0.lexicographicallyPrecedes($1) }.flatMap { $0 }, to: path(place),
            permissions: [.ownerReadWrite, .groupRead, .otherRead])
    }

    /// Takes the file away where nobody has parts in the output any more but those of `place`, and nobody owns it.
    static func removeIfLast(_ place: OutputPlace) throws(SystemError) {
        let folder = try FolderNames(FilePath(place.root + "/.dld"))
        while let name = folder.next()?.name {
            if name != "mounts", name != place.identity { return }
        }
        try unlink(path(place))
    }

    /// The mounts that are there, and those that should be.
    static func table(
        _ place: OutputPlace, known: Set<PartHome>
    ) throws(SystemError) -> (
        table: MountTable, mounted: Set<PartHome>
    ) {
        let root = try MountInfo.realPath(FilePath(place.root))
        let mounted = Set(MountTable(mountinfo: try MountInfo.read(), below: root).homes)
        return (MountTable(homes: Array(mounted.union(known))), mounted)
    }
}
