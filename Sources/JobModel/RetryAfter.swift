// SPDX-License-Identifier: Apache-2.0

/// The Retry-After field (RFC 9110 section 10.2.3), read strictly: libcurl's own reading answers 2^63-1,
/// negative numbers and 12 for `12abc`.
public enum RetryAfter {
    /// How long the server asks to wait: delay-seconds or an HTTP-date, at most an hour. nil for anything
    /// else, for zero and for a date that has passed. Any thread.
    public static func parse(_ field: String, now: WallTime) -> Duration? {
        let bytes = HTTPText.trimmed(Array(field.utf8))
        guard !bytes.isEmpty, bytes.count <= 64 else { return nil }
        if bytes.allSatisfy({ HTTPText.isDigit($0) }) {
            // More than an hour in any number of digits is an hour.
            let seconds = Int64(String(decoding: bytes, as: UTF8.self)) ?? .max
            return clamped(milliseconds: min(seconds, 86_400) * 1000)
        }
        guard let date = HTTPDate.parse(bytes) else { return nil }
        let (left, overflow) = date.rawValue.subtractingReportingOverflow(now.rawValue)
        return overflow ? nil : clamped(milliseconds: left)
    }

    private static func clamped(milliseconds: Int64) -> Duration? {
        guard milliseconds > 0 else { return nil }
        return min(RetryPolicy.longestRetryAfter, .milliseconds(milliseconds))
    }
}

/// HTTP-date (RFC 9110 section 5.6.7).
public enum HTTPDate {
    /// Reads an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`, and the two obsolete forms that a recipient
    /// must take: `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. The day of the week is
    /// not checked against the date. nil for anything else.
    public static func parse(_ text: String) -> WallTime? { parse(HTTPText.trimmed(Array(text.utf8))) }

    static func parse(_ bytes: [UInt8]) -> WallTime? {
        guard bytes.count <= 64, bytes.allSatisfy({ 0x20...0x7E ~= $0 }) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        let words = text.split(separator: " ", omittingEmptySubsequences: true)
        switch words.count {
        case 6 where words[5] == "GMT" && bytes.count == 29:
            guard days.contains(where: { words[0] == $0.prefix(3) + "," }) else { return nil }
            return time(day: words[1], month: words[2], year: number(words[3], digits: 4), clock: words[4])
        case 4 where words[3] == "GMT":
            let date = words[1].split(separator: "-", omittingEmptySubsequences: false)
            guard date.count == 3, days.contains(where: { words[0] == $0 + "," }) else { return nil }
            // Two digits: the years 1970 to 2069, as everybody reads them.
            let year = number(date[2], digits: 2).map { $0 < 70 ? 2000 + $0 : 1900 + $0 }
            return time(day: date[0], month: date[1], year: year, clock: words[2])
        case 5 where bytes.count == 24:
            guard days.contains(where: { words[0] == $0.prefix(3) }) else { return nil }
            let day = words[2].utf8.count == 1 ? "0" + words[2] : words[2]
            return time(day: day, month: words[1], year: number(words[4], digits: 4), clock: words[3])
        default:
            return nil
        }
    }

    /// An IMF-fixdate, as If-Modified-Since wants it: whole seconds, rounded down.
    public static func format(_ time: WallTime) -> String {
        // The same clamping and calendar as iso8601: "YYYY-MM-DDTHH:MM:SS.mmmZ".
        let iso = Array(time.iso8601.utf8)
        func part(_ range: Range<Int>) -> String { String(decoding: iso[range], as: UTF8.self) }
        let (year, month, day) = (Int64(part(0..<4)) ?? 0, Int64(part(5..<7)) ?? 1, Int64(part(8..<10)) ?? 1)
        let count = WallTime.daysSince1970(year: year, month: month, day: day)
        // 1970-01-01 was a Thursday.
        let weekday = Int(((count + 3) % 7 + 7) % 7)
        return
            "\(days[weekday].prefix(3)), \(part(8..<10)) \(months[Int(month) - 1]) \(part(0..<4)) \(part(11..<19)) GMT"
    }

    private static let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func time(
        day: some StringProtocol, month: some StringProtocol, year: Int64?, clock: some StringProtocol
    ) -> WallTime? {
        let parts = clock.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let hour = number(parts[0], digits: 2),
            let minute = number(parts[1], digits: 2),
            let second = number(parts[2], digits: 2), hour < 24, minute < 60, second <= 60,
            let year, let day = number(day, digits: 2), day >= 1,
            let monthIndex = months.firstIndex(where: { $0 == month })
        else { return nil }
        let count = WallTime.daysSince1970(year: year, month: Int64(monthIndex) + 1, day: day)
        // 31 Feb would quietly be a day in March.
        guard WallTime.civil(daysSince1970: count).day == day else { return nil }
        return WallTime(milliseconds: (count * 86_400 + hour * 3600 + minute * 60 + min(second, 59)) * 1000)
    }

    private static func number(_ text: some StringProtocol, digits: Int) -> Int64? {
        guard text.utf8.count == digits, text.utf8.allSatisfy({ HTTPText.isDigit($0) }) else { return nil }
        return Int64(text)
    }
}

/// What the strict readers of header fields share.
enum HTTPText {
    static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

    /// Without spaces and tabs at both ends (OWS, RFC 9110 section 5.6.3).
    static func trimmed(_ bytes: [UInt8]) -> [UInt8] {
        func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        guard let first = bytes.firstIndex(where: { !isSpace($0) }),
            let last = bytes.lastIndex(where: { !isSpace($0) })
        else { return [] }
        return Array(bytes[first...last])
    }

    /// A number of digits only that fits in an Int64.
    static func number(_ bytes: some Collection<UInt8>) -> Int64? {
        guard !bytes.isEmpty, bytes.allSatisfy({ isDigit($0) }) else { return nil }
        return Int64(String(decoding: Array(bytes), as: UTF8.self))
    }
}
