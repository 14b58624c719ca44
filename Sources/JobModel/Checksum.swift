// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// A digest algorithm that `sumd` computes.
public enum DigestAlgorithm: String, Sendable, Codable, CaseIterable {
    case sha256 = "sha-256"
    case sha512 = "sha-512"
    case sha1 = "sha-1"
    case md5
    case crc32c

    public var byteCount: Int {
        switch self {
        case .sha256: 32
        case .sha512: 64
        case .sha1: 20
        case .md5: 16
        case .crc32c: 4
        }
    }
}

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
        let lowered = text.lowercased()
        for algorithm in DigestAlgorithm.allCases {
            let short = String(
                decoding: algorithm.rawValue.utf8.filter { $0 != UInt8(ascii: "-") }, as: UTF8.self)
            for name in Set([algorithm.rawValue, short]) where lowered.hasPrefix(name) {
                let rest = text.dropFirst(name.count)
                guard let separator = rest.first else { continue }
                let value = String(rest.dropFirst())
                let bytes: [UInt8]?
                switch separator {
                case "=", ":": bytes = Self.bytes(hex: value)
                case "-": bytes = Data(base64Encoded: value).map { Array($0) }
                default: bytes = nil
                }
                if let bytes, bytes.count == algorithm.byteCount {
                    self.init(algorithm: algorithm, bytes: bytes)
                    return
                }
            }
        }
        return nil
    }

    private static func bytes(hex: String) -> [UInt8]? {
        let digits = Array(hex.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index..<index + 2], as: UTF8.self)
            // UInt8(_, radix:) takes a sign; hex digits only.
            guard pair.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
                let byte = UInt8(pair, radix: 16)
            else { return nil }
            bytes.append(byte)
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
