// SPDX-License-Identifier: Apache-2.0

/// Durations as people write them: `250ms`, `30s`, `5m`, `1h30m`, `7d`.
public enum DurationText {
    private static let units: [(name: String, milliseconds: Int64)] = [
        ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]

    /// Whole numbers with units, the larger unit first, each at most once; `1.5s` with up to three decimals
    /// where the unit is seconds. A number without a unit, a sign and what is above 100 years are not
    /// taken: nil. Any thread.
    public static func parse(_ text: String) -> Duration? {
        var rest = Array(text.utf8)[...]
        var total: Int64 = 0
        var lastUnit = Int64.max
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix {
                UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || $0 == UInt8(ascii: ".")
            }
            rest = rest.dropFirst(number.count)
            let name = rest.prefix { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 }
            rest = rest.dropFirst(name.count)
            guard let unit = units.first(where: { $0.name.utf8.elementsEqual(name) })?.milliseconds,
                unit < lastUnit,
                let part = milliseconds(number, unit: unit)
            else { return nil }
            lastUnit = unit
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow, sum <= limit else { return nil }
            total = sum
        }
        return .milliseconds(total)
    }

    /// As `parse` reads it, to the millisecond: `1h30m`, `0s`. Below zero counts as zero.
    public static func format(_ d: Duration) -> String {
        var rest = max(0, d.nanosecondsClamped / 1_000_000)
        guard rest > 0 else { return "0s" }
        var text = ""
        for unit in units where unit.name != "w" && rest >= unit.milliseconds {
            text += "\(rest / unit.milliseconds)\(unit.name)"
            rest %= unit.milliseconds
        }
        return text
    }

    /// 100 years.
    private static let limit: Int64 = 3_155_760_000_000

    private static func milliseconds(_ number: ArraySlice<UInt8>, unit: Int64) -> Int64? {
        let parts = number.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count, parts.allSatisfy({ !$0.isEmpty && $0.count <= 15 }),
            let whole = Int64(String(decoding: parts[0], as: UTF8.self))
        else { return nil }
        let (scaled, overflow) = whole.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return scaled }
        guard unit == 1000, parts[1].count <= 3 else { return nil }
        let padded =
            String(decoding: parts[1], as: UTF8.self) + String(repeating: "0", count: 3 - parts[1].count)
        return Int64(padded).map { scaled + $0 }
    }
}
