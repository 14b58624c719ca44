// SPDX-License-Identifier: Apache-2.0

/// How the control socket is served.
public struct ControlSettings: Sendable, Hashable {
    /// The directory must exist; its mode is the first gate.
    public var socketPath: String
    public var socketMode: UInt32 = 0o660
    /// Group that gets the socket; nil leaves the daemon's own.
    public var group: UInt32?
    /// The most bytes of a posted list; nil: no limit.
    public var maximumList: Int64?
    /// Connections served at a time; those beyond are answered 503 and closed.
    public var maximumConnections = 64
    /// What a client has time for.
    public var deadlines = ControlDeadlines()
    /// A question the daemon has not answered after so long is answered with 503: before the request's own deadline.
    public var patience = Duration.seconds(20)
    public init(socketPath: String) { self.socketPath = socketPath }
}

/// Why the socket could not be served.
public struct ControlServerError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// Somebody answers on the socket: another daemon.
        case inUse
        /// The path is taken by something that is no socket; never removed.
        case notASocket
        case failed
    }
    public let code: Code
    /// Operation, object and cause, for people.
    public let description: String
    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
