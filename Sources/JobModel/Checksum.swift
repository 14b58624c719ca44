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
        var text = text
        // A ledger's rows are read by the hundred thousand: nothing is made on the way but the bytes.
        let read = text.withUTF8 { unsafe Self.read($0.span) }
        guard let read else { return nil }
        self = read
    }

    private static func read(_ text: Span<UInt8>) -> Checksum? {
        for spelling in DigestAlgorithm.allSpellings where begins(text, with: spelling.name) {
            guard let bytes = value(of: text, behind: spelling.name.count),
                bytes.count == spelling.algorithm.byteCount
            else { continue }
            return Checksum(algorithm: spelling.algorithm, bytes: bytes)
        }
        return nil
    }

    /// - Parameter name: lower case.
    private static func begins(_ text: Span<UInt8>, with name: [UInt8]) -> Bool {
        guard text.count > name.count else { return false }
        for (index, byte) in name.enumerated() {
            let given = text[index]
            guard given == byte || (given | 0x20 == byte && UInt8(ascii: "A")...UInt8(ascii: "Z") ~= given)
            else { return false }
        }
        return true
    }

    /// What stands behind the name and its separator. `blake2b-` may be a name's beginning or stand before base64:
    /// only one of the two readings has the right length.
    private static func value(of text: Span<UInt8>, behind name: Int) -> [UInt8]? {
        let value = text.extracting((name + 1)...)
        switch text[name] {
        case UInt8(ascii: "="), UInt8(ascii: ":"): return bytes(hex: value)
        case UInt8(ascii: "-"):
            let encoded = unsafe value.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
            return Data(base64Encoded: encoded).map(Array.init)
        default: return nil
        }
    }

    /// The bytes of hex digits in either case; nil where one is none, or their number is odd.
    static func bytes(hex digits: Span<UInt8>) -> [UInt8]? {
        guard digits.count % 2 == 0 else { return nil }
        var faults: UInt8 = 0
        let bytes = [UInt8](capacity: digits.count / 2) { bytes in
            for place in 0..<digits.count / 2 {
                let high = nibble(digits[2 * place], &faults)
                let low = nibble(digits[2 * place + 1], &faults)
                bytes.append(high << 4 | low)
            }
        }
        return faults == 0 ? bytes : nil
    }

    /// Without a branch that could be guessed wrong: digests are random, and rows are read by the hundred thousand.
    private static func nibble(_ byte: UInt8, _ faults: inout UInt8) -> UInt8 {
        let digit = byte &- UInt8(ascii: "0")
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        faults |= (digit < 10 ? 0 : 1) & (letter < 6 ? 0 : 1)
        return digit < 10 ? digit : letter &+ 10
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
