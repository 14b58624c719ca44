// SPDX-License-Identifier: Apache-2.0

/// A minute of the week as the clock on the wall shows it.
public struct LocalMinute: Sendable, Hashable {
    /// 0 is Monday.
    public var weekday: Int
    /// Since midnight, 0 to 1439.
    public var minute: Int
    /// Held within a week.
    public init(weekday: Int, minute: Int) {
        self.weekday = ((weekday % 7) + 7) % 7
        self.minute = max(0, min(1439, minute))
    }
}

/// A rate that depends on the time of day: bytes a second, nil unlimited.
///
/// Reads no clock: it is asked with the local time of the moment, so a clock that jumps, in spring or by hand, is
/// followed at the next question. Where spans overlap, one that names days beats one that does not; among equals the
/// lowest rate holds. Where no span is, `standard` holds.
public struct RateTimetable: Sendable, Hashable {
    /// `sat,sun 22:00-06:00`.
    public struct Span: Sendable, Hashable {
        /// Bit 0 is Monday; of the day that the span begins on. 0 is every day.
        public var days: UInt8
        /// Minutes since midnight; `end` is the first minute that is not in it, and may lie on the next day.
        public var start: Int
        public var end: Int
        public init(days: UInt8, start: Int, end: Int) {
            self.days = days & 0x7F
            self.start = start
            self.end = end
        }

        func contains(_ now: LocalMinute) -> Bool {
            let wraps = end <= start
            if now.minute >= start, wraps || now.minute < end, isOn(now.weekday) { return true }
            return wraps && now.minute < end && isOn((now.weekday + 6) % 7)
        }

        private func isOn(_ weekday: Int) -> Bool { days == 0 || days & (1 << UInt8(weekday)) != 0 }
    }
    public struct Rule: Sendable, Hashable {
        public var span: Span
        public var rate: Int64?
        public init(span: Span, rate: Int64?) {
            self.span = span
            self.rate = rate
        }
    }

    public var standard: Int64?
    public private(set) var rules: [Rule]

    /// One rate at all times, nil for none.
    public init(_ rate: Int64?) {
        standard = rate
        rules = []
    }

    /// The order of the rules does not matter.
    public init(standard: Int64?, rules: [Rule]) {
        self.standard = standard
        self.rules = rules.sorted { $0.span.text < $1.span.text }
    }

    public static let unlimited = RateTimetable(nil)

    /// Changes with the clock.
    public var isTimed: Bool { !rules.isEmpty }

    public func rate(at now: LocalMinute) -> Int64? {
        let open = rules.filter { $0.span.contains(now) }
        let named = open.filter { $0.span.days != 0 }
        let best = (named.isEmpty ? open : named).min { ($0.rate ?? .max) < ($1.rate ?? .max) }
        return best.map { $0.rate } ?? standard
    }
}

extension RateTimetable.Span {
    private static let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// From `HH:MM-HH:MM`, with days in front or without: `sat,sun 08:00-20:00`. `24:00` ends a day. nil for anything
    /// else, a span from a time to the same time included.
    public static func parse(_ text: String) -> Self? {
        let parts = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count, let hours = parts.last else { return nil }
        var days: UInt8 = 0
        if parts.count == 2 {
            for name in parts[0].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                guard let index = names.firstIndex(where: { $0.utf8.elementsEqual(name) }) else { return nil }
                days |= 1 << UInt8(index)
            }
        }
        let ends = hours.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard ends.count == 2, let start = minutes(ends[0]), let end = minutes(ends[1]), start < 1440,
            end % 1440 != start || end == 1440 && start == 0
        else { return nil }
        return Self(days: days, start: start, end: end)
    }

    /// As `parse` reads it.
    public var text: String {
        let given = Self.names.indices.filter { days & (1 << UInt8($0)) != 0 }.map { Self.names[$0] }
        return (given.isEmpty ? "" : given.joined(separator: ",") + " ") + Self.clock(start) + "-"
            + Self.clock(end)
    }

    private static func minutes(_ text: Substring.UTF8View) -> Int? {
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, let hour = number(parts[0]), let minute = number(parts[1]), minute < 60,
            hour < 24 || hour == 24 && minute == 0
        else { return nil }
        return hour * 60 + minute
    }

    private static func number(_ digits: Substring.UTF8View) -> Int? {
        guard digits.count == 2, digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            return nil
        }
        return Int(String(decoding: digits, as: UTF8.self))
    }

    private static func clock(_ minutes: Int) -> String {
        func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return padded(minutes / 60) + ":" + padded(minutes % 60)
    }
}
