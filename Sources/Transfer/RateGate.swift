// SPDX-License-Identifier: Apache-2.0

import JobModel

/// One transfer's way through the buckets it is held to: its own, its host's, the one for everything.
///
/// Who finds a debt pays for a turn at once and is told when the debt before it is paid off. So those who share a
/// bucket go one after the other in the order they asked, on whatever worker or stream: none starves, and each byte is
/// paid for exactly once. What is offered is let through when its turn has come, however late that is.
struct RateGate {
    /// Bytes of a turn at least, whatever is offered: on HTTP/2 some streams offer whole blocks and some crumbs.
    static let quantum: Int64 = 16_384

    private struct Turn {
        let due: MonotonicTime
        let epoch: Int
    }
    private var own: TokenBucket?
    /// In place of its own, where several connections share what one transfer may have.
    private var shared: RateLimiter?
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

    var isLimited: Bool { own != nil || shared != nil || host != nil || total != nil }

    /// The transfer's own rate is shared from now on.
    mutating func share(_ limiter: RateLimiter) {
        own = nil
        shared = limiter
    }

    /// nil: the block may pass, and is paid for; else when to offer it again. That is at most a second ahead, for rates
    /// may be changed meanwhile.
    mutating func offer(_ bytes: Int64, now: MonotonicTime) -> MonotonicTime? {
        if let turn {
            if now < turn.due, turn.epoch == look(now).epoch { return min(turn.due, now + .seconds(1)) }
            self.turn = nil
            pay(bytes, now)
        }
        if credit >= bytes {
            credit -= bytes
            return nil
        }
        let (wait, epoch) = look(now)
        guard let wait else {
            pay(bytes, now)
            credit -= bytes
            return nil
        }
        pay(max(bytes, Self.quantum), now)
        turn = Turn(due: now + wait, epoch: epoch)
        return min(now + wait, now + .seconds(1))
    }

    private mutating func look(_ now: MonotonicTime) -> (wait: Duration?, epoch: Int) {
        let (forHost, forTotal) = (host?.look(now: now), total?.look(now: now))
        let waits = [
            own?.charge(0, now: now), shared?.look(now: now).wait, forHost?.wait, forTotal?.wait,
        ]
        return (waits.compactMap { $0 }.max(), (forHost?.epoch ?? 0) + (forTotal?.epoch ?? 0))
    }

    /// The transfer is over: what is left of its turn is for others.
    mutating func close(now: MonotonicTime) {
        guard credit > 0 else { return }
        own?.refund(credit, now: now)
        shared?.refund(credit, now: now)
        host?.refund(credit, now: now)
        total?.refund(credit, now: now)
        credit = 0
        turn = nil
    }

    /// Tops the credit up to so many bytes.
    private mutating func pay(_ bytes: Int64, _ now: MonotonicTime) {
        let missing = bytes - credit
        guard missing > 0 else { return }
        _ = own?.charge(missing, now: now)
        shared?.charge(missing, now: now)
        host?.charge(missing, now: now)
        total?.charge(missing, now: now)
        credit = bytes
    }
}
