// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Config

struct HostRulesTests {
    private func rules(_ connections: [String: Int]) -> HostRules {
        var rules = HostRules()
        rules.defaults.connections = 99
        for (pattern, count) in connections {
            rules.overrides[pattern] = HostOverride()
            rules.overrides[pattern]?.connections = count
        }
        return rules
    }

    @Test(arguments: [
        ("h.example", "/own"), ("h.example:8080", "/port"), ("h.example:81", nil), ("a.h.example", "/below"),
        ("b.h.example", nil), ("a.h.example:81", nil), ("x.example", nil), ("h.example.", "/own"),
    ])
    func `a credentials file is for the port that its pattern names`(host: String, file: String?) {
        var rules = HostRules()
        for (pattern, file) in [
            "h.example": "/own", "h.example:8080": "/port", "*.h.example": "/below", "b.h.example": nil,
        ] {
            var given = HostOverride()
            given.credentialsFile = .some(file)
            rules.overrides[pattern] = given
        }
        #expect(rules.credentialsFile(for: HostKey(host)) == file)
        #expect(rules.credentialsFiles.map(\.pattern) == ["*.h.example", "h.example", "h.example:8080"])
    }

    @Test(arguments: [
        ("example.org", 1), ("example.org:8080", 2), ("example.org:81", 1), ("a.example.org", 3),
        ("a.example.org:9", 7), ("b.a.example.org", 4),
        ("c.b.a.example.org", 4), ("xexample.org", 5), ("org", 99), ("example.com", 99), ("example.org.", 1),
        ("a.example.org.:9", 7), ("[::1]", 6), ("[::1]:80", 6),
        ("10.0.0.1", 99), ("", 99), ("...", 99), (":", 99), ("[", 99), (".", 99), (".org", 5),
    ])
    func `the most specific pattern wins`(host: String, connections: Int) {
        let rules = rules([
            "example.org": 1, "example.org:8080": 2, "*.example.org": 3, "*.example.org:9": 7,
            "*.a.example.org": 4, "*.org": 5, "[::1]": 6, "*.0.0.1": 8,
        ])
        #expect(rules.rule(for: HostKey(host)).connections == connections)
    }

    @Test func `what a pattern does not say comes from the next`() {
        var rules = HostRules()
        rules.defaults.streams = 7
        rules.defaults.rate = RateTimetable(1000)
        rules.overrides["*.example.org"] = HostOverride()
        rules.overrides["*.example.org"]?.connections = 2
        rules.overrides["*.example.org"]?.requestsPerSecond = .some(5)
        rules.overrides["a.example.org"] = HostOverride()
        rules.overrides["a.example.org"]?.rate = .unlimited
        let rule = rules.rule(for: HostKey("a.example.org"))
        #expect(
            rule.connections == 2 && rule.streams == 7 && rule.requestsPerSecond == 5
                && rule.rate == .unlimited)
    }

    @Test func `the most streams of any host are those of the defaults or of a host with more`() {
        var rules = HostRules()
        #expect(rules.mostStreams == 32)
        rules.overrides["a.example.org"] = HostOverride()
        rules.overrides["a.example.org"]?.streams = 8
        #expect(rules.mostStreams == 32)
        rules.overrides["b.example.org"] = HostOverride()
        rules.overrides["b.example.org"]?.streams = 64
        #expect(rules.mostStreams == 64)
    }

    @Test(arguments: [
        "example.org", "example.org:8080", "*.example.org", "*.example.org:1", "[::1]", "[2001:db8::1]:443",
        "10.0.0.1", "localhost", "a_b", "xn--bcher-kva.example",
    ])
    func `patterns that are fine`(pattern: String) {
        #expect(HostRules.fault(in: pattern) == nil)
    }

    @Test func `a usual port warns`() throws {
        let reading = try ConfigFile.read(text: #"{"hosts": {"example.org:443": {}}}"#, file: "c", cores: 1)
            .get()
        #expect(reading.warnings.map(\.path) == ["hosts.\"example.org:443\""])
    }
}
