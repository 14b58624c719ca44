// SPDX-License-Identifier: Apache-2.0

/// Percent-coding of URL parts, on bytes (RFC 3986 section 2.1).
enum PercentText {
    /// Every `%XX` decoded once. What is no escape stays as it is.
    static func decoded(_ bytes: [UInt8]) -> [UInt8] { decoded(bytes) { _ in true } }

    /// Every `%XX` decoded once, but for those that would be a slash, a NUL or another control character: a
    /// server's `%2F` must not become a directory, nor `%0A` a line.
    static func decodedSegment(_ bytes: [UInt8]) -> [UInt8] {
        decoded(bytes) { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
    }

    /// `%XX` in upper case.
    static func encoded(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    private static func decoded(_ bytes: [UInt8], where accepts: (UInt8) -> Bool) -> [UInt8] {
        guard bytes.contains(UInt8(ascii: "%")) else { return bytes }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = nibble(bytes[index + 1]), let low = nibble(bytes[index + 2]),
                accepts(high << 4 | low)
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    /// The value of a hex digit in either case; nil for any other byte.
    static func nibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
