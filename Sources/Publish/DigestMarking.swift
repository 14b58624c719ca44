// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Writes a file's known digest where `digest.write` says: to the part, before its fsync, as an attribute; beside the
/// final name, before the fsync of its directory, as a file of `sha256sum`'s format.
///
/// What cannot be written is told and costs the file nothing: it is whole, and its digest is in the ledger.
struct DigestMarking {
    let settings: PublishSettings
    /// More bytes than any sidecar has: a file that long is somebody's own.
    private static let longest: Int64 = 4096

    /// On the part, whatever it is called by now: the attribute goes along with the rename.
    func setAttributes(of items: [PublishItem], in place: PublishPlace) -> [PublishEvent] {
        var trouble: PublishEvent?
        for item in items where item.mark == .xattr {
            guard let digest = item.digest else { continue }
            do throws(SystemError) {
                if let file = item.file {
                    try file.descriptor.setAttribute(digest.attributeName, digest.hex, place.partPath(item))
                } else {
                    try place.parts(item.home).open(item.partName)
                        .setAttribute(digest.attributeName, digest.hex, place.partPath(item))
                }
            } catch {
                trouble = trouble ?? .unmarked(item.seq, why: "\(error)")
            }
        }
        return trouble.map { [$0] } ?? []
    }

    /// After the file has its name, and again after a crash: each step may be repeated.
    /// - Parameter folder: where the file lies by now.
    func writeSidecar(of item: PublishItem, in folder: Int32, of place: PublishPlace) -> PublishEvent? {
        guard item.mark == .sidecar, let digest = item.digest else { return nil }
        let name = digest.sidecarName(of: item.path.lastComponent)
        let text = digest.sidecarText(of: item.path.lastComponent)
        do throws(SystemError) {
            if let found = try FileStatus.of(FilePath(name), in: folder) {
                if try isSame(found, name, in: folder, text) { return nil }
                guard item.replaces, found.kind == .regular, found.size <= Self.longest else {
                    return .unmarked(item.seq, why: "\(name) is there already, beside \(item.path)")
                }
            }
            let parts = try place.parts(item.home).descriptor
            // A crash leaves this name; the same job writes it anew.
            let temporary = FilePath(item.partName + ".digest")
            try write(text, temporary, in: parts, like: item, folder)
            if item.replaces {
                try renameReplace(temporary, in: parts, to: FilePath(name), in: folder)
            } else {
                try renameNoReplace(temporary, in: parts, to: FilePath(name), in: folder)
            }
            return nil
        } catch {
            return .unmarked(item.seq, why: "\(name): \(error)")
        }
    }

    private func isSame(
        _ found: FileStatus, _ name: String, in folder: Int32, _ text: [UInt8]
    ) throws(SystemError) -> Bool {
        guard found.kind == .regular, found.size == Int64(text.count) else { return false }
        let file = try Descriptor.open(
            FilePath(name), .readOnly, options: [.noFollow, .nonBlocking], in: folder)
        return try file.read(upTo: text.count + 1, name) == text
    }

    private func write(
        _ text: [UInt8], _ temporary: FilePath, in parts: Int32, like item: PublishItem, _ folder: Int32
    ) throws(SystemError) {
        try unlink(temporary, in: parts)
        let file = try Descriptor.open(
            temporary, .writeOnly, options: [.create, .exclusiveCreate, .noFollow],
            permissions: [.ownerReadWrite],
            in: parts)
        try file.writeAll(text, temporary.string)
        // Who may read the file may read its digest.
        let mode = try FileStatus.of(FilePath(item.path.lastComponent), in: folder)?.permissions
        try file.setPermissions(mode ?? [.ownerReadWrite], temporary.string)
        if settings.durability == .full { try file.synchronize(temporary.string) }
    }
}
