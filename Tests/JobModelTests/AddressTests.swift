// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

struct AddressTests {
    @Test(arguments: [
        ("0.0.0.0", IPAddress.v4(0)), ("127.0.0.1", .v4(0x7F00_0001)), ("255.255.255.255", .v4(.max)),
        ("::", .v6(0, 0)),
        ("::1", .v6(0, 1)), ("[::1]", .v6(0, 1)), ("1::", .v6(0x0001_0000_0000_0000, 0)),
        ("2001:db8::8:800:200C:417A", .v6(0x2001_0DB8_0000_0000, 0x0008_0800_200C_417A)),
        ("1:2:3:4:5:6:7:8", .v6(0x0001_0002_0003_0004, 0x0005_0006_0007_0008)),
        ("::ffff:1.2.3.4", .v6(0, 0xFFFF_0102_0304)),
        ("1:2:3:4:5:6:1.2.3.4", .v6(0x0001_0002_0003_0004, 0x0005_0006_0102_0304)),
        ("fe80::1%eth0", .v6(0xFE80_0000_0000_0000, 1)),
        ("1:2:3:4:5:6:7::", .v6(0x0001_0002_0003_0004, 0x0005_0006_0007_0000)),
    ])
    func `addresses are read`(text: String, address: IPAddress) {
        #expect(IPAddress(text) == address)
    }

    @Test(arguments: [
        "", ".", ":", ":::", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.-4", "1.2.3.+4",
        "1.2.3.4 ", "0x7f.1", "127.1",
        "2130706433", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "::g", "::-1", "::+1",
        "1.2.3.4::", "::1.2.3", "::1.2.3.4:5",
        "[::1", "::1]", "1:2:3:4:5:6:7:8::", "١.٢.٣.٤", ":1", "1:", "localhost", "%eth0",
        String(repeating: ":", count: 5000),
    ])
    func `what is no address is none`(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: [
        "0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1",
        "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b:1::1",
        "100::1", "2001::1",
        "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "3fff:fff::1", "fc00::1", "fd12::1",
        "fe80::1", "fec0::1", "ff02::1",
        "4000::1", "::ffff:0:127.0.0.1", "fd00:ec2::254", "2001:0:7f00:1::", "5f00::1", "fec0::1",
        "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "192.0.0.170", "192.88.99.1",
        "255.255.255.254",
    ])
    func `private addresses are private`(text: String) throws {
        #expect(try #require(IPAddress(text)).isPrivate)
    }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
        "2001:200::1", "2001:db7::1", "3ffe::1",
        "3fff:1000::1", "2606:4700::5efe:8.8.8.8", "2606:4700::5eff:10.0.0.1",
    ])
    func `public addresses are public`(text: String) throws {
        #expect(try !#require(IPAddress(text)).isPrivate)
    }

    @Test(arguments: [
        (PrivateAddressRule.allow, true, true), (.allow, false, true), (.redirectDeny, true, false),
        (.redirectDeny, false, true),
        (.deny, true, false), (.deny, false, false),
    ])
    func `the rule decides about private addresses and names`(
        rule: PrivateAddressRule, isRedirect: Bool, permits: Bool
    ) {
        let policy = AddressPolicy(rule: rule, isRedirectFromPublic: isRedirect)
        #expect(policy.permits(.v4(0x7F00_0001)) == permits)
        #expect(policy.permits(.v4(0x0808_0808)))
        for host in [
            "127.0.0.1", "[::1]", "localhost", "LOCALHOST.", "a.localhost", "nas.local",
            "metadata.google.internal", "", "127.0.0.1.", "nas", "localhost.localdomain", "[::ffff:10.0.0.1]",
        ] {
            #expect(policy.permits(host: host) == permits, "\(host)")
        }
        for host in ["example.org", "8.8.8.8", "localhost.example.org", "not.notlocal", "8.8.8.8."] {
            #expect(policy.permits(host: host))
        }
    }
}
