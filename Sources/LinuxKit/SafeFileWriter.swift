// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// A file written so that its name always means a whole one: hidden temporary name, fsync, rename, fsync of
/// the directory. Dropped without `commit`, it leaves nothing behind; a crash may leave the temporary name.
///
/// Streams: memory is one buffer, whatever the length. Used by one thread.
public struct SafeFileWriter: ~Copyable {
    private let directory: Descriptor
    private let directoryPath: FilePath
    private var file: Descriptor?
    private let temporary: FilePath
    private let permissions: FilePermissions
    private var buffer: [UInt8] = []
    private static let run = 256 << 10

    /// Creates the temporary file in `directory`.
    /// - Parameters:
    ///   - temporaryName: one component; a leftover of this name is removed. So it is the same at every try, and no
    ///     two writers of a directory have the same at a time: what a crash leaves goes at the next try.
    ///   - permissions: exactly these, whatever the umask, from before the first byte until after the rename.
    public init(
        in directory: FilePath, temporaryName: String, permissions: FilePermissions
    ) throws(SystemError) {
        let name = FilePath(temporaryName)
        let opened = try Descriptor.openDirectory(directory)
        try unlink(name, in: opened.rawValue)
        let created = try Descriptor.open(
            name, .writeOnly, options: [.create, .exclusiveCreate, .noFollow], permissions: [.ownerReadWrite],
            in: opened.rawValue)
        self.directory = opened
        directoryPath = directory
        file = consume created
        temporary = name
        self.permissions = permissions
    }

    deinit {
        // Still open: not committed. The name goes; a failure leaves a hidden file, which is no harm.
        if file != nil {
            _ = unsafe temporary.withPlatformString { unsafe unlinkat(directory.rawValue, $0, 0) }
        }
    }

    /// Adds bytes at the end.
    public mutating func append(_ bytes: some Sequence<UInt8>) throws(SystemError) {
        buffer.append(contentsOf: bytes)
        if buffer.count >= Self.run { try flush() }
    }

    private mutating func flush() throws(SystemError) {
        let object = path(temporary)
        try file?.writeAll(buffer, object)
        buffer.removeAll(keepingCapacity: true)
    }

    /// Makes it durable under `name` (one component of the same directory).
    /// - Parameters:
    ///   - replacing: over a file of that name; otherwise EEXIST, and this writer is gone with its temporary
    ///     file.
    ///   - isDurable: false skips both fsyncs, the order stays.
    public consuming func commit(
        as name: String, replacing: Bool = true, isDurable: Bool = true
    ) throws(SystemError) {
        try flush()
        let object = path(temporary)
        try file?.setPermissions(permissions, object)
        if isDurable { try file?.synchronize(object) }
        if replacing {
            try renameReplace(temporary, in: directory.rawValue, to: FilePath(name), in: directory.rawValue)
        } else {
            try renameNoReplace(temporary, in: directory.rawValue, to: FilePath(name), in: directory.rawValue)
        }
        // From here on the temporary name is not ours: nothing for deinit to remove.
        if let written = file.take() { try written.close(object) }
        if isDurable { try directory.synchronize(directoryPath.string) }
    }

    private func path(_ name: FilePath) -> String { directoryPath.appending(name.components).string }

    /// The whole of it in one call.
    /// - Parameter temporaryName: as in `init`; nil is `.NAME.tmp`.
    public static func write(
        _ bytes: some Sequence<UInt8>, to path: FilePath, temporaryName: String? = nil,
        permissions: FilePermissions, isDurable: Bool = true
    ) throws(SystemError) {
        let folder = path.removingLastComponent()
        let name = path.lastComponent?.string ?? ""
        var writer = try SafeFileWriter(
            in: folder.isEmpty ? "." : folder, temporaryName: temporaryName ?? ".\(name).tmp",
            permissions: permissions)
        try writer.append(bytes)
        try writer.commit(as: name, isDurable: isDurable)
    }
}
