// SPDX-License-Identifier: Apache-2.0

/// Numbers as people read them, the same in the verdict, in `dlctl` and in the log. At most three digits and
/// a unit:
/// who needs them exact takes the JSON.
public enum Quantity {
    /// `2,914,003`.
    public static func count(_ number: some BinaryInteger) -> String {
        let digits = String(number.magnitude)
        var grouped = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { grouped += "," }
            grouped.append(digit)
        }
        return number < 0 ? "-" + grouped : grouped
    }

    /// `1 job`, `2,000 jobs`.
    public static func count(_ number: Int, _ singular: String, _ plural: String? = nil) -> String {
        "\(count(number)) \(number == 1 ? singular : plural ?? singular + "s")"
    }

    /// `512 B`, `64 KiB`, `1.2 GiB`.
    public static func size(_ bytes: Int64) -> String {
        scaled(Double(max(0, bytes)), by: 1024, units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
    }

    /// Bytes a second: `41 MB/s`. Decimal, as link speeds are told.
    public static func rate(_ bytesPerSecond: Double) -> String {
        let held = bytesPerSecond.isFinite ? max(0, bytesPerSecond) : 0
        return scaled(held, by: 1000, units: ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"])
    }

    /// `40 s`, `25 min`, `6 h`, `3 d 4 h`: coarse on purpose, what is left is a guess.
    public static func time(_ seconds: Double) -> String {
        // A hundred years at most: a stalled rate must not trap in the conversion.
        let whole = Int(min(max(0, seconds.isFinite ? seconds : 3.2e9), 3.2e9).rounded())
        switch whole {
        case ..<100: return "\(whole) s"
        case ..<6000: return "\((whole + 30) / 60) min"
        case ..<172_800: return "\((whole + 1800) / 3600) h"
        case ..<864_000: return "\(whole / 86_400) d \(whole % 86_400 / 3600) h"
        case ..<63_072_000: return "\(count((whole + 43_200) / 86_400)) d"
        default: return "\(whole / 31_536_000) years"
        }
    }

    /// `54 %`; never 100 before the end.
    public static func percent(_ part: Int64, of whole: Int64) -> String {
        guard whole > 0 else { return "" }
        if part >= whole { return "100 %" }
        return "\(min(99, Int(Double(max(0, part)) / Double(whole) * 100))) %"
    }

    /// `0.8 of 5 GiB`: both in the unit of the second.
    public static func part(_ bytes: Int64, of whole: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var unit = 0
        var scale = 1.0
        while unit < units.count - 1, Double(max(0, whole)) / scale >= 1024 {
            scale *= 1024
            unit += 1
        }
        return
            digits(Double(max(0, bytes)) / scale) + " of " + digits(Double(max(0, whole)) / scale) + " "
            + units[unit]
    }

    private static func scaled(_ value: Double, by step: Double, units: [String]) -> String {
        var unit = 0
        var value = value
        // What would round up to a fourth digit goes to the next unit: 1023.7 KiB is 1.0 MiB.
        while unit < units.count - 1, value.rounded() >= step {
            value /= step
            unit += 1
        }
        return (unit == 0 ? String(Int(value)) : digits(value)) + " " + units[unit]
    }

    /// One decimal below ten, unless it is zero.
    private static func digits(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        if tenths >= 100 || tenths % 10 == 0 { return String(Int(value.rounded())) }
        return "\(tenths / 10).\(tenths % 10)"
    }
}
