// SPDX-License-Identifier: Apache-2.0

import Locking

/// How the watchdog knows that a thread still goes round.
///
/// The loop marks each turn (at least every few seconds, also when idle: it bounds its waits). Around a call
/// that may block long (fsync of a huge file, a name server) it says which: there the limit is wider and
/// `status` names the call. Marked by one thread, read by any.
public final class Heartbeat: Sendable {
    /// What the watchdog sees at one moment.
    public struct Reading: Sendable, Hashable {
        /// Since the last mark, entry or exit.
        public let age: Duration
        /// The blocking call the thread is in.
        public let call: String?
        /// Whether the thread is within its limit.
        public func isFresh(limit: Duration, limitInCall: Duration = Heartbeat.limitInCall) -> Bool {
            age <= (call == nil ? limit : limitInCall)
        }
    }
    /// The longest a blocking call may take before its thread counts as stuck.
    public static let limitInCall: Duration = .seconds(600)

    /// Whose beat it is: the thread's name.
    public let name: String
    private let state: Guarded<State>

    private struct State {
        var marked: Int64
        var call: StaticString?
    }

    /// Starts fresh, outside any call.
    public init(name: String) {
        self.name = name
        state = Guarded(State(marked: Monotonic.nanoseconds(), call: nil))
    }

    /// Once a turn.
    public func mark() {
        let now = Monotonic.nanoseconds()
        state.withLock { $0.marked = now }
    }

    /// Before a call that may block long. Does not nest.
    public func enter(_ call: StaticString) {
        let now = Monotonic.nanoseconds()
        state.withLock { $0 = State(marked: now, call: call) }
    }

    /// After it.
    public func leave() {
        let now = Monotonic.nanoseconds()
        state.withLock { $0 = State(marked: now, call: nil) }
    }

    /// `enter`, the body, `leave`, whatever comes out of it.
    public func within<Answer: ~Copyable, Failure: Error>(
        _ call: StaticString, _ body: () throws(Failure) -> Answer
    ) throws(Failure) -> Answer {
        enter(call)
        defer { leave() }
        return try body()
    }

    /// For the watchdog.
    public func reading() -> Reading {
        let now = Monotonic.nanoseconds()
        let (marked, call) = state.withLock { ($0.marked, $0.call) }
        return Reading(age: .nanoseconds(max(0, now - marked)), call: call.map { $0.description })
    }
}
