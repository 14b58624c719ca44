// SPDX-License-Identifier: Apache-2.0

import Glibc

/// IPv4 socket addresses in the few forms that the fixtures need.
enum SocketAddress {
    static func v4(_ address: String, port: UInt16) -> sockaddr_in {
        var value = sockaddr_in()
        value.sin_family = sa_family_t(AF_INET)
        value.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &value.sin_addr)
        return value
    }

    static func withPointer<Result>(
        _ value: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: value) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    static func port(of socket: Int32) -> UInt16 {
        var value = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &value) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(socket, $0, &length) }
        }
        return UInt16(bigEndian: value.sin_port)
    }
}

/// Ports of loopback addresses.
public enum FreePort {
    /// A port that is free on every one of the addresses now. Another process may take it before you do: fixtures try
    /// again with another one.
    public static func find(on addresses: [String] = ["127.0.0.1"]) throws -> UInt16 {
        for _ in 0..<50 {
            guard let (first, port) = bound(addresses[0], port: 0) else { break }
            defer { close(first) }
            var held: [Int32] = []
            defer { held.forEach { close($0) } }
            var isFree = true
            for address in addresses.dropFirst() {
                guard let (socket, _) = bound(address, port: port) else {
                    isFree = false
                    break
                }
                held.append(socket)
            }
            if isFree { return port }
        }
        throw KitError("no free port on \(addresses.joined(separator: ", "))")
    }

    /// A port where nothing listens and nothing will as long as the value lives: connecting is refused.
    public final class Refusing: Sendable {
        public let port: UInt16
        private let socket: Int32
        public init(_ address: String = "127.0.0.1") throws {
            guard let (socket, port) = FreePort.bound(address, port: 0) else { throw KitError.system("bind") }
            self.socket = socket
            self.port = port
        }
        deinit { close(socket) }
    }

    /// Whether something accepts connections there.
    public static func answers(_ address: String, _ port: UInt16) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        return SocketAddress.withPointer(SocketAddress.v4(address, port: port)) {
            connect(socket, $0, $1) == 0
        }
    }

    /// Bound and not listening.
    static func bound(_ address: String, port: UInt16) -> (socket: Int32, port: UInt16)? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return nil }
        let status = SocketAddress.withPointer(SocketAddress.v4(address, port: port)) { bind(socket, $0, $1) }
        guard status == 0 else {
            close(socket)
            return nil
        }
        return (socket, SocketAddress.port(of: socket))
    }
}
