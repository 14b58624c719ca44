// SPDX-License-Identifier: Apache-2.0

/// Sizes as people write them: `123`, `64KiB`, `1.5 GiB`, `10GB`.
public enum ByteSize {
    private static let units: [(name: String, bytes: Int64)] = [
        ("b", 1), ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40), ("pib", 1 << 50),
        ("kb", 1000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("tb", 1_000_000_000_000),
        ("pb", 1_000_000_000_000_000),
    ]

    /// Bytes, or nil for anything else: KiB, MiB, GiB, TiB, PiB count in 1024, KB, MB, GB, TB, PB in 1000,
    /// any case, at most one space before the unit, at most three decimals. A bare K, M or G is not taken,
    /// since half of its readers would guess wrong. Any thread.
    public static func parse(_ text: String) -> Int64? {
        let lowered = text.lowercased()
        let digits = lowered.utf8.prefix {
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || $0 == UInt8(ascii: ".")
        }
        var unit = lowered.utf8.dropFirst(digits.count)
        if unit.first == UInt8(ascii: " "), !unit.dropFirst().isEmpty { unit = unit.dropFirst() }
        let scale: Int64
        if unit.isEmpty {
            scale = 1
        } else {
            guard let known = units.first(where: { $0.name.utf8.elementsEqual(unit) }) else { return nil }
            scale = known.bytes
        }
        return scaled(String(decoding: digits, as: UTF8.self), by: scale)
    }

    /// A rate in bytes a second: a size, with or without `/s` after it.
    public static func parseRate(_ text: String) -> Int64? {
        parse(text.hasSuffix("/s") ? String(text.dropLast(2)) : text)
    }

    /// aria2's sizes: digits, then nothing, K (1024) or M (1024 * 1024) in either case.
    public static func parseAria2(_ text: String) -> Int64? {
        var digits = text.utf8[...]
        var scale: Int64 = 1
        switch digits.last {
        case UInt8(ascii: "k"), UInt8(ascii: "K"): scale = 1 << 10
        case UInt8(ascii: "m"), UInt8(ascii: "M"): scale = 1 << 20
        default: break
        }
        if scale > 1 { digits = digits.dropLast() }
        guard !digits.contains(UInt8(ascii: ".")) else { return nil }
        return scaled(String(decoding: digits, as: UTF8.self), by: scale)
    }

    /// For people: `734 B`, `64.0 KiB`, `1.5 GiB`.
    public static func format(_ bytes: Int64) -> String {
        let magnitude = bytes.magnitude
        let sign = bytes < 0 ? "-" : ""
        guard magnitude >= 1024 else { return "\(sign)\(magnitude) B" }
        let names = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var unit: UInt64 = 1024
        var index = 0
        // 1023.96 KiB would round to "1024.0 KiB".
        while index < names.count - 1, tenths(magnitude, unit) >= 10_240 {
            unit <<= 10
            index += 1
        }
        let shown = tenths(magnitude, unit)
        return "\(sign)\(shown / 10).\(shown % 10) \(names[index])"
    }

    /// A part of a whole in the whole's unit: `0.8 of 5 GiB`.
    public static func share(_ part: Int64, of whole: Int64) -> String {
        let names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        let index = names.indices.last { whole >= Int64(1) << Int64(10 * $0) } ?? 0
        func shown(_ bytes: Int64) -> String {
            let tenths = tenths(UInt64(max(0, bytes)), UInt64(1) << UInt64(10 * index))
            return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
        }
        return "\(shown(part)) of \(shown(whole)) \(names[index])"
    }

    /// As the config writes it, exact: `1MiB`, `1536`, `10GiB`. `parse` reads it back to the same number.
    public static func exact(_ bytes: Int64) -> String {
        let names = ["PiB", "TiB", "GiB", "MiB", "KiB"]
        for (index, name) in names.enumerated() {
            let unit = Int64(1) << Int64(50 - 10 * index)
            if bytes > 0, bytes % unit == 0 { return "\(bytes / unit)\(name)" }
        }
        return String(bytes)
    }

    private static func tenths(_ value: UInt64, _ unit: UInt64) -> UInt64 {
        let (whole, rest) = value.quotientAndRemainder(dividingBy: unit)
        // rest < unit <= 2^60: times 10 still fits.
        return whole * 10 + (rest * 10 + unit / 2) / unit
    }

    private static func scaled(_ number: String, by scale: Int64) -> Int64? {
        let parts = number.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count, let whole = decimal(parts[0]) else { return nil }
        let (bytes, overflow) = whole.multipliedReportingOverflow(by: scale)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return bytes }
        guard scale > 1, 1...3 ~= parts[1].count, let fraction = decimal(parts[1]) else { return nil }
        var divisor: Int64 = 1
        for _ in 0..<parts[1].count { divisor *= 10 }
        // fraction < 1000 and scale <= 2^50: fits.
        let (sum, overflowed) = bytes.addingReportingOverflow(fraction * scale / divisor)
        return overflowed ? nil : sum
    }

    private static func decimal(_ digits: Substring.UTF8View) -> Int64? {
        guard !digits.isEmpty, digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            return nil
        }
        return Int64(String(decoding: digits, as: UTF8.self))
    }
}
