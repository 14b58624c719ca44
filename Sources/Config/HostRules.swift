// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// What one host is granted.
public struct HostRule: Sendable, Hashable {
    /// Connections at a time.
    public var connections = 6
    /// Transfers on each HTTP/2 connection.
    public var streams = 32
    /// Request starts a second; nil is unlimited.
    public var requestsPerSecond: Double?
    /// Bytes a second, all transfers of the host together.
    public var rate = RateTimetable.unlimited
    /// After this long without one success a host's jobs fail as `host_unavailable`; nil is never.
    public var giveUp: Duration? = .seconds(86_400)
    /// Nothing said yet, or the defaults.
    public init() {}
}

/// What a pattern of `hosts` sets: only what is given wins over less specific patterns.
public struct HostOverride: Sendable, Hashable {
    /// nil: not given.
    public var connections: Int?
    /// nil: not given.
    public var streams: Int?
    /// Outer nil: not given. Inner nil: unlimited.
    public var requestsPerSecond: Double??
    /// nil: not given.
    public var rate: RateTimetable?
    /// As above; inner nil: never.
    public var giveUp: Duration??
    /// As above; inner nil: none.
    public var credentialsFile: String??
    /// Nothing said yet, or the defaults.
    public init() {}

    func apply(to rule: inout HostRule) {
        if let connections { rule.connections = connections }
        if let streams { rule.streams = streams }
        if let requestsPerSecond { rule.requestsPerSecond = requestsPerSecond }
        if let rate { rule.rate = rate }
        if let giveUp { rule.giveUp = giveUp }
    }
}

/// `hosts`: the default and the patterns `H`, `H:port`, `*.H`, `*.H:port`.
///
/// A host takes each value from the most specific pattern that sets it: `H:port`, then `H`, then `*.H` with
/// the longest H first, then the default. `*.example.org` is for subdomains, not for example.org itself.
public struct HostRules: Sendable, Hashable {
    /// `hosts.default`.
    public var defaults = HostRule()
    /// By pattern, lower case.
    public var overrides: [String: HostOverride] = [:]
    /// Nothing said yet, or the defaults.
    public init() {}

    /// Costs a handful of dictionary look-ups: as many as the name has labels. Any thread.
    public func rule(for host: HostKey) -> HostRule {
        var rule = defaults
        guard !overrides.isEmpty else { return rule }
        // Least specific first: later ones overwrite.
        for pattern in Self.patterns(for: host).reversed() { overrides[pattern]?.apply(to: &rule) }
        return rule
    }

    /// Some host's rate depends on the time of day.
    public var hasTimedRates: Bool {
        defaults.rate.isTimed || overrides.values.contains { $0.rate?.isTimed ?? false }
    }

    /// The file with the secret for a host, from the most specific pattern that sets one. A pattern names one port,
    /// the usual one where it has none: what is kept for `H` is not for whatever listens on `H:8080`. Any thread.
    public func credentialsFile(for host: HostKey) -> String? {
        guard overrides.contains(where: { $0.value.credentialsFile != nil }) else { return nil }
        let hasPort = Self.port(of: host.rawValue) != nil
        for pattern in Self.patterns(for: host) where (Self.port(of: pattern) != nil) == hasPort {
            if let given = overrides[pattern]?.credentialsFile { return given }
        }
        return nil
    }

    /// Every pattern that names a file, in their order.
    public var credentialsFiles: [(pattern: String, file: String)] {
        overrides.sorted { $0.key < $1.key }.compactMap { pattern, given in
            (given.credentialsFile ?? nil).map { (pattern, $0) }
        }
    }

    private static func port(of host: String) -> Substring? {
        guard host.utf8.last != UInt8(ascii: "]"), let colon = host.utf8.lastIndex(of: UInt8(ascii: ":"))
        else {
            return nil
        }
        return host[colon...]
    }

    /// The most connections that any host is granted: a backstop for those who do not know the host.
    public var mostConnections: Int {
        overrides.values.reduce(defaults.connections) { max($0, $1.connections ?? 0) }
    }

    /// The most streams that any host is granted on a connection: libcurl has one number for all hosts.
    public var mostStreams: Int {
        overrides.values.reduce(defaults.streams) { max($0, $1.streams ?? 0) }
    }

    /// Every pattern that could name the host, most specific first.
    static func patterns(for host: HostKey) -> [String] {
        let key = Array(host.rawValue.utf8)
        var name = key
        var port: [UInt8] = []
        if key.last != UInt8(ascii: "]"), let colon = key.lastIndex(of: UInt8(ascii: ":")) {
            name = Array(key[..<colon])
            port = Array(key[colon...])
        }
        // `example.org.` is the same host; it must not slip out of its rule.
        if name.count > 1, name.last == UInt8(ascii: ".") { name.removeLast() }
        var patterns: [[UInt8]] = port.isEmpty ? [name] : [name + port, name]
        if name.first != UInt8(ascii: "["), IPAddress(String(decoding: name, as: UTF8.self)) == nil {
            var rest = name[...]
            while let dot = rest.firstIndex(of: UInt8(ascii: ".")) {
                let parent = Array("*".utf8) + rest[dot...]
                if !port.isEmpty { patterns.append(parent + port) }
                patterns.append(parent)
                rest = rest[(dot + 1)...]
            }
        }
        return patterns.map { String(decoding: $0, as: UTF8.self) }
    }

    /// What is wrong with a pattern, nil if it is one.
    static func fault(in pattern: String) -> String? {
        if pattern != pattern.lowercased() {
            return "expected lower case: \"\(Masking.text(pattern.lowercased()))\""
        }
        let expected =
            "expected a host such as \"example.org\", \"example.org:8080\", \"*.example.org\" or \"[::1]\""
        var name = Array(pattern.utf8)
        if name.contains(UInt8(ascii: "/")) { return expected + ", without scheme or path" }
        if name.last != UInt8(ascii: "]"), let colon = name.lastIndex(of: UInt8(ascii: ":")) {
            let port = String(decoding: name[(colon + 1)...], as: UTF8.self)
            guard port.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
                let number = Int(port),
                1...65_535 ~= number, port.utf8.first != UInt8(ascii: "0")
            else { return expected + "; a port is 1 to 65535, an IPv6 address stands in brackets" }
            name = Array(name[..<colon])
        }
        if name.first == UInt8(ascii: "[") {
            guard name.last == UInt8(ascii: "]"), IPAddress(String(decoding: name, as: UTF8.self)) != nil
            else {
                return expected
            }
            return nil
        }
        if name.starts(with: "*.".utf8) { name.removeFirst(2) }
        let labels = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            1...63 ~= label.count && label.allSatisfy { isHostByte($0) }
        }
        guard isName, name.count <= 253 else {
            return name.contains { $0 >= 0x80 }
                ? expected + "; write IDN hosts as punycode (xn--...)" : expected
        }
        return nil
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
