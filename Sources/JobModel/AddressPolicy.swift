// SPDX-License-Identifier: Apache-2.0

/// `network.private_addresses`: what may be fetched from addresses that are not global unicast.
public enum PrivateAddressRule: String, Sendable, Codable, CaseIterable {
    /// Everything.
    case allow
    /// A URL of a list may name a LAN host; a redirect from a public one may not lead there.
    case redirectDeny = "redirect_deny"
    /// Nothing.
    case deny
}

/// Whether a transfer may connect to an address: asked before every connect and again before every request,
/// since a reused connection skips the first.
public struct AddressPolicy: Sendable, Hashable {
    /// `network.private_addresses`.
    public let rule: PrivateAddressRule
    /// Whether this hop was sent here by a host with a public address.
    public let isRedirectFromPublic: Bool

    /// One hop's policy.
    public init(rule: PrivateAddressRule, isRedirectFromPublic: Bool) {
        self.rule = rule
        self.isRedirectFromPublic = isRedirectFromPublic
    }

    private var permitsPrivate: Bool {
        switch rule {
        case .allow: true
        case .redirectDeny: !isRedirectFromPublic
        case .deny: false
        }
    }

    /// Any thread; cheap enough for libcurl's callbacks.
    public func permits(_ address: IPAddress) -> Bool { permitsPrivate || !address.isPrivate }

    /// For a target behind the configured proxy, where only its name is known here: literal addresses, and
    /// names that mean this machine or this network by definition (RFC 6761, RFC 6762, .internal).
    public func permits(host: String) -> Bool {
        permitsPrivate || !Self.isPrivate(host: host)
    }

    /// Whether a host is private by its name alone. A name without a dot is looked up in this network's own domains
    /// first.
    public static func isPrivate(host: String) -> Bool {
        var name = host.lowercased()[...]
        while name.utf8.last == UInt8(ascii: ".") { name = name.dropLast() }
        if let address = IPAddress(String(name)) { return address.isPrivate }
        if !name.utf8.contains(UInt8(ascii: ".")) || name == "localhost.localdomain" { return true }
        return [".localhost", ".local", ".internal", ".home.arpa"].contains { name.hasSuffix($0) }
    }
}
