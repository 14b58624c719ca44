// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import Locking

/// The way back for one answer. Any thread calls it, once; what comes later (the client gone, the time over)
/// is
/// dropped. A reply that is let go of without being called answers `.unavailable` by itself, so that a
/// message lost
/// in a shutdown does not leave a client hanging.
public final class ControlReply<Value: Sendable>: Sendable {
    private let handler: Guarded<(@Sendable (Result<Value, ControlFailure>) -> Void)?>

    /// - Parameter handler: called exactly once, on the thread that answers; must return at once.
    public init(_ handler: @escaping @Sendable (Result<Value, ControlFailure>) -> Void) {
        self.handler = Guarded(handler)
    }
    deinit { answer(.failure(.unavailable("the daemon is stopping"))) }

    public func answer(_ result: Result<Value, ControlFailure>) {
        // Taken under the lock, called outside it: whoever answers first wins.
        let taken = handler.withLock { handler in
            defer { handler = nil }
            return handler
        }
        taken?(result)
    }
    public func succeed(_ value: Value) { answer(.success(value)) }
    public func fail(_ failure: ControlFailure) { answer(.failure(failure)) }
}

extension ControlReply where Value == Void {
    public func succeed() { answer(.success(())) }
}

/// A request that is not answered with 2xx.
public struct ControlFailure: Error, Sendable, Hashable {
    /// The HTTP status.
    public let status: Int
    public let document: ErrorDocument
    /// The Allow header of a 405.
    let allow: String?
    public init(status: Int, code: String, message: String) {
        self.init(status: status, code: code, message: message, allow: nil)
    }
    init(status: Int, code: String, message: String, allow: String?) {
        self.status = status
        self.allow = allow
        document = ErrorDocument(code: code, message: message)
    }
    /// The body that says so.
    var json: [UInt8] {
        // An empty body with the right status is still an answer.
        let encoded = try? ControlAPI.encode(document)  // two strings always encode
        return (encoded ?? []) + [UInt8(ascii: "\n")]
    }
    /// 400: the request makes no sense, and will not later.
    public static func badRequest(_ message: String) -> Self {
        Self(status: 400, code: "bad_request", message: message)
    }
    /// 404: no such list, job, host or path.
    public static func notFound(_ message: String) -> Self {
        Self(status: 404, code: "not_found", message: message)
    }
    /// 409: not in the state it is in (cancel of an ended job; a configuration that was refused).
    public static func conflict(_ message: String) -> Self {
        Self(status: 409, code: "conflict", message: message)
    }
    /// 413.
    public static func tooLarge(_ message: String) -> Self {
        Self(status: 413, code: "too_large", message: message)
    }
    /// 422: the posted file is no list.
    public static func rejected(_ message: String) -> Self {
        Self(status: 422, code: "rejected", message: message)
    }
    /// 503: not now (starting, stopping, disk full).
    public static func unavailable(_ message: String) -> Self {
        Self(status: 503, code: "unavailable", message: message)
    }
}
