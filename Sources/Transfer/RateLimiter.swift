// SPDX-License-Identifier: Apache-2.0

public import JobModel
import Locking

/// A limit on bytes a second that transfers on several workers share: for a host, for everything.
///
/// Any thread. The lock is held for a handful of arithmetic; a block is 16 KiB.
public final class RateLimiter: Sendable {
    private let bucket: Guarded<TokenBucket?>

    /// - Parameter rate: bytes a second; nil is no limit.
    public init(rate: Int64?, now: MonotonicTime) {
        bucket = Guarded(rate.map { Self.makeBucket(rate: $0, now: now) })
    }

    /// A new rate from now on. Transfers that wait ask again within a second.
    public func setRate(_ rate: Int64?, now: MonotonicTime) {
        bucket.withLock { bucket in
            guard let rate else {
                bucket = nil
                return
            }
            if bucket == nil { bucket = Self.makeBucket(rate: rate, now: now) }
            bucket?.change(rate: rate, burst: Self.burst(of: rate), now: now)
        }
    }

    /// How long until anything may come; nil is now.
    func delay(now: MonotonicTime) -> Duration? {
        bucket.withLock { $0?.charge(0, now: now) }
    }

    /// Accounts for bytes that have arrived, into debt if need be: the next asker waits it off.
    func charge(_ bytes: Int64, now: MonotonicTime) {
        bucket.withLock { _ = $0?.charge(bytes, now: now) }
    }

    /// A bucket for one transfer alone, and the shared ones.
    static func makeBucket(rate: Int64, now: MonotonicTime) -> TokenBucket {
        TokenBucket(rate: rate, burst: burst(of: rate), now: now)
    }

    /// A quarter of a second's worth, and at least one block.
    private static func burst(of rate: Int64) -> Int64 { max(16_384, rate / 4) }
}
