// SPDX-License-Identifier: Apache-2.0

/// A rate limit: `rate` tokens (bytes, requests) a second, at most `burst` of them saved up.
///
/// Counts in billionths of a token with 128 bits, so nothing rounds away and nothing overflows. One
/// thread's own.
public struct TokenBucket: Sendable, Hashable {
    /// Tokens a second.
    public private(set) var rate: Int64
    /// The most that is saved up.
    public private(set) var burst: Int64
    private var level: Int128
    private var updatedAt: MonotonicTime

    private static let scale: Int128 = 1_000_000_000

    /// Starts full. Rate and burst below 1 count as 1.
    public init(rate: Int64, burst: Int64, now: MonotonicTime) {
        self.rate = max(1, rate)
        self.burst = max(1, burst)
        level = Int128(max(1, burst)) * Self.scale
        updatedAt = now
    }

    /// Takes `n` tokens if they are there; nil means taken, else how long to wait before asking again.
    ///
    /// More than a full bucket is let through once the bucket is full, and leaves a debt.
    public mutating func take(_ n: Int64, now: MonotonicTime) -> Duration? {
        refill(now)
        let wanted = Int128(max(0, n)) * Self.scale
        let needed = min(wanted, Int128(burst) * Self.scale)
        guard level >= needed else { return wait(for: needed - level) }
        level -= wanted
        return nil
    }

    /// Charges for what has arrived already, into debt if need be; nil means go on, else how long to pause
    /// until the debt is paid.
    public mutating func charge(_ n: Int64, now: MonotonicTime) -> Duration? {
        refill(now)
        level -= Int128(max(0, n)) * Self.scale
        return level >= 0 ? nil : wait(for: -level)
    }

    /// Gives back what was charged for and did not come.
    public mutating func refund(_ n: Int64, now: MonotonicTime) {
        refill(now)
        level = min(Int128(burst) * Self.scale, level + Int128(max(0, n)) * Self.scale)
    }

    /// How long until `n` tokens are there, without taking any; nil is now.
    public func delay(for n: Int64, now: MonotonicTime) -> Duration? {
        var copy = self
        return copy.take(n, now: now)
    }

    /// A new rate from now on; what was saved up is kept as far as the new burst allows.
    public mutating func change(rate: Int64, burst: Int64, now: MonotonicTime) {
        refill(now)
        self.rate = max(1, rate)
        self.burst = max(1, burst)
        level = min(level, Int128(self.burst) * Self.scale)
    }

    private mutating func refill(_ now: MonotonicTime) {
        guard now > updatedAt else { return }
        let elapsed = (now - updatedAt).nanosecondsClamped
        level = min(Int128(burst) * Self.scale, level + Int128(elapsed) * Int128(rate))
        updatedAt = now
    }

    /// Rounded up to the next nanosecond: asking again after it succeeds.
    private func wait(for missing: Int128) -> Duration {
        let nanoseconds = (missing + Int128(rate) - 1) / Int128(rate)
        return .nanoseconds(Int64(clamping: nanoseconds))
    }
}
