// SPDX-License-Identifier: Apache-2.0

/// How much small work is handed to a worker at one go.
public enum BundleLimit {
    /// Each is an open descriptor on both sides, and all of them go in one packet.
    public static let files = 32
    /// A few milliseconds of work: whoever comes after it does not wait long.
    public static let bytes: Int64 = 1 << 20
    /// A longer file goes alone. Its own work outweighs the road then.
    public static let file: Int64 = 128 << 10

    /// - Parameter rate: bytes a second at most; a file that would take longer is read at that rate, alone.
    public static func suits(_ size: Int64, rate: Int64?) -> Bool { size <= min(file, rate ?? .max) }
}

/// Small files that one worker digests at one go, in one message there and one back: the road costs several times what
/// their bytes do. Pure.
public struct DigestBundle<File: Sendable>: Sendable {
    public private(set) var files: [File] = []
    public private(set) var bytes: Int64 = 0
    public let algorithm: DigestAlgorithm

    public init(_ algorithm: DigestAlgorithm) { self.algorithm = algorithm }

    public func hasRoom(for size: Int64, _ algorithm: DigestAlgorithm) -> Bool {
        files.isEmpty
            || algorithm == self.algorithm && files.count < BundleLimit.files
                && max(0, size) <= BundleLimit.bytes - bytes
    }

    /// Call it while it `hasRoom`.
    public mutating func add(_ file: File, size: Int64) {
        files.append(file)
        bytes = min(bytes + max(0, min(size, BundleLimit.bytes)), BundleLimit.bytes)
    }
}

/// What came of one file of a bundle.
public enum BundledDigest: Sendable, Hashable {
    case digest(Checksum)
    /// It could not be read; the system's number for why.
    case unreadable(errno: Int32)
}
