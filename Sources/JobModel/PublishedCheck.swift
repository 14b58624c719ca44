// SPDX-License-Identifier: Apache-2.0

/// What lies under a final path, as far as an audit or `dld fsck` looks without reading it.
public struct FileFacts: Sendable, Hashable {
    public var isRegular: Bool
    public var size: Int64
    /// Last change of the content, milliseconds since 1970 UTC.
    public var modifiedAt: Int64
    /// Device, inode, and the times of the last change of content and of inode, in the file system's own resolution.
    /// Equal before and after a reading: it was one file, and nobody wrote to it.
    public var identity: [Int64]
    public init(isRegular: Bool, size: Int64, modifiedAt: Int64, identity: [Int64] = []) {
        self.isRegular = isRegular
        self.size = size
        self.modifiedAt = modifiedAt
        self.identity = identity
    }
}

/// A published file against what lies there. Pure.
public enum PublishedCheck {
    /// Clocks of the file system and of the program differ by a tick; the end of a job is noted after its last byte.
    private static let slack: Int64 = 2000

    /// What cannot be what was published, in words; nil: it may be that file.
    public static func fault(_ record: FileRecord, _ facts: FileFacts) -> String? {
        guard facts.isRegular else { return "it is no regular file any more" }
        guard facts.size == record.size else {
            return "it has \(facts.size) bytes, \(record.size) were published"
        }
        return nil
    }

    /// Whether it was written to since, by its time.
    public static func timeFault(_ record: FileRecord, _ facts: FileFacts) -> String? {
        guard facts.modifiedAt > record.publishedAt.rawValue + slack, !hasRemoteTime(record, facts) else {
            return nil
        }
        return "it was written to after it was published"
    }

    /// With `remote_time` a file bears the server's time, which may lie ahead of ours.
    private static func hasRemoteTime(_ record: FileRecord, _ facts: FileFacts) -> Bool {
        guard let text = record.lastModified, let time = HTTPDate.parse(text) else { return false }
        return time.rawValue / 1000 == facts.modifiedAt / 1000
    }

    /// The words for two digests.
    public static func digestFault(found: Checksum, published: Checksum) -> String {
        "its digest is \(found), \(published) was published"
    }
}
