// SPDX-License-Identifier: Apache-2.0

/// A Content-Range of a 206 (RFC 9110 section 14.4): `bytes FIRST-LAST/TOTAL` or `bytes FIRST-LAST/*`.
public struct ContentRange: Sendable, Hashable {
    /// Of the range, from 0.
    public let first: Int64
    /// Of the range, included; below `Int64.max`, so that `last + 1` never overflows.
    public let last: Int64
    /// Length of the whole file; nil for `*`.
    public let total: Int64?

    /// nil for anything that is not exactly such a range with FIRST <= LAST < TOTAL: the unsatisfied form
    /// `bytes */N` of a 416, other units, signs, spaces within, overflow. Any thread.
    public init?(_ field: String) {
        let bytes = HTTPText.trimmed(Array(field.utf8))
        // The unit's name has no case.
        guard bytes.count > 6, bytes.count <= 128,
            bytes.prefix(5).elementsEqual("bytes".utf8, by: { $0 | 0x20 == $1 }),
            bytes[5] == UInt8(ascii: " ")
        else { return nil }
        let halves = bytes[6...].split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard halves.count == 2 else { return nil }
        let ends = halves[0].split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard ends.count == 2, let first = HTTPText.number(ends[0]), let last = HTTPText.number(ends[1]),
            first <= last, last < .max
        else { return nil }
        if halves[1].elementsEqual("*".utf8) {
            total = nil
        } else {
            guard let number = HTTPText.number(halves[1]), last < number else { return nil }
            total = number
        }
        self.first = first
        self.last = last
    }

    /// Bytes in the range.
    public var count: Int64 { last - first + 1 }

    /// The total of a 416's `bytes */N`; nil for anything else.
    public static func unsatisfiedTotal(_ field: String) -> Int64? {
        let bytes = HTTPText.trimmed(Array(field.utf8))
        guard bytes.count > 8, bytes.count <= 128,
            bytes.prefix(5).elementsEqual("bytes".utf8, by: { $0 | 0x20 == $1 }),
            bytes[5...7].elementsEqual(" */".utf8)
        else { return nil }
        return HTTPText.number(bytes[8...])
    }
}

/// Content-Length, read strictly: libcurl takes the last of two different ones, and 0 for what overflows.
public enum ContentLength {
    /// The one length that all fields agree on; nil where there is no field. A field may be a list of equal
    /// numbers (RFC 9110 section 8.6), as proxies make of repeated ones. Any thread.
    ///
    /// - Throws: `bad_length` for anything but digits, for what is above 2^63-1, and for two different
    ///   values.
    public static func parse(_ fields: [String]) throws(JobError) -> Int64? {
        var length: Int64?
        for field in fields {
            for part in field.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                guard let value = HTTPText.number(HTTPText.trimmed(Array(part))) else {
                    throw JobError(.badLength, "Content-Length \(shown(field)) is no length")
                }
                if let length, length != value {
                    throw JobError(.badLength, "two different Content-Length fields: \(length) and \(value)")
                }
                length = value
            }
        }
        return length
    }

    private static func shown(_ field: String) -> String {
        "\"" + Masking.text(String(field.prefix(40))) + "\""
    }
}
