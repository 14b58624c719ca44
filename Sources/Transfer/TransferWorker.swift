// SPDX-License-Identifier: Apache-2.0

import Curl
public import LinuxKit
import Locking

/// The handle that others hold of one worker thread, `dld-xfer-N`.
///
/// Any thread sends; what comes back arrives through the closure, called on the worker's thread.
public final class TransferWorker: Sendable {
    public let index: Int
    /// For the watchdog.
    public let heartbeat: Heartbeat
    private let inbox: Mailbox<TransferCommand>
    private let thread: WorkerThread

    private init(index: Int, heartbeat: Heartbeat, inbox: Mailbox<TransferCommand>, thread: WorkerThread) {
        self.index = index
        self.heartbeat = heartbeat
        self.inbox = inbox
        self.thread = thread
    }

    /// Starts the thread. `CurlGlobal.initialize` comes first.
    /// - Parameter events: called on the worker's thread, a batch a turn; must not block.
    public static func start(
        index: Int, settings: TransferSettings, events: @escaping @Sendable ([TransferEvent]) -> Void
    ) -> TransferWorker {
        let name = "dld-xfer-\(index)"
        let heartbeat = Heartbeat(name: name)
        let bell = WakePort()
        let inbox = Mailbox<TransferCommand>(wake: { bell.wake() })
        let thread = WorkerThread(name: name) {
            // Parts have their final mode from the start: a call less for each.
            WorkerThread.clearOwnUmask()
            do {
                var loop = try TransferLoop(
                    worker: index, settings: settings, inbox: inbox, bell: bell, events: events,
                    heartbeat: heartbeat)
                loop.run()
            } catch {
                // Memory or descriptors are gone at the start: the daemon cannot work.
                preconditionFailure("worker \(index) cannot start: \(error)")
            }
        }
        return TransferWorker(index: index, heartbeat: heartbeat, inbox: inbox, thread: thread)
    }

    /// Any thread; never blocks.
    public func send(_ command: TransferCommand) { inbox.send(command) }
    /// Any thread; never blocks.
    public func send(contentsOf commands: [TransferCommand]) { inbox.send(contentsOf: commands) }
    /// Waits until the thread has ended, after `stop`. Call once.
    public func join() { thread.join() }
}

/// Rings a multi handle that is made inside its thread, later than the mailbox that needs to ring it.
///
/// A ring before `install` is not lost: the loop drains its inbox once before it first sleeps.
public final class WakePort: Sendable {
    private let waker = Guarded<MultiWaker?>(nil)
    public init() {}
    /// Any thread.
    public func wake() { waker.withLock { $0 }?.wake() }
    func install(_ waker: MultiWaker) { self.waker.withLock { $0 = waker } }
}
