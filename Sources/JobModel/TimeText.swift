// SPDX-License-Identifier: Apache-2.0

extension WallTime {
    /// `2026-11-22T10:00:00.123Z`: UTC, always with three decimals, so that text order is time order.
    ///
    /// Years 0 to 9999; what lies beyond is held at their ends. Any thread.
    public var iso8601: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(24)
        appendISO8601(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The same, for a line that is made of bytes.
    func appendISO8601(to bytes: inout [UInt8]) {
        // 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z.
        let clamped = max(-62_167_219_200_000, min(253_402_300_799_999, rawValue))
        let day = clamped >= 0 ? clamped / 86_400_000 : (clamped - 86_399_999) / 86_400_000
        let inDay = clamped - day * 86_400_000
        let (year, month, dayOfMonth) = Self.civil(daysSince1970: day)
        Self.append(year, from: 1000, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(month, from: 10, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(dayOfMonth, from: 10, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        Self.append(inDay / 3_600_000, from: 10, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(inDay / 60_000 % 60, from: 10, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(inDay / 1000 % 60, from: 10, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        Self.append(inDay % 1000, from: 100, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible
    /// low-level date algorithms"). Month 1 to 12, day 1 to 31; year within +-10^6.
    static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    /// Its decimal digits from that of `place` on.
    private static func append(_ number: Int64, from place: Int64, to bytes: inout [UInt8]) {
        var place = place
        while place > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / place % 10))
            place /= 10
        }
    }
}
