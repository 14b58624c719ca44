// SPDX-License-Identifier: Apache-2.0

/// A digest algorithm that `sumd` computes.
public enum DigestAlgorithm: String, Sendable, Codable, CaseIterable {
    case sha256 = "sha-256"
    case sha512 = "sha-512"
    case sha384 = "sha-384"
    case sha224 = "sha-224"
    case sha1 = "sha-1"
    case md5
    case crc32c
    /// BLAKE2b with its full 512 bits, as `b2sum` prints it.
    case blake2b

    public var byteCount: Int {
        switch self {
        case .sha256: 32
        case .sha512, .blake2b: 64
        case .sha384: 48
        case .sha224: 28
        case .sha1: 20
        case .md5: 16
        case .crc32c: 4
        }
    }

    /// Its name without the dash: as results show it, and half of the world writes it.
    public var shortName: String {
        String(decoding: rawValue.utf8.filter { $0 != UInt8(ascii: "-") }, as: UTF8.self)
    }

    /// Its name in BSD lines: `SHA256 (name) = HEX`.
    public var tag: String {
        switch self {
        case .sha256: "SHA256"
        case .sha512: "SHA512"
        case .sha384: "SHA384"
        case .sha224: "SHA224"
        case .sha1: "SHA1"
        case .md5: "MD5"
        case .crc32c: "CRC32C"
        case .blake2b: "BLAKE2b"
        }
    }

    /// All names it goes by, lower case, the longest first.
    var spellings: [String] {
        switch self {
        // `sha2-256` is what openssl prints.
        case .sha256, .sha512, .sha384, .sha224: ["sha2-" + shortName.dropFirst(3), rawValue, shortName]
        case .sha1: [rawValue, shortName]
        case .md5, .crc32c: [rawValue]
        case .blake2b: ["blake2b-512", "blake2b512", rawValue]
        }
    }

    /// Each of their names as its bytes.
    static let allSpellings: [(name: [UInt8], algorithm: DigestAlgorithm)] = allCases.flatMap { algorithm in
        algorithm.spellings.map { (Array($0.utf8), algorithm) }
    }

    /// By any of its names, in any case; nil for a name that is none.
    public init?(spelled name: some StringProtocol) {
        let wanted = name.lowercased()
        guard let match = Self.allCases.first(where: { $0.spellings.contains(wanted) }) else { return nil }
        self = match
    }
}
