// SPDX-License-Identifier: Apache-2.0

/// One request to the control socket.
public struct ControlRequest {
    public enum Body {
        case none
        case bytes([UInt8])
        /// Bytes as they are read, one chunk a call, until nil. `size` of them; nil sends with chunked
        /// coding.
        case stream(size: Int64?, next: () throws(TransportError) -> [UInt8]?)
    }
    public var method: String
    /// Path and query, percent-encoded.
    public var target: String
    public var body: Body
    /// For everything, from connect to the last byte; nil: no limit but the socket's own.
    public var limit: Duration?
    public init(_ method: String, _ target: String, body: Body = .none, limit: Duration? = .seconds(5)) {
        self.method = method
        self.target = target
        self.body = body
        self.limit = limit
    }
}

/// What came back, whatever its status.
public struct ControlResponse: Sendable {
    public var status: Int
    public var body: [UInt8]
    public init(status: Int, body: [UInt8]) {
        self.status = status
        self.body = body
    }
}

/// Carries requests to a daemon: libcurl over the Unix socket (`CurlTransport`), or a double in tests.
public protocol ControlTransport {
    /// Blocks. Throws only where no complete response came.
    func send(_ request: ControlRequest) throws(TransportError) -> ControlResponse
}

/// Why no response came.
public struct TransportError: Error, Sendable, Hashable {
    public enum Cause: Sendable, Hashable {
        /// Nobody listens: no socket, or a dead one.
        case noDaemon
        /// EACCES on the way to the socket.
        case notPermitted
        /// Somebody listens, but no answer came in time.
        case timeout
        /// The connection broke, or what came was no HTTP.
        case broken
        /// The body to be sent could not be read.
        case input
    }
    public let cause: Cause
    public let message: String
    public init(_ cause: Cause, _ message: String) {
        self.cause = cause
        self.message = message
    }
}
