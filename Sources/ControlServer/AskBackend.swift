// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import NIOCore
import Synchronization

/// The bridge from replies to `async`: hands the question out and sleeps until its answer, the end of the time or
/// the end of the server, whichever is first.
func ask<Value: Sendable>(
    on loop: any EventLoop, within limit: Duration, _ question: (ControlReply<Value>) -> Void
) async throws(ControlFailure) -> Value {
    let cell = ReplyCell<Value>()
    let timer = loop.scheduleTask(in: TimeAmount(limit)) {
        cell.answer(.failure(.unavailable("the daemon did not answer in \(limit.components.seconds) s")))
    }
    defer { timer.cancel() }
    let result = await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            cell.wait(continuation)
            question(ControlReply { cell.answer($0) })
        }
    } onCancel: {
        cell.answer(.failure(.unavailable("the daemon is stopping")))
    }
    return try result.get()
}

/// Answer and waiter meet here in either order; the first answer counts.
private final class ReplyCell<Value: Sendable>: Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Result<Value, ControlFailure>, Never>)
        case answered(Result<Value, ControlFailure>)
        case over
    }
    private let state = Mutex(State.idle)

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
