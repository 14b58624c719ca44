// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// Directory watching (inotify(7)). Owned by one loop, which polls `descriptor` beside its bell.
///
/// A hint, never the truth: events are lost when the queue overflows (then one event says so), and network
/// file systems send none. The owner scans at start, on `overflowed`, and every so often.
public struct Inotify: ~Copyable, Sendable {
    /// What to be told of, and what an event tells. The corresponding C constants are `IN_...`.
    public struct Mask: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// A file that was open for writing was closed.
        public static let closedAfterWrite = Mask(rawValue: UInt32(IN_CLOSE_WRITE))
        public static let movedIn = Mask(rawValue: UInt32(IN_MOVED_TO))
        public static let movedOut = Mask(rawValue: UInt32(IN_MOVED_FROM))
        public static let created = Mask(rawValue: UInt32(IN_CREATE))
        public static let removed = Mask(rawValue: UInt32(IN_DELETE))
        public static let modified = Mask(rawValue: UInt32(IN_MODIFY))
        public static let attributes = Mask(rawValue: UInt32(IN_ATTRIB))
        /// The watched directory itself was removed or moved.
        public static let selfRemoved = Mask(rawValue: UInt32(IN_DELETE_SELF))
        public static let selfMoved = Mask(rawValue: UInt32(IN_MOVE_SELF))
        /// Only for adding: fail with ENOTDIR on anything but a directory.
        public static let onlyDirectory = Mask(rawValue: UInt32(IN_ONLYDIR))
        /// Only in events: the name is a directory.
        public static let isDirectory = Mask(rawValue: UInt32(IN_ISDIR))
        /// Only in events: the watch is gone (removed, or its directory is).
        public static let ignored = Mask(rawValue: UInt32(IN_IGNORED))
        /// Only in events: the file system was unmounted.
        public static let unmounted = Mask(rawValue: UInt32(IN_UNMOUNT))
        /// Only in events: some were lost; scan.
        public static let overflowed = Mask(rawValue: UInt32(IN_Q_OVERFLOW))
    }
    /// One watched directory.
    public struct Watch: Hashable, Sendable {
        public let rawValue: Int32
    }
    /// One thing that happened.
    public struct Event: Hashable, Sendable {
        /// -1 in an overflow.
        public let watch: Watch
        public let mask: Mask
        /// The entry's name as its bytes; empty for the directory itself.
        public let name: [UInt8]
    }

    private let queue: Descriptor
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)

    /// EMFILE where the user has too many instances (fs.inotify.max_user_instances).
    public init() throws(SystemError) {
        queue = Descriptor(
            owning: try systemCall("inotify_init", "") { () in
                inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
            })
    }

    /// Readable while events wait. For `poll`.
    public var descriptor: Int32 { queue.rawValue }

    /// Watches a directory; the same one again replaces its mask. ENOSPC: too many watches, not a full disk.
    public func add(_ path: FilePath, _ mask: Mask) throws(SystemError) -> Watch {
        let number = queue.rawValue
        let watch = try systemCall("watch", path.string) { () in
            unsafe path.withPlatformString { unsafe inotify_add_watch(number, $0, mask.rawValue) }
        }
        return Watch(rawValue: watch)
    }

    /// Ends a watch; one that is gone already is no error.
    public func remove(_ watch: Watch) { _ = inotify_rm_watch(queue.rawValue, watch.rawValue) }

    /// What has come in, at most one buffer of it (some 64 KiB); empty when nothing waits. Never sleeps.
    public mutating func read() throws(SystemError) -> [Event] {
        guard let count = try queue.read(into: &buffer, "inotify") else { return [] }
        return Self.parse(buffer[..<count])
    }

    /// The records of one read: wd, mask, cookie, length (four bytes each), then the name, padded with zeros.
    /// The kernel writes whole records only; a torn one at the end is left out.
    static func parse(_ bytes: ArraySlice<UInt8>) -> [Event] {
        func word(_ offset: Int) -> UInt32 {
            var value: UInt32 = 0
            // The kernel's own byte order.
            for index in (0..<4).reversed() { value = value << 8 | UInt32(bytes[offset + index]) }
            return UInt32(littleEndian: value.littleEndian)
        }
        var events: [Event] = []
        var offset = bytes.startIndex
        while bytes.endIndex - offset >= 16 {
            let length = Int(word(offset + 12))
            guard length <= bytes.endIndex - offset - 16 else { break }
            let name = bytes[(offset + 16)..<(offset + 16 + length)].prefix { $0 != 0 }
            events.append(
                Event(
                    watch: Watch(rawValue: Int32(bitPattern: word(offset))),
                    mask: Mask(rawValue: word(offset + 4)),
                    name: Array(name)))
            offset += 16 + length
        }
        return events
    }
}
