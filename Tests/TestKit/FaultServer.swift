// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Faults that need TLS, HTTP/2 frames, a resolver or a port that drops every SYN: `fault_server.py`, as data.
///
/// What plain sockets can do wrong is `ScriptedServer`'s part. A program of its own, so that it can also run in a network
/// namespace (`TestNetwork`). Any thread; it ends with the last reference.
public final class FaultServer: Sendable {
    public enum Kind: String, Sendable { case http, tls, h2 }
    /// What goes wrong for the first `times` requests of a port.
    public enum Fault: String, Sendable {
        case none
        // HTTP/1.1.
        case redirect, truncated
        case closeNotify = "close_notify"
        case noCloseNotify = "no_close_notify"
        // Before HTTP.
        case tls10 = "tls1.0"
        case tls11 = "tls1.1"
        case plainText = "plain_text"
        case deafHandshake = "deaf_handshake"
        // HTTP/2.
        case refusedStream = "refused_stream"
        case goAwayAtOnce = "goaway_at_once"
        case goAwayMidBody = "goaway_mid_body"
        /// Says that it takes no more streams, serves those it has taken, and closes: what servers do in earnest.
        case goAwayThenWhole = "goaway_then_whole"
        /// Says that it has taken the stream, and closes in its middle all the same.
        case goAwayThenCloses = "goaway_then_closes"
        case closesMidBody = "closes_mid_body"
        case endsEarly = "ends_early"
        case resetMidBody = "reset_mid_body"
        case resetWithoutError = "reset_without_error"
        /// The first stream is served; the connection dies when `times` more are open on it.
        case diesWithAll = "dies_with_all"
        /// The same, but each of them is in the middle of its body and the server says in a GOAWAY that it took none.
        case goAwayWithAll = "goaway_with_all"
    }
    public struct Port: Sendable {
        public var kind: Kind
        public var fault: Fault
        public var times: Int
        /// Of the body, in bytes.
        public var size: Int
        public var address: String
        /// 0: any that is free.
        public var port: Int
        public var location: String
        public var certificate: TestAuthority.Certificate?

        public init(
            _ kind: Kind, _ fault: Fault = .none, times: Int = 1, size: Int = 20_000,
            address: String = "127.0.0.1", port: Int = 0, location: String = "",
            certificate: TestAuthority.Certificate? = nil
        ) {
            self.kind = kind
            self.fault = fault
            self.times = times
            self.size = size
            self.address = address
            self.port = port
            self.location = location
            self.certificate = certificate
        }

        var json: ConfigValue {
            [
                "kind": .text(kind.rawValue), "fault": .text(fault.rawValue), "times": .number(times),
                "size": .number(size), "address": .text(address), "port": .number(port),
                "location": .text(location), "certificate": .text(certificate?.file ?? ""),
                "key": .text(certificate?.key ?? ""),
            ]
        }
    }
    /// What the resolver says of a name.
    public enum Name: Sendable {
        case noSuchName, serverFails, silence
        case addresses(v4: [String], v6: [String] = [])

        var json: ConfigValue {
            switch self {
            case .noSuchName: "NXDOMAIN"
            case .serverFails: "SERVFAIL"
            case .silence: "silence"
            case .addresses(let v4, let v6):
                ["A": .list(v4.map { .text($0) }), "AAAA": .list(v6.map { .text($0) })]
            }
        }
    }
    /// What the server saw.
    public struct Event: Sendable, Decodable {
        public let port: Int
        public let event: String
        public let target: String?
        public let head: [String]?
        public let name: String?
        /// Of a query: `A`, `AAAA`.
        public let kind: String?
        /// Seconds since some start.
        public let at: Double?
    }
    private struct Start: Decodable {
        let ports: [Int]
        let deaf: [Int]
    }

    public let ports: [Int]
    public let deafPorts: [Int]
    private let plans: [Port]
    private let child: ChildProcess

    /// - Parameters:
    ///   - names: answered on port 53 of the loopback; needs a namespace of its own.
    ///   - deaf: addresses and ports (0: any) where connecting never ends.
    ///   - prefix: an absolute program with arguments that becomes the server.
    public init(
        _ plans: [Port], names: [String: Name] = [:], deaf: [(String, Int)] = [], prefix: [String] = []
    ) throws {
        let plan: ConfigValue = [
            "ports": .list(plans.map(\.json)), "names": .object(names.mapValues(\.json)),
            "deaf": .list(deaf.map { .list([.text($0.0), .number($0.1)]) }),
        ]
        let script = "\(#filePath)".replacingOccurrences(of: "FaultServer.swift", with: "fault_server.py")
        let command = prefix + [try ProgramRun.find("python3"), script, plan.json]
        let child = try ChildProcess(command[0], Array(command.dropFirst()))
        let start = try eventuallySome("the fault server listens", context: { child.transcript }) {
            if !child.isRunning { throw KitError("the fault server ended\n\(child.transcript)") }
            return child.output.split(separator: "\n").first.flatMap {
                try? JSONDecoder().decode(Start.self, from: Data($0.utf8))  // half a line: not yet
            }
        }
        self.plans = plans
        self.child = child
        ports = start.ports
        deafPorts = start.deaf
    }

    public var pid: Int32 { child.pid }

    /// The URL of a path on a port of the plan, by its place there.
    public func url(_ path: String, port index: Int = 0, host: String? = nil) -> String {
        let plan = plans[index]
        let name = host ?? (plan.address.contains(":") ? "[\(plan.address)]" : plan.address)
        return "\(plan.kind == .http ? "http" : "https")://\(name):\(ports[index])/\(path)"
    }

    /// What the port serves when it serves.
    public func body(port index: Int = 0) -> [UInt8] {
        (0..<plans[index].size).map { UInt8(($0 * 31 + 7) % 251) }
    }

    /// Everything so far, in order; a line that is still being written is left out.
    public var events: [Event] {
        child.output.split(separator: "\n").dropFirst().compactMap {
            try? JSONDecoder().decode(Event.self, from: Data($0.utf8))  // half a line: not yet
        }
    }
    public func count(_ event: String, port index: Int = 0) -> Int {
        events.count { $0.port == index && $0.event == event }
    }
}

/// A network and mount namespace with a fault server and a resolver inside; needs root.
///
/// Nothing in it reaches out: there is only the loopback, with the addresses given.
public final class TestNetwork: Sendable {
    public let server: FaultServer
    private let directory: TempDirectory
    /// What makes a program run in it.
    public var prefix: [String] { ["/usr/bin/nsenter", "-t", "\(server.pid)", "-m", "-n", "--"] }

    /// - Parameter addresses: for the loopback, with their prefix: `203.0.113.1/32`.
    public init(
        _ plans: [FaultServer.Port], names: [String: FaultServer.Name] = [:], addresses: [String] = [],
        deaf: [(String, Int)] = []
    ) throws {
        directory = try TempDirectory()
        let resolv = try directory.file(
            "resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        let services = try directory.file("nsswitch.conf", "hosts: dns\n")
        let script =
            """
            set -e
            ip link set lo up
            ip route add default dev lo
            \(addresses.map { "ip addr add \($0) dev lo" }.joined(separator: "\n"))
            mount --bind \(resolv) /etc/resolv.conf
            mount --bind \(services) /etc/nsswitch.conf
            exec "$@"
            """
        server = try FaultServer(
            plans, names: names, deaf: deaf,
            prefix: ["/usr/bin/unshare", "-m", "-n", "--", "/bin/sh", "-c", script, "sh"])
    }
}
