// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Locking
import NIOCore

extension ControlResponder {
    /// The bridge from replies to `async`: hands the question out and sleeps until its answer, the end of
    /// the time
    /// or the end of the server, whichever is first.
    func ask<Value: Sendable>(
        on loop: any EventLoop, within limit: Duration, _ question: (ControlReply<Value>) -> Void
    ) async throws(ControlFailure) -> Value {
        let cell = ReplyCell<Value>()
        let timer = loop.scheduleTask(in: TimeAmount(limit)) {
            cell.answer(.failure(.unavailable("the daemon did not answer in \(limit.components.seconds) s")))
        }
        let ticket = pending.insert { cell.answer(.failure(.unavailable("the daemon is stopping"))) }
        defer {
            timer.cancel()
            pending.remove(ticket)
        }
        let result = await withCheckedContinuation { continuation in
            cell.wait(continuation)
            question(ControlReply { cell.answer($0) })
        }
        return try result.get()
    }
}

/// The questions that are out: a stop answers them itself. Not by cancelling their tasks: a cancelled task
/// cannot
/// write its 503 any more.
final class PendingReplies: Sendable {
    private struct State {
        var next: UInt64 = 0
        var failures: [UInt64: @Sendable () -> Void] = [:]
        var isClosed = false
    }
    private let state = Guarded(State())

    /// - Parameter fail: answers the question; called at once where the stop has come already.
    func insert(_ fail: @escaping @Sendable () -> Void) -> UInt64 {
        let (ticket, isClosed) = state.withLock { state in
            state.next += 1
            state.failures[state.next] = fail
            return (state.next, state.isClosed)
        }
        if isClosed { fail() }
        return ticket
    }
    func remove(_ ticket: UInt64) { state.withLock { _ = $0.failures.removeValue(forKey: ticket) } }

    /// Any thread.
    func failAll() {
        let failures = state.withLock { state in
            state.isClosed = true
            return Array(state.failures.values)
        }
        for fail in failures { fail() }
    }
}

/// Answer and waiter meet here in either order; the first answer counts.
private final class ReplyCell<Value: Sendable>: Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Result<Value, ControlFailure>, Never>)
        case answered(Result<Value, ControlFailure>)
        case over
    }
    private let state = Guarded(State.idle)

    func wait(_ continuation: CheckedContinuation<Result<Value, ControlFailure>, Never>) {
        let early: Result<Value, ControlFailure>? = state.withLock { state in
            switch state {
            case .answered(let result):
                state = .over
                return result
            case .idle, .waiting, .over:
                state = .waiting(continuation)
                return nil
            }
        }
        if let early { continuation.resume(returning: early) }
    }

    func answer(_ result: Result<Value, ControlFailure>) {
        let waiter: CheckedContinuation<Result<Value, ControlFailure>, Never>? = state.withLock { state in
            switch state {
            case .idle:
                state = .answered(result)
                return nil
            case .waiting(let continuation):
                state = .over
                return continuation
            case .answered, .over:
                return nil
            }
        }
        // Outside the lock: resuming may run code.
        waiter?.resume(returning: result)
    }
}
