// SPDX-License-Identifier: Apache-2.0

import JobModel

/// Strict readings of option values, shared by both formats. Each throws a message that says what was expected;
/// the caller puts the line and the option's name in front.
enum OptionValues {
    struct Mistake: Error {
        let message: String
        init(_ message: String) { self.message = message }
    }

    static func boolean(_ text: String) throws(Mistake) -> Bool {
        switch text {
        case "true": return true
        case "false": return false
        default: throw Mistake("expected true or false, not \"\(excerpt(text))\"")
        }
    }

    /// ASCII digits only: no sign, no space, no exponent.
    static func integer(_ text: String, _ range: ClosedRange<Int64>) throws(Mistake) -> Int64 {
        let isNegative = text.utf8.first == UInt8(ascii: "-") && range.lowerBound < 0
        let digits = isNegative ? text.utf8.dropFirst() : text.utf8[...]
        guard !digits.isEmpty, digits.allSatisfy(isDigit), let value = Int64(text), range.contains(value)
        else {
            throw Mistake(
                "expected a whole number from \(range.lowerBound) to \(range.upperBound), not \"\(excerpt(text))\""
            )
        }
        return value
    }

    /// Seconds, with at most a decimal fraction.
    static func seconds(_ text: String, _ range: ClosedRange<Double>) throws(Mistake) -> Double {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let isPlain =
            (1...2).contains(parts.count) && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(isDigit) }
        guard isPlain, text.utf8.count <= 20, let value = Double(text), range.contains(value) else {
            throw Mistake(
                "expected seconds from \(Int(range.lowerBound)) to \(Int(range.upperBound)), not \"\(excerpt(text))\""
            )
        }
        return value
    }

    /// aria2's sizes: digits, then K or M (1024) or nothing.
    static func ariaSize(_ text: String) throws(Mistake) -> Int64 {
        guard let size = ByteSize.parseAria2(text) else {
            throw Mistake("expected bytes a second as digits, with K or M at most, not \"\(excerpt(text))\"")
        }
        return size
    }

    static func exists(_ text: String) throws(Mistake) -> ExistsPolicy {
        guard let policy = ExistsPolicy(rawValue: text) else {
            throw Mistake("expected rename, overwrite, skip, update or fail, not \"\(excerpt(text))\"")
        }
        return policy
    }

    static func checksum(_ text: String) throws(Mistake) -> Checksum {
        guard let checksum = Checksum(text) else {
            throw Mistake(
                "expected sha-256=HEX (or sha-512, sha-384, sha-224, sha-1, md5, crc32c, blake2b; or sha256:HEX, "
                    + "sha256-BASE64), not \"\(excerpt(text))\"")
        }
        return checksum
    }

    /// URL or path of a list of digests; which of them may be used is looked at with the entry's URLs.
    static func checksums(_ text: String) throws(Mistake) -> String {
        guard !text.isEmpty, text.utf8.count <= 8192, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else {
            throw Mistake("expected a URL, a path or none")
        }
        return text
    }

    /// The user's join key: up to 1 KiB.
    static func userID(_ text: String) throws(Mistake) -> String {
        guard text.utf8.count <= 1024 else { throw Mistake("longer than 1 KiB") }
        return text
    }

    /// Text that goes into a request's head: one line.
    static func headText(_ text: String) throws(Mistake) -> String {
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            throw Mistake("a control character in it")
        }
        return text
    }

    static func gid(_ text: String) throws(Mistake) -> JobID {
        guard let id = JobID(text) else { throw Mistake("expected 16 hex digits, not all zero") }
        return id
    }

    /// Checked only in form: which proxy may be used is not the list's to decide alone.
    static func proxy(_ text: String) throws(Mistake) -> String {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw Mistake("expected [scheme://][user:password@]host[:port], or nothing for none")
        }
        return text
    }

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// All headers of an entry together, in bytes.
    static let headersLimit = 65_536
    static let priorities: ClosedRange<Int64> = -1_000_000...1_000_000
    static let connections: ClosedRange<Int64> = 1...64
    /// aria2 takes no less, and here it is made that.
    static let leastSplit: Int64 = 1 << 20
    static let attempts: ClosedRange<Int64> = 0...1_000_000
    static let delays: ClosedRange<Double> = 0...86_400
    static let limits: ClosedRange<Double> = 1...86_400
}
