// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Signals read like messages (signalfd(2)) instead of handlers: no code of ours ever runs inside a signal.
///
/// `block` comes in `main` before the first thread: threads inherit the mask, and a signal that any thread
/// leaves open would be taken there. Children start with an empty mask again (`Spawn`).
public struct SignalDescriptor: ~Copyable, Sendable {
    private let queue: Descriptor

    /// Blocks these signals in the calling thread and all it starts from now on.
    public static func block(_ signals: [Int32]) throws(SystemError) {
        var set = sigset_t()
        unsafe _ = sigemptyset(&set)
        for number in signals { unsafe _ = sigaddset(&set, number) }
        try statusCall("block signals", "\(signals)") { () in unsafe pthread_sigmask(SIG_BLOCK, &set, nil) }
    }

    /// SIGPIPE answers as EPIPE at the call instead. Once, in `main`; children get the default back
    /// (`Spawn`).
    public static func ignoreBrokenPipes() { _ = Glibc.signal(SIGPIPE, SIG_IGN) }

    /// - Parameter signals: the ones that were blocked.
    public init(_ signals: [Int32]) throws(SystemError) {
        let number = try systemCall("signalfd", "\(signals)") { () in
            unsafe signals.withUnsafeBufferPointer { unsafe dld_signalfd($0.baseAddress, $0.count) }
        }
        queue = Descriptor(owning: number)
    }

    /// Readable while a signal waits. For `poll`.
    public var descriptor: Int32 { queue.rawValue }

    /// The next signal's number; nil when none waits. Never sleeps. Equal ones that came in between count as
    /// one.
    public borrowing func next() -> Int32? {
        let number = dld_signalfd_read(queue.rawValue)
        return number > 0 ? number : nil
    }

    /// Sleeps until a signal comes or the time is over (nil: for ever).
    public borrowing func wait(atMost limit: Duration?) -> Int32? {
        if let number = next() { return number }
        _ = Poll.readable([queue.rawValue], atMost: limit)
        return next()
    }
}
