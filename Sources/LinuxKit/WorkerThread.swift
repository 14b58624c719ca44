// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Synchronization

/// A joinable pthread that owns whatever its body creates.
///
/// The pattern of the house: the body builds one `...Loop` inside the thread and runs it; only `Sendable`
/// messages through mailboxes cross. The corresponding C function is `pthread_create`.
public final class WorkerThread: Sendable {
    private let handle: pthread_t
    /// Joined or let go.
    private let isSettled = Atomic(false)
    /// As given.
    public let name: String

    /// - Parameter name: at most 15 bytes, as `ps -L` and `top -H` show it.
    public init(name: String, body: sending @escaping () -> Void) {
        self.name = name
        let box = unsafe Unmanaged.passRetained(Box(name: name, body: body))
        var handle = pthread_t()
        let status = unsafe pthread_create(
            &handle, nil,
            { context in
                // takeRetainedValue balances passRetained: the new thread, not the spawner, frees the box.
                let box = unsafe Unmanaged<Box>.fromOpaque(context!).takeRetainedValue()
                _ = unsafe dld_thread_setname(box.name)
                box.body()
                return nil
            }, box.toOpaque())
        precondition(status == 0, "pthread_create \(name): errno \(status)")
        self.handle = handle
    }

    /// From here on files that the calling thread makes get the very mode that it asks for: it has a umask of its own, an
    /// empty one. Where that is refused all stays as it was. The corresponding C function is `unshare` with `CLONE_FS`.
    /// - Returns: whether it is so.
    @discardableResult
    public static func clearOwnUmask() -> Bool { dld_clear_own_umask() == 0 }

    /// Waits for the body to return. Call once, from any other thread.
    public func join() {
        isSettled.store(true, ordering: .relaxed)
        _ = pthread_join(handle, nil)
    }

    /// Whether the caller runs on it, where it cannot be joined.
    public var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

    /// Lets go of a thread that may never return: nobody joins it. Call instead of `join`.
    /// The corresponding C function is `pthread_detach`.
    public func abandon() {
        isSettled.store(true, ordering: .relaxed)
        _ = pthread_detach(handle)
    }

    /// Dropped without `join`: nobody will ever wait for it.
    deinit { if !isSettled.load(ordering: .relaxed) { _ = pthread_detach(handle) } }

    private final class Box {
        let name: String
        let body: () -> Void
        init(name: String, body: @escaping () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
