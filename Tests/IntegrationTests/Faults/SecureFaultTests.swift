// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// TLS that is cut short, not to be trusted, too old or silent: rows H6 and H55 to H57.
@Suite struct SecureFaultTests {
    @Test func `H6 an end without close_notify is an end that nobody told`() async throws {
        try await FaultCase.play { bench, _ in
            let server = try FaultServer([
                .init(.tls, .noCloseNotify, times: 2, certificate: bench.certificate),
                .init(.tls, .closeNotify, certificate: bench.certificate),
            ])
            let bytes = server.body()
            let sum = try sha256(bytes)
            return FaultCase([
                .done(server.url("a"), bytes, name: "a", flags: ["length_unverified"]),
                .done(server.url("b"), bytes, name: "b", options: ["checksum=sha-256=\(sum)"]),
                .done(server.url("c", port: 1), bytes, name: "c", flags: ["length_unverified"]),
            ]).keeping(server)
        }
    }

    @Test func `H55 a certificate that is expired, for another host or of an unknown authority fails once`()
        async throws
    {
        try await FaultCase.play { bench, _ in
            let stranger = try TestAuthority()
            let names = "IP:127.0.0.1"
            let certificates = [
                try bench.authority.issue("expired", names: names, isExpired: true),
                try bench.authority.issue("elsewhere", names: "DNS:elsewhere.example"),
                try stranger.issue("stranger", names: names),
            ]
            let server = try FaultServer(certificates.map { .init(.tls, certificate: $0) })
            // What a list may not do: look away.
            let lax = ["check-certificate=false"]
            return FaultCase(
                certificates.indices.flatMap { index in
                    [("a", []), ("b", lax)].map {
                        .failed(server.url($0, port: index), "tls_verify", options: $1)
                    }
                }, requests: 0...0
            ) { _ in
                server.events.filter { $0.event == "request" }.map { "port \($0.port) was asked" }
            }
        }
    }

    @Test func `H56 TLS 1 0 and 1 1 and plain text on the port of TLS fail without a request`() async throws {
        try await FaultCase.play { bench, _ in
            let faults: [FaultServer.Fault] = [.tls10, .tls11, .plainText]
            let server = try FaultServer(
                faults.map { .init(.tls, $0, times: 100, certificate: bench.certificate) })
            return FaultCase(
                faults.indices.map {
                    .failed(server.url("f", port: $0), "tls", "host_unavailable", attempts: 1...3)
                }
            ) { _ in
                server.events.filter { $0.event == "request" }.map { "port \($0.port) was asked" }
            }
        }
    }

    @Test func `H57 a handshake that stalls ends with the time to connect and is tried again`() async throws {
        try await FaultCase.play { bench, _ in
            let server = try FaultServer([
                .init(.tls, .deafHandshake, times: 100, certificate: bench.certificate)
            ])
            let options = ["connect-timeout=1", "max-tries=2"]
            return FaultCase([
                .failed(
                    server.url("f"), "timeout", "tls", "host_unavailable", options: options, attempts: 1...2)
            ]) { _ in
                (2...4).contains(server.count("connection"))
                    ? [] : ["\(server.count("connection")) connections"]
            }
        }
    }
}
