// SPDX-License-Identifier: Apache-2.0

public import Locking

/// The only way into a thread: any thread sends, the owning loop drains. A send never blocks and never fails;
/// memory is bounded by the credits that the protocols above it keep.
///
/// `wake` is called outside the lock, and only when the box was empty: a loop that drains everything each
/// time it wakes misses nothing.
public final class Mailbox<Message: Sendable>: Sendable {
    @usableFromInline let messages = Guarded<[Message]>([])
    @usableFromInline let wake: @Sendable () -> Void

    /// - Parameter wake: rings the owner's bell (`Doorbell.ring`, `MultiWaker.wake`); callable from any
    ///   thread.
    public init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    /// From any thread.
    @inlinable
    public func send(_ message: Message) {
        let wasEmpty = messages.withLock { box in
            box.append(message)
            return box.count == 1
        }
        if wasEmpty { wake() }
    }

    /// The same for several, in order and with nothing in between; wakes once.
    @inlinable
    public func send(contentsOf batch: [Message]) {
        guard !batch.isEmpty else { return }
        let wasEmpty = messages.withLock { box in
            let empty = box.isEmpty
            box.append(contentsOf: batch)
            return empty
        }
        if wasEmpty { wake() }
    }

    /// Everything sent so far, in order. Called by the owning loop.
    @inlinable
    public func drain() -> [Message] {
        messages.withLock { box in
            var taken: [Message] = []
            swap(&taken, &box)
            return taken
        }
    }

    /// For the moment of asking.
    @inlinable
    public var isEmpty: Bool { messages.withLock { $0.isEmpty } }
}
