// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LinuxKit

@Suite struct NetworkFactsTests {
    private static let head =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    private static let lan = "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    private static let out = "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    private static let refused = "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"
    private static let zeros = String(repeating: "0", count: 32)
    private static func six(_ flags: String, _ interface: String) -> String {
        "\(zeros) 00 \(zeros) 00 fe80\(String(repeating: "0", count: 28)) 00000400 00000001 00000000 \(flags) \(interface)\n"
    }

    @Test func `a default route is found in either table`() {
        #expect(NetworkFacts.hasDefault(four: Self.head + Self.lan + Self.out, six: ""))
        #expect(NetworkFacts.hasDefault(four: Self.head + Self.lan, six: Self.six("00000003", "eth0")))
    }

    @Test func `a local network, a refusing route and the one on lo are no way out`() {
        #expect(!NetworkFacts.hasDefault(four: Self.head, six: ""))
        #expect(!NetworkFacts.hasDefault(four: Self.head + Self.lan, six: ""))
        #expect(!NetworkFacts.hasDefault(four: Self.head + Self.refused, six: Self.six("00200200", "lo")))
        #expect(!NetworkFacts.hasDefault(four: "nonsense\n1 2 3\n", six: "nonsense"))
    }

    @Test func `localhost is found, a name that cannot be is not`() {
        #expect(NetworkFacts.lookUp("localhost") == .found)
        #expect(NetworkFacts.lookUp("a..b") != .found)
    }
}
