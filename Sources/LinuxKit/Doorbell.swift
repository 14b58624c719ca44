// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// An eventfd that wakes one thread out of `poll`.
///
/// Any thread rings; the owner waits, alone or together with descriptors of its own. The corresponding C
/// function is `eventfd`. Lives as long as the daemon or its owner: nobody may ring after `deinit`, which ARC
/// sees to.
public final class Doorbell: Sendable {
    /// Readable while rung. For `poll` only: never closed or read by others.
    public let descriptor: Int32

    /// Traps where no descriptor is to be had: a thread without a bell cannot work.
    public init() {
        descriptor = dld_eventfd()
        precondition(descriptor >= 0, "eventfd: errno \(errno)")
    }
    deinit { close(descriptor) }

    /// From any thread, as often as one likes; never blocks.
    public func ring() {
        var one: UInt64 = 1
        // EAGAIN means the counter is full: rung enough.
        unsafe _ = write(descriptor, &one, 8)
    }

    /// Takes the ring back, so that the next wait sleeps. Call before draining the mailbox it belongs to.
    public func silence() {
        var count: UInt64 = 0
        unsafe _ = read(descriptor, &count, 8)
    }

    /// Sleeps until rung or until the time is over; nil sleeps for ever. Returns whether it rang. Owner only.
    public func wait(atMost limit: Duration?) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let status = unsafe poll(&entry, 1, Monotonic.pollMilliseconds(limit))
        guard status > 0 else { return false }
        silence()
        return true
    }
}
