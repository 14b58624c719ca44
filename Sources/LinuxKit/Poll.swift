// SPDX-License-Identifier: Apache-2.0

import Glibc

/// poll(2) over a few descriptors: what a loop sleeps in when it has more than its bell to listen to.
public enum Poll {
    /// What a descriptor is watched for. Hang-up and error always count as ready: the next call tells.
    public struct Interest: OptionSet, Sendable, Hashable {
        public let rawValue: Int16
        public init(rawValue: Int16) { self.rawValue = rawValue }
        public static let read = Interest(rawValue: Int16(POLLIN))
        public static let write = Interest(rawValue: Int16(POLLOUT))
    }

    /// Sleeps until one is ready or the time is over (nil: for ever).
    /// - Returns: for each descriptor, in order, whether it is ready; all false after the time or a signal.
    public static func ready(
        _ descriptors: [(descriptor: Int32, interest: Interest)], atMost limit: Duration?
    ) -> [Bool] {
        var entries = descriptors.map { pollfd(fd: $0.descriptor, events: $0.interest.rawValue, revents: 0) }
        let count = unsafe entries.withUnsafeMutableBufferPointer { buffer in
            unsafe poll(buffer.baseAddress, nfds_t(buffer.count), Monotonic.pollMilliseconds(limit))
        }
        return entries.map { count > 0 && $0.revents != 0 }
    }

    /// `ready` for reading only.
    public static func readable(_ descriptors: [Int32], atMost limit: Duration?) -> [Bool] {
        ready(descriptors.map { ($0, .read) }, atMost: limit)
    }
}
