// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// The mounts of this process's namespace.
public enum MountInfo {
    /// `/proc/self/mountinfo`, whole. Asks no file system: a dead one does not hold it up.
    public static func read() throws(SystemError) -> [UInt8] {
        let path = "/proc/self/mountinfo"
        let file = try Descriptor.open(FilePath(path), .readOnly)
        var bytes: [UInt8] = []
        while let run = try file.read(upTo: 65_536, path), !run.isEmpty { bytes += run }
        return bytes
    }

    /// A path with its symbolic links followed, as mountinfo names places.
    public static func realPath(_ path: FilePath) throws(SystemError) -> [UInt8] {
        guard let real = unsafe path.withPlatformString({ unsafe realpath($0, nil) }) else {
            throw .last("resolve", path.string)
        }
        defer { unsafe free(real) }
        return unsafe Array(String(cString: real).utf8)
    }
}
