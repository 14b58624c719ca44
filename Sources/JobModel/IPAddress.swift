// SPDX-License-Identifier: Apache-2.0

/// An address that a transfer is about to connect to.
public enum IPAddress: Sendable, Hashable {
    /// In host order: 127.0.0.1 is 0x7F000001.
    case v4(UInt32)
    /// The upper and the lower 64 bits, in host order.
    case v6(UInt64, UInt64)

    /// Reads `192.0.2.1`, `2001:db8::1`, `[::1]`, `fe80::1%eth0` (the zone is dropped), as inet_pton(3)
    /// does: no short, octal or hex forms of IPv4. nil for anything else.
    public init?(_ text: String) {
        var bytes = Array(text.utf8)
        if bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]") {
            bytes = Array(bytes.dropFirst().dropLast())
        }
        if let address = Self.v4(bytes[...]) {
            self = .v4(address)
            return
        }
        if let percent = bytes.firstIndex(of: UInt8(ascii: "%")) { bytes = Array(bytes[..<percent]) }
        guard let groups = Self.v6(bytes) else { return nil }
        self = .v6(Self.joined(groups[..<4]), Self.joined(groups[4...]))
    }

    /// Whether it is anything but global unicast: loopback, RFC 1918, link-local (and with it the metadata
    /// service of clouds), zero, shared (RFC 6598), unique local, benchmarking, documentation, multicast,
    /// reserved, and the IPv6 forms that carry such an IPv4 address. The IANA special-purpose registries,
    /// in doubt private.
    public var isPrivate: Bool {
        switch self {
        case .v4(let address): Self.isPrivate(v4: address)
        case .v6(let high, let low): Self.isPrivate(v6: high, low)
        }
    }

    private static func isPrivate(v4 address: UInt32) -> Bool {
        let ranges: [(UInt32, Int)] = [
            (0x0000_0000, 8), (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16),
            (0xAC10_0000, 12), (0xC000_0000, 24), (0xC000_0200, 24), (0xC058_6300, 24), (0xC0A8_0000, 16),
            (0xC612_0000, 15), (0xC633_6400, 24), (0xCB00_7100, 24), (0xE000_0000, 3),
        ]
        return ranges.contains { (address ^ $0.0) >> UInt32(32 - $0.1) == 0 }
    }

    private static func isPrivate(v6 high: UInt64, _ low: UInt64) -> Bool {
        let embedded = UInt32(truncatingIfNeeded: low)
        switch (high, low >> 32) {
        // ::ffff:0:0/96 mapped; 64:ff9b::/96 NAT64 (RFC 6052).
        case (0, 0xFFFF), (0x0064_FF9B_0000_0000, 0): return isPrivate(v4: embedded)
        default: break
        }
        // 2002::/16, 6to4: the IPv4 address follows the prefix.
        if high >> 48 == 0x2002 { return isPrivate(v4: UInt32(truncatingIfNeeded: high >> 16)) }
        // ISATAP (RFC 5214): the IPv4 address of the tunnel's end is the interface's.
        if low >> 32 | 0x0200_0000 == 0x0200_5EFE, isPrivate(v4: embedded) { return true }
        // Only 2000::/3 is global unicast; of it 2001::/23 (protocols, Teredo), 2001:db8::/32 and 3fff::/20
        // (documentation) are not.
        return high >> 61 != 1 || high >> 41 == 0x2001_0000 >> 9 || high >> 32 == 0x2001_0DB8
            || high >> 44 == 0x3FFF0
    }

    private static func v4(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard 1...3 ~= part.count, part.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
                part.count == 1 || part.first != UInt8(ascii: "0")
            else { return nil }
            let value = part.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - UInt8(ascii: "0")) }
            guard value <= 255 else { return nil }
            address = address << 8 | value
        }
        return address
    }

    /// Eight groups, or nil.
    private static func v6(_ bytes: [UInt8]) -> [UInt16]? {
        let colon = UInt8(ascii: ":")
        guard 2...45 ~= bytes.count else { return nil }
        var gap: Int?
        for index in 0..<(bytes.count - 1) where bytes[index] == colon && bytes[index + 1] == colon {
            guard gap == nil else { return nil }
            gap = index
        }
        guard let gap else {
            let groups = groups(bytes[...])
            return groups?.count == 8 ? groups : nil
        }
        guard let front = groups(bytes[..<gap]), let back = groups(bytes[(gap + 2)...]),
            front.count + back.count < 8,
            !bytes[..<gap].contains(UInt8(ascii: "."))
        else { return nil }
        return front + Array(repeating: 0, count: 8 - front.count - back.count) + back
    }

    private static func groups(_ bytes: ArraySlice<UInt8>) -> [UInt16]? {
        if bytes.isEmpty { return [] }
        var groups: [UInt16] = []
        let parts = bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let address = v4(part) else { return nil }
                groups += [UInt16(truncatingIfNeeded: address >> 16), UInt16(truncatingIfNeeded: address)]
                continue
            }
            guard 1...4 ~= part.count, part.allSatisfy({ isHex($0) }),
                let value = UInt16(String(decoding: part, as: UTF8.self), radix: 16)
            else { return nil }
            groups.append(value)
        }
        return groups
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }

    private static func joined(_ groups: ArraySlice<UInt16>) -> UInt64 {
        groups.reduce(0) { $0 << 16 | UInt64($1) }
    }
}
