// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// A moment as documents carry it: `2026-11-22T10:00:00.123Z`, always UTC, always with milliseconds (RFC
/// 3339).
public struct Timestamp: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    public let time: WallTime
    /// Held within the years 1970 to 9999, so that the text has one form.
    public init(_ time: WallTime) {
        self.time = WallTime(milliseconds: min(max(time.rawValue, 0), 253_402_300_799_999))
    }
    public static func < (a: Self, b: Self) -> Bool { a.time < b.time }

    public var description: String { time.iso8601 }

    /// Reads exactly the form that `description` writes; nil for anything else.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 24 else { return nil }
        let marks: [Int: Character] = [4: "-", 7: "-", 10: "T", 13: ":", 16: ":", 19: ".", 23: "Z"]
        for (index, mark) in marks where Character(Unicode.Scalar(bytes[index])) != mark { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            let fraction = number(20..<23), (1...12).contains(month), (1...31).contains(day), hour < 24,
            minute < 60, second < 61
        else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        self.init(
            WallTime(milliseconds: ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + fraction))
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Timestamp(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected a time like 2026-11-22T10:00:00.123Z")
        }
        self = value
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// Days since 1970-01-01 of a date of the Gregorian calendar, counted in years that begin in March so
    /// that the
    /// leap day comes last. No Foundation calendar: dlctl links without its tables.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted % 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
