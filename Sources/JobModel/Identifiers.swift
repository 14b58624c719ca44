// SPDX-License-Identifier: Apache-2.0

/// The number of a list: decimal, from 1, never reused.
public struct ListID: RawRepresentable, Hashable, Sendable, Comparable, Codable, CustomStringConvertible {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(_ value: Int64) { rawValue = value }
    public static func < (a: ListID, b: ListID) -> Bool { a.rawValue < b.rawValue }
    public var description: String { String(rawValue) }
}

/// A job's place in the dense sequence that the ledger's rows are keyed by, from 1.
///
/// Inside the program a job is known by this number only. What users see is `JobID`.
public struct JobSeq: RawRepresentable, Hashable, Sendable, Comparable, Codable, CustomStringConvertible {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(_ value: Int64) { rawValue = value }
    public static func < (a: JobSeq, b: JobSeq) -> Bool { a.rawValue < b.rawValue }
    public var description: String { String(rawValue) }
}

/// The public name of a job: 64 bits, written as 16 hex digits in lower case (aria2's GID has the same form).
public struct JobID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Exactly 16 ASCII hex digits and not all zero; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let digits = text.utf8
        guard digits.count == 16 else { return nil }
        var value: UInt64 = 0
        for byte in digits {
            guard let nibble = Self.nibble(byte) else { return nil }
            value = value << 4 | UInt64(nibble)
        }
        guard value != 0 else { return nil }
        rawValue = value
    }

    public var description: String {
        let hex = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - hex.utf8.count) + hex
    }

    private static func nibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// The keyed permutation between `JobSeq` and `JobID`: ids need no index and tell nobody how many jobs there are.
///
/// A four-round Feistel network over two 32-bit halves with a 64-bit key. It is no cipher in the cryptographic
/// sense and need not be: who may open the control socket may see every job.
public struct JobIDCipher: Sendable, Hashable {
    public let key: UInt64
    public init(key: UInt64) { self.key = key }

    public func id(of seq: JobSeq) -> JobID {
        var (left, right) = Self.halves(UInt64(bitPattern: seq.rawValue))
        for round in 0..<UInt64(4) { (left, right) = (right, left ^ mix(right, round)) }
        return JobID(rawValue: UInt64(left) << 32 | UInt64(right))
    }

    /// The sequence number behind an id. Every id has one; whether such a job exists the ledger knows.
    public func seq(of id: JobID) -> JobSeq {
        var (left, right) = Self.halves(id.rawValue)
        for round in (0..<UInt64(4)).reversed() { (left, right) = (right ^ mix(left, round), left) }
        return JobSeq(Int64(bitPattern: UInt64(left) << 32 | UInt64(right)))
    }

    private static func halves(_ value: UInt64) -> (UInt32, UInt32) {
        (UInt32(truncatingIfNeeded: value >> 32), UInt32(truncatingIfNeeded: value))
    }

    /// splitmix64's finaliser over half, round and key.
    private func mix(_ half: UInt32, _ round: UInt64) -> UInt32 {
        var z = (UInt64(half) | round << 32) &+ key &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return UInt32(truncatingIfNeeded: z ^ (z >> 31))
    }
}
