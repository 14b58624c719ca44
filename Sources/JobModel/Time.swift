// SPDX-License-Identifier: Apache-2.0

/// A reading of CLOCK_MONOTONIC in nanoseconds: what deadlines and back-off are measured with.
///
/// Never stored: it means nothing after a reboot. JobModel reads no clock; callers pass the time in.
public struct MonotonicTime: Hashable, Sendable, Comparable {
    public let nanoseconds: Int64
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
    /// Saturating: adding a duration that does not fit gives `distantFuture`.
    public static func + (a: Self, b: Duration) -> Self {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanosecondsClamped)
        return Self(nanoseconds: overflow ? (b < .zero ? .min : .max) : sum)
    }
    public static func - (a: Self, b: Self) -> Duration {
        let (difference, overflow) = a.nanoseconds.subtractingReportingOverflow(b.nanoseconds)
        return .nanoseconds(overflow ? (a < b ? Int64.min : Int64.max) : difference)
    }
    public static let distantFuture = Self(nanoseconds: .max)
}

/// Wall-clock time in milliseconds since 1970 UTC: what is stored and shown, never measured with.
public struct WallTime: RawRepresentable, Hashable, Sendable, Comparable, Codable {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(milliseconds: Int64) { rawValue = milliseconds }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public static func + (a: Self, b: Duration) -> Self {
        let (sum, overflow) = a.rawValue.addingReportingOverflow(b.nanosecondsClamped / 1_000_000)
        return Self(rawValue: overflow ? .max : sum)
    }
}

extension Duration {
    /// In nanoseconds, held within what an Int64 can carry (about 292 years) instead of trapping.
    public var nanosecondsClamped: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflowed ? (seconds < 0 ? .min : .max) : sum
    }
    public var secondsDouble: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
    public var millisecondsDouble: Double { secondsDouble * 1000 }
}
