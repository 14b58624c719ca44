// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct RateTimetableTests {
    private static func table(_ standard: Int64?, _ rules: [(String, Int64?)]) throws -> RateTimetable {
        RateTimetable(
            standard: standard,
            rules: try rules.map { RateTimetable.Rule(span: try #require(.parse($0.0)), rate: $0.1) })
    }
    private static func at(_ weekday: Int, _ hour: Int, _ minute: Int = 0) -> LocalMinute {
        LocalMinute(weekday: weekday, minute: hour * 60 + minute)
    }

    @Test(
        arguments: [
            (0, 21, 59, 100), (0, 22, 0, nil), (0, 23, 59, nil), (1, 0, 0, nil), (1, 5, 59, nil),
            (1, 6, 0, 100),
            (6, 23, 0, nil), (0, 3, 0, nil),
        ] as [(Int, Int, Int, Int64?)])
    func `a span over midnight ends with its minute`(
        weekday: Int, hour: Int, minute: Int, rate: Int64?
    ) throws {
        let table = try Self.table(100, [("22:00-06:00", nil)])
        #expect(table.rate(at: Self.at(weekday, hour, minute)) == rate)
    }

    @Test func `the days of a span are those it begins on`() throws {
        let table = try Self.table(1, [("sat,sun 22:00-06:00", 9)])
        #expect(table.rate(at: Self.at(5, 5)) == 1)
        #expect(table.rate(at: Self.at(5, 22)) == 9)
        #expect(table.rate(at: Self.at(0, 5, 59)) == 9)
        #expect(table.rate(at: Self.at(0, 22)) == 1)
    }

    @Test func `named days win over all days, then the lowest rate holds`() throws {
        let table = try Self.table(
            50, [("08:00-20:00", 10), ("12:00-13:00", 5), ("sat 08:00-20:00", nil), ("sat 19:00-21:00", 70)])
        #expect(table.rate(at: Self.at(0, 9)) == 10)
        #expect(table.rate(at: Self.at(0, 12, 30)) == 5)
        #expect(table.rate(at: Self.at(5, 12, 30)) == nil)
        #expect(table.rate(at: Self.at(5, 19, 30)) == 70)
        #expect(table.rate(at: Self.at(5, 20, 30)) == 70)
        #expect(table.rate(at: Self.at(5, 21)) == 50)
    }

    @Test func `without a default there is no limit between the spans`() throws {
        let table = try Self.table(nil, [("08:00-24:00", 3)])
        #expect(table.rate(at: Self.at(2, 7, 59)) == nil)
        #expect(table.rate(at: Self.at(2, 23, 59)) == 3)
        #expect(table.isTimed && !RateTimetable(7).isTimed && RateTimetable(7).rate(at: Self.at(0, 0)) == 7)
    }

    @Test(arguments: [
        "", "22:00", "22:00-", "24:00-06:00", "22:60-23:00", "2:00-06:00", "22:00-22:00", "00:00-00:00",
        " 22:00-06:00",
        "22:00-06:00 ", "sat, 22:00-06:00", "Sat 22:00-06:00", "sat sun 22:00-06:00", "22:00-25:00",
        "+1:00-02:00",
        "22:00-24:01", "mon-fri 08:00-09:00",
    ])
    func `what is no span is refused`(text: String) {
        #expect(RateTimetable.Span.parse(text) == nil)
    }

    @Test(arguments: [
        ("22:00-06:00", "22:00-06:00"), ("00:00-24:00", "00:00-24:00"),
        ("sun,sat 08:00-20:00", "sat,sun 08:00-20:00"),
        ("mon,tue,wed,thu,fri,sat,sun 00:00-00:01", "mon,tue,wed,thu,fri,sat,sun 00:00-00:01"),
    ])
    func `a span is written as it is read`(text: String, written: String) throws {
        let span = try #require(RateTimetable.Span.parse(text))
        #expect(span.text == written)
        #expect(RateTimetable.Span.parse(span.text) == span)
    }

    /// 02:00 to 03:00 comes twice in autumn and never in spring: asked by the wall clock, both are as written.
    @Test func `every minute of a week has a rate, whatever the clock did before`() throws {
        let table = try Self.table(1, [("22:00-06:00", 2), ("sun 02:00-03:00", 3)])
        var counts: [Int64: Int] = [:]
        for weekday in 0..<7 {
            for minute in 0..<1440 {
                counts[table.rate(at: LocalMinute(weekday: weekday, minute: minute)) ?? 0, default: 0] += 1
            }
        }
        #expect(counts == [1: 7 * 16 * 60, 2: 7 * 8 * 60 - 60, 3: 60])
    }
}
