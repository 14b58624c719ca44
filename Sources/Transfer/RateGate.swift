// SPDX-License-Identifier: Apache-2.0

import JobModel

/// One transfer's way through the buckets it is held to: its own, its host's, the one for everything.
///
/// Who finds a debt pays for its block at once and is told when the debt before it is paid off. So those who share a
/// bucket go one after the other in the order they asked, on whatever worker or stream: none starves, and each block is
/// paid for exactly once. What is offered is let through when its turn has come, however late that is.
struct RateGate {
    private struct Turn {
        let due: MonotonicTime
        let epoch: Int
    }
    private var own: TokenBucket?
    private let host: RateLimiter?
    private let total: RateLimiter?
    private var turn: Turn?
    /// Paid for and not yet let through.
    private var credit: Int64 = 0

    init(maxRate: Int64?, host: RateLimiter?, total: RateLimiter?, now: MonotonicTime) {
        own = maxRate.map { RateLimiter.makeBucket(rate: $0, now: now) }
        self.host = host
        self.total = total
    }

    var isLimited: Bool { own != nil || host != nil || total != nil }

    /// nil: the block may pass, and is paid for; else when to offer it again. That is at most a second ahead, for rates
    /// may be changed meanwhile.
    mutating func offer(_ bytes: Int64, now: MonotonicTime) -> MonotonicTime? {
        if let turn {
            if now < turn.due, turn.epoch == epoch(now) { return min(turn.due, now + .seconds(1)) }
            self.turn = nil
            pay(bytes, now)
            credit -= bytes
            return nil
        }
        let (wait, epoch) = look(now)
        pay(bytes, now)
        guard let wait else {
            credit -= bytes
            return nil
        }
        turn = Turn(due: now + wait, epoch: epoch)
        return min(now + wait, now + .seconds(1))
    }

    private mutating func look(_ now: MonotonicTime) -> (wait: Duration?, epoch: Int) {
        let (forHost, forTotal) = (host?.look(now: now), total?.look(now: now))
        let waits = [own?.charge(0, now: now), forHost?.wait, forTotal?.wait]
        return (waits.compactMap { $0 }.max(), (forHost?.epoch ?? 0) + (forTotal?.epoch ?? 0))
    }

    private mutating func epoch(_ now: MonotonicTime) -> Int { look(now).epoch }

    /// Tops the credit up to so many bytes.
    private mutating func pay(_ bytes: Int64, _ now: MonotonicTime) {
        let missing = bytes - credit
        guard missing > 0 else { return }
        _ = own?.charge(missing, now: now)
        host?.charge(missing, now: now)
        total?.charge(missing, now: now)
        credit = bytes
    }
}
