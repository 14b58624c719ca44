// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit

/// Opens once and stays open; any number of threads may wait.
///
/// An eventfd that is rung and never silenced, so that it can also stand in a `poll` beside sockets.
public final class Latch: Sendable {
    private let bell = Doorbell()
    public init() {}

    /// Readable once open. For `poll` only.
    public var descriptor: Int32 { bell.descriptor }
    public func open() { bell.ring() }
    public var isOpen: Bool { wait(atMost: .zero) }

    /// Returns whether it is open; nil waits for ever.
    @discardableResult
    public func wait(atMost limit: Duration?) -> Bool {
        let end = limit.map { ContinuousClock.now + $0 }
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let rest = end.map { max(.zero, $0 - ContinuousClock.now) }
            let status = poll(&entry, 1, Monotonic.pollMilliseconds(rest))
            if status > 0 { return true }
            if status == 0 { return false }
        }
    }
}
