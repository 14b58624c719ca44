// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// Names and addresses that lead nowhere or where they must not: rows H19 and H58 to H63.
///
/// Those with a resolver live in a network namespace: its first port is the good origin.
@Suite struct ResolverFaultTests {
    @Test func `H19 a redirect from outside to an address inside is refused before it is connected to`()
        async throws
    {
        if skip("H19", unless: geteuid() == 0, "network namespaces need root") { return }
        let targets = [
            "http://127.0.0.1:81/x", "http://[::1]:81/x", "http://169.254.169.254:81/x",
            "http://10.0.0.1:81/x",
            "http://0.0.0.0:81/x", "http://[::ffff:127.0.0.1]:81/x", "http://[fe80::1]:81/x",
            "http://inside.test:81/x",
        ]
        let outside = "1.2.3.4"
        let network = try TestNetwork(
            [.init(.http, address: outside), .init(.http, address: "0.0.0.0", port: 81)]
                + targets.map { .init(.http, .redirect, times: 9, address: outside, location: $0) },
            names: ["inside.test": .addresses(v4: ["10.0.0.1"])],
            addresses: ["1.2.3.4/32", "10.0.0.1/32", "169.254.169.254/32"])
        try await FaultCase.play(on: { try FaultBench(network: network) }) { _, _ in
            FaultCase(
                targets.indices.map { .failed(network.server.url("f", port: $0 + 2), "private_address") }
            ) { _ in
                network.server.count("connection", port: 1) == 0 ? [] : ["an inner address was connected to"]
            }
        }
    }

    @Test func `H58 a name that does not exist is tried few times, far apart, and fails as dns`() async throws
    {
        if skip("H58", unless: geteuid() == 0, "network namespaces need root") { return }
        let network = try TestNetwork([.init(.http)], names: ["gone.test": .noSuchName])
        let patience: ConfigValue = ["retry": ["base_delay": "25ms", "max_delay": "10s"]]
        try await FaultCase.play(on: { try FaultBench(patience, network: network) }) { _, _ in
            FaultCase([.failed("http://gone.test/f", "dns", attempts: 3...3)]) { _ in
                let queries = network.server.events.filter { $0.name == "gone.test" }
                // A and AAAA, once each for an attempt.
                let kinds = queries.compactMap(\.kind).sorted()
                let expected: [String] = ["A", "A", "A", "AAAA", "AAAA", "AAAA"]
                guard kinds == expected else { return ["\(kinds) asked for"] }
                // Eight times the back-off of other faults, and three quarters of it at least: 150 ms, then 300 ms.
                let times: [Double] = queries.compactMap(\.at)
                let first = times[2] - times[1]
                let second = times[4] - times[3]
                return first >= 0.150 && second >= 0.300 ? [] : ["pauses of \(first) and \(second) s"]
            }
        }
    }

    @Test func `H59 a resolver that fails or is silent is tried again and holds up no worker`() async throws {
        if skip("H59", unless: geteuid() == 0, "network namespaces need root") { return }
        let network = try TestNetwork(
            [.init(.http)], names: ["broken.test": .serverFails, "silent.test": .silence])
        try await FaultCase.play(on: { try FaultBench(["workers": 1], network: network) }) { _, _ in
            let options = ["connect-timeout=1", "max-tries=2"]
            return FaultCase([
                .failed(
                    "http://broken.test/f", "dns", "timeout", "host_unavailable", options: options,
                    attempts: 1...2),
                .failed(
                    "http://silent.test/f", "dns", "timeout", "host_unavailable", options: options,
                    attempts: 1...2),
            ]) { _ in
                let names = Set(network.server.events.compactMap(\.name))
                return names == ["broken.test", "silent.test"] ? [] : ["asked for \(names)"]
            }
        }
    }

    @Test func `H60 a host whose first address is dead is reached by its second`() async throws {
        if skip("H60", unless: geteuid() == 0, "network namespaces need root") { return }
        let network = try TestNetwork(
            [.init(.http), .init(.http, address: "127.0.0.9", port: 82)],
            names: ["two.test": .addresses(v4: ["127.0.0.1", "127.0.0.9"])], deaf: [("127.0.0.1", 82)])
        try await FaultCase.play(on: { try FaultBench(network: network) }) { _, _ in
            FaultCase([
                .done(
                    network.server.url("f", port: 1, host: "two.test"), network.server.body(), attempts: 1...1
                )
            ])
        }
    }

    @Test func `H61 a host whose IPv6 address is dead is reached by IPv4`() async throws {
        if skip("H61", unless: geteuid() == 0, "network namespaces need root") { return }
        let network = try TestNetwork(
            [.init(.http), .init(.http, address: "127.0.0.9", port: 82)],
            names: ["both.test": .addresses(v4: ["127.0.0.9"], v6: ["fd00::9"])], addresses: ["fd00::9/128"],
            deaf: [("fd00::9", 82)])
        try await FaultCase.play(on: { try FaultBench(network: network) }) { _, _ in
            FaultCase([
                .done(
                    network.server.url("f", port: 1, host: "both.test"), network.server.body(),
                    attempts: 1...1)
            ])
        }
    }

    @Test func `H62 proxies of the environment are not asked`() async throws {
        let proxy = try ScriptedServer()
        let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"]
        let environment = Dictionary(
            uniqueKeysWithValues: names.map { ($0, Optional("http://127.0.0.1:\(proxy.port)")) })
        try await FaultCase.play(on: { try FaultBench(environment: environment) }) { _, server in
            server.routeAll { _ in ScriptedReply(body: "x".utf8) }
            return FaultCase([.done(server.url("f"), "x".utf8)], requests: 1...1) { _ in
                proxy.connectionCount == 0 ? [] : ["the proxy was asked"]
            }
        }
    }

    @Test func `H63 a netrc of the user is not read`() async throws {
        let home = try TempDirectory()
        for name in [".netrc", "_netrc"] {
            try home.file(name, "machine 127.0.0.1 login joe password secret\ndefault login a password b\n")
        }
        let environment = ["HOME": Optional(home.path), "NETRC": home.sub(".netrc")]
        try await FaultCase.play(on: { try FaultBench(environment: environment) }) { _, server in
            server.routeAll { _ in ScriptedReply(body: "x".utf8) }
            return FaultCase([.done(server.url("f"), "x".utf8)], requests: 1...1) { _ in
                server.requests[0].header("authorization") == nil ? [] : ["credentials were sent"]
            }
        }
    }
}
