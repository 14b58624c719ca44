// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Publishes into a directory below the output that is another mount, where rename answers EXDEV: copied to a
/// hidden name beside the final one, fsynced, renamed there, and only then the part is removed.
///
/// The file gets another inode by that. So a repeat after a crash knows it by its content: a taken name whose
/// file is equal to the part, byte by byte, is ours. Slower than a rename, and twice the space for a moment:
/// the price of the mount, which the manual names.
struct CrossMountCopy {
    let isDurable: Bool
    let heartbeat: Heartbeat
    /// Made at the first use, then kept.
    private var buffer: [UInt8] = []
    private var other: [UInt8] = []
    private static let run = 1 << 20

    init(isDurable: Bool, heartbeat: Heartbeat) {
        self.isDurable = isDurable
        self.heartbeat = heartbeat
    }

    /// - Returns: false if the name is taken by another file.
    mutating func publish(
        _ item: PublishItem, as name: FilePath, in folder: Int32, of place: PublishPlace
    ) throws(SystemError) -> Bool {
        heartbeat.enter("copy to another mount")
        defer { heartbeat.leave() }
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.run) }
        let part = try place.openPart(item.partName)
        if !item.replaces, let found = try FileStatus.of(name, in: folder) {
            guard found.kind == .regular, found.size == item.size, try isEqual(part, to: name, in: folder)
            else {
                return false
            }
        } else {
            do throws(SystemError) {
                try copy(part, item, as: name, in: folder, of: place)
            } catch {
                if error.code == .fileExists, !item.replaces { return false }
                throw error
            }
        }
        try unlink(FilePath(item.partName), in: place.parts.descriptor)
        return true
    }

    private mutating func copy(
        _ part: borrowing Descriptor, _ item: PublishItem, as name: FilePath, in folder: Int32,
        of place: PublishPlace
    ) throws(SystemError) {
        let shown =
            "\(place.partPath(item.partName)) -> \(place.output.fullPath(FilePath(item.path.description)))"
        // The same name at every try, so that a leftover of a crash is found and goes.
        let hidden = FilePath(".\(item.partName).dld-copy")
        try unlink(hidden, in: folder)
        let status = try part.status(shown)
        let file = try Descriptor.open(
            hidden, .writeOnly, options: [.create, .exclusiveCreate, .noFollow],
            permissions: [.ownerReadWrite],
            in: folder)
        do throws(SystemError) {
            while let count = try part.read(into: &buffer, shown), count > 0 {
                if count == buffer.count {
                    try file.writeAll(buffer, shown)
                } else {
                    try file.writeAll(Array(buffer[..<count]), shown)
                }
            }
            try file.setPermissions(status.permissions, shown)
            try file.setTimes(milliseconds: status.modifiedMilliseconds, shown)
            if isDurable { try file.synchronize(shown) }
            if item.replaces {
                try renameReplace(hidden, in: folder, to: name, in: folder)
            } else {
                try renameNoReplace(hidden, in: folder, to: name, in: folder)
            }
        } catch {
            // The first error is the one to tell; a hidden leftover goes at the next try.
            do throws(SystemError) { try unlink(hidden, in: folder) } catch {}
            throw error
        }
    }

    private mutating func isEqual(
        _ part: borrowing Descriptor, to name: FilePath, in folder: Int32
    ) throws(SystemError) -> Bool {
        if other.isEmpty { other = [UInt8](repeating: 0, count: Self.run) }
        let file = try Descriptor.open(name, .readOnly, options: [.noFollow, .nonBlocking], in: folder)
        while true {
            let count = try Self.fill(&buffer, from: part)
            let length = try Self.fill(&other, from: file)
            if count != length || buffer[..<count] != other[..<length] { return false }
            if count < Self.run { return true }
        }
    }

    /// Reads until the buffer is full or the file ends.
    private static func fill(
        _ buffer: inout [UInt8], from file: borrowing Descriptor
    ) throws(SystemError) -> Int {
        var filled = 0
        while filled < buffer.count, let count = try file.read(into: &buffer, from: filled), count > 0 {
            filled += count
        }
        return filled
    }
}
