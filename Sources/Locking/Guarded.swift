// SPDX-License-Identifier: Apache-2.0

public import CLinux
public import Synchronization

/// A value behind a lock: the standard library's `Mutex`, told to the thread sanitizer.
///
/// `Mutex` waits in the standard library, which is not built with the sanitizer: after a contended lock the sanitizer
/// does not know that one thread came after the other and reports a race where there is none. So each lock says itself
/// what it orders. In other builds the two calls do nothing.
///
/// Any thread. Not recursive; never held while calling out.
public struct Guarded<Value: ~Copyable>: ~Copyable, Sendable {
    @usableFromInline let mutex: Mutex<Value>
    /// Names this lock to the sanitizer.
    @usableFromInline let name: UInt

    public init(_ value: consuming sending Value) {
        mutex = Mutex(value)
        name = dld_lock_name()
    }
    deinit { dld_lock_forget(name) }

    // Inlinable, as what is built on it: messages are copied by code that knows their type.
    @inlinable
    public borrowing func withLock<Answer: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Answer
    ) throws(Failure) -> sending Answer {
        let name = name
        return try mutex.withLock { value throws(Failure) in
            dld_lock_taken(name)
            defer { dld_lock_given(name) }
            return try body(&value)
        }
    }
}
