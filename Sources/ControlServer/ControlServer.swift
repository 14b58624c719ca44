// SPDX-License-Identifier: Apache-2.0

import ControlAPI
public import Logging

/// How the control socket is served.
public struct ControlSettings: Sendable, Hashable {
    /// The directory must exist; its mode is the first gate.
    public var socketPath: String
    public var socketMode: UInt32 = 0o660
    /// Group that gets the socket; nil leaves the daemon's own.
    public var group: UInt32?
    /// The most bytes of a posted list; nil: no limit.
    public var maximumList: Int64?
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
    public let description: String
    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}

public final class ControlServer: Sendable {
    /// Binds, then serves on one NIO thread of its own. Returns once clients can connect. Blocks for milliseconds.
    public static func start(
        settings: ControlSettings, backend: any ControlBackend, logger: Logger
    ) throws(ControlServerError) -> ControlServer {
        throw ControlServerError(.failed, "not built")
    }
    /// Takes no new requests, lets those under way end, closes everything after `limit`, removes the socket, ends
    /// the thread. Blocks. Call once, not from the NIO thread.
    public func stop(within limit: Duration) {}
}
