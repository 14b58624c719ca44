// SPDX-License-Identifier: Apache-2.0

public import JobModel
import Locking

/// A limit on bytes a second that transfers on several workers share: for a host, for everything.
///
/// Any thread. The lock is held for a handful of arithmetic; a block is 16 KiB.
public final class RateLimiter: Sendable {
    private struct State {
        var bucket: TokenBucket?
        /// Goes up with each change of the rate: waits that were told before it are void.
        var epoch = 0
    }
    private let state: Guarded<State>

    /// - Parameter rate: bytes a second; nil is no limit.
    public init(rate: Int64?, now: MonotonicTime) {
        state = Guarded(State(bucket: rate.map { Self.makeBucket(rate: $0, now: now) }))
    }

    /// A new rate from now on. Transfers that wait ask again within a second.
    public func setRate(_ rate: Int64?, now: MonotonicTime) {
        state.withLock { state in
            guard rate != state.bucket?.rate else { return }
            state.epoch += 1
            guard let rate else {
                state.bucket = nil
                return
            }
            if state.bucket == nil { state.bucket = Self.makeBucket(rate: rate, now: now) }
            state.bucket?.change(rate: rate, burst: Self.burst(of: rate), now: now)
        }
    }

    /// There is a limit just now.
    var isSet: Bool { state.withLock { $0.bucket != nil } }

    /// How long until anything may come (nil is now), and the epoch that holds in.
    func look(now: MonotonicTime) -> (wait: Duration?, epoch: Int) {
        state.withLock { ($0.bucket?.charge(0, now: now), $0.epoch) }
    }

    /// Accounts for bytes that have arrived or will at their turn, into debt if need be: the next asker waits it off.
    func charge(_ bytes: Int64, now: MonotonicTime) {
        state.withLock { _ = $0.bucket?.charge(bytes, now: now) }
    }

    /// Gives back what was charged for and did not come.
    func refund(_ bytes: Int64, now: MonotonicTime) {
        state.withLock { $0.bucket?.refund(bytes, now: now) }
    }

    /// A bucket for one transfer alone, and the shared ones.
    static func makeBucket(rate: Int64, now: MonotonicTime) -> TokenBucket {
        TokenBucket(rate: rate, burst: burst(of: rate), now: now)
    }

    /// A quarter of a second's worth, and at least one block.
    private static func burst(of rate: Int64) -> Int64 { max(16_384, rate / 4) }
}
