// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// A digest that a file must have, or has.
public struct Checksum: Sendable, Hashable, CustomStringConvertible {
    public let algorithm: DigestAlgorithm
    /// `algorithm.byteCount` bytes, in the order they are written in hex.
    public let bytes: [UInt8]
    public init(algorithm: DigestAlgorithm, bytes: [UInt8]) {
        precondition(
            bytes.count == algorithm.byteCount,
            "a \(algorithm.rawValue) digest has \(algorithm.byteCount) bytes")
        self.algorithm = algorithm
        self.bytes = bytes
    }

    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
    /// As results show it: `sha256:HEX`, `md5:HEX`.
    public var description: String {
        String(decoding: algorithm.rawValue.utf8.filter { $0 != UInt8(ascii: "-") }, as: UTF8.self) + ":"
            + hex
    }
}

extension Checksum {
    /// Reads `sha-256=HEX`, `sha256=HEX`, `sha256:HEX` and `sha256-BASE64`, any case of name and hex; nil otherwise.
    public init?(_ text: String) {
        for algorithm in DigestAlgorithm.allCases {
            for name in algorithm.spellings {
                guard let bytes = Self.value(of: text, named: name), bytes.count == algorithm.byteCount else {
                    continue
                }
                self.init(algorithm: algorithm, bytes: bytes)
                return
            }
        }
        return nil
    }

    /// What stands behind the name and its separator. `blake2b-` may be a name's beginning or stand before base64:
    /// only one of the two readings has the right length.
    private static func value(of text: String, named name: String) -> [UInt8]? {
        let rest = text.utf8.dropFirst(name.utf8.count)
        let head = text.utf8.prefix(name.utf8.count)
        guard let separator = rest.first, String(decoding: head, as: UTF8.self).lowercased() == name else {
            return nil
        }
        let value = rest.dropFirst()
        switch separator {
        case UInt8(ascii: "="), UInt8(ascii: ":"): return bytes(hex: value)
        case UInt8(ascii: "-"):
            return Data(base64Encoded: String(decoding: value, as: UTF8.self)).map(Array.init)
        default: return nil
        }
    }

    /// The bytes of hex digits in either case; nil where one is none, or their number is odd.
    static func bytes(hex digits: some Collection<UInt8>) -> [UInt8]? {
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        var high: UInt8?
        for digit in digits {
            guard let value = PercentText.nibble(digit) else { return nil }
            if let upper = high {
                bytes.append(upper << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}

extension Checksum: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let checksum = Checksum(text) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription:
                    "\"\(text)\" is no checksum; expected sha-256=HEX, sha256:HEX or sha256-BASE64")
        }
        self = checksum
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
