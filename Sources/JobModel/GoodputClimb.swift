// SPDX-License-Identifier: Apache-2.0

/// How many transfers at once are worth it to one host: few at first, three more with each answer while the host answers
/// as fast as before or brings more for it, then a step up or down now and then, kept where the bytes a second say so.
///
/// Trouble is `AdaptiveCap`'s matter; the smaller of the two counts. A pure value: the caller passes the time in.
/// Only what is learned while all of the allowed transfers are under way tells anything about their number.
public struct GoodputClimb: Sendable, Hashable {
    /// What a host gets before it has shown anything, and what it keeps unless there is trouble.
    public static let start = 6
    /// What its first usable answer allows.
    public static let opened = 16
    /// Further ones with each answer: four times as many a round trip. A line of 100 ms has its whole cap after the second.
    static let step = 3
    public static let least = 4
    /// What a host that multiplexes gets with its first answer, at most: what one connection carries.
    public static let multiplexedStart = 32
    /// A wait for the first byte is longer than it was when it is twice the shortest and this: below are our own
    /// threads' waits for a core.
    static let slack = Duration.milliseconds(25)
    /// A span of time that is long enough to be compared with the one before.
    static let shortestWindow = Duration.milliseconds(50)
    /// Transfers so long that none ends: what has arrived by then is compared.
    static let longestWindow = Duration.seconds(1)
    /// Fewer are kept when they bring this part of what more did; more only when they bring so much more.
    static let same = 0.95
    static let better = 1.05
    /// Windows without a try after a number has stood against both, doubled each time up to the limit.
    static let rest = 4
    static let longestRest = 64

    private enum Phase: Hashable {
        /// More with each answer. `before`: goodput of the round before, nil in the first.
        case opening(before: Double?)
        /// At a number whose goodput is being measured. `before`: of the window before; nothing is tried while more comes by
        /// itself, for a connection that finds its speed makes fewer look as good.
        case measuring(before: Double?)
        /// Fewer or more than `settled`, whose goodput was `before`.
        case trying(before: Double, isDown: Bool)
        case resting(windows: Int)
    }
    private struct Window: Hashable {
        var begin: MonotonicTime?
        var bytes: Int64 = 0
        var ends = 0
        /// Of these, with every allowed transfer under way.
        var full = 0
        var wait = Duration.zero
        var waits = 0
        /// How many were allowed when it began.
        var level = 0
        /// While it opens: one of its answers came late.
        var isSlow = false
        /// A connection that transfers share came to it: the first answers over several come together.
        var hasGrown = false
    }

    private var phase = Phase.opening(before: nil)
    private var settled = Self.start
    private var level = Self.start
    private var window = Window()
    private var shortestWait: Duration?
    private var nextRest = Self.rest
    private var triedDown = false

    public init() {}

    /// - Parameter ceiling: the configured number, at least 1.
    public func level(of ceiling: Int) -> Int { max(1, min(level, ceiling)) }
    /// It still grows with each answer.
    public var isOpening: Bool {
        if case .opening = phase { true } else { false }
    }

    /// An answer has begun.
    /// - Parameter streams: where the host multiplexes, so many on each connection.
    public mutating func answered(ceiling: Int, streams: Int = 0) {
        guard case .opening(let before) = phase else { return }
        // Once one of the round has come late, whether more are worth it is to be seen first. Those that share a connection
        // wait for each other's bytes.
        let step = !window.isSlow ? Self.step : before == nil && streams == 0 ? 0 : 1
        let first = max(Self.opened, min(streams, Self.multiplexedStart))
        level = min(max(level + step, first), max(ceiling, 1))
        if level >= ceiling, !window.isSlow || streams > 0 { settle(at: level) }
    }

    /// A further connection, that transfers share, has answered.
    public mutating func connected() { window.hasGrown = true }

    /// Bytes have come of a transfer that goes on.
    public mutating func progressed(_ bytes: Int64, inFlight: Int, ceiling: Int, now: MonotonicTime) {
        note(bytes, inFlight: inFlight, ceiling: ceiling, now: now, isEnd: false)
    }

    /// A transfer has brought its file.
    ///
    /// - Parameters:
    ///   - bytes: those that `progressed` was not told of.
    ///   - wait: from the request to the first byte, where a connection was there.
    ///   - inFlight: transfers under way, this one among them.
    public mutating func ended(
        bytes: Int64, wait: Duration?, inFlight: Int, ceiling: Int, now: MonotonicTime
    ) {
        if let wait {
            window.wait += wait
            window.waits += 1
            if shortestWait.map({ wait > $0 * 2 + Self.slack }) ?? false { window.isSlow = true }
            shortestWait = min(shortestWait ?? wait, wait)
        }
        note(bytes, inFlight: inFlight, ceiling: ceiling, now: now, isEnd: true)
    }

    /// There was trouble: how few it takes for a while is `AdaptiveCap`'s to say, and what is measured meanwhile tells
    /// nothing.
    public mutating func troubled() {
        if isOpening { settle(at: max(Self.start, level / 2)) }
        window = Window()
    }

    private mutating func note(
        _ bytes: Int64, inFlight: Int, ceiling: Int, now: MonotonicTime, isEnd: Bool
    ) {
        guard let begin = window.begin else {
            window.begin = now
            window.level = level(of: ceiling)
            return
        }
        window.bytes &+= bytes
        if isEnd {
            window.ends += 1
            // While it opens the number grows under those that are under way.
            if inFlight >= (isOpening ? window.level : level(of: ceiling)) { window.full += 1 }
        }
        let elapsed = now - begin
        let enough = isOpening ? window.level : 2 * level(of: ceiling)
        let hasEnough = window.ends >= enough && elapsed >= Self.shortestWindow
        guard hasEnough || !isOpening && elapsed >= Self.longestWindow && window.bytes > 0 else { return }
        // There was nothing to be started, or the window was full of waits of our own.
        let counts = window.ends == 0 ? inFlight >= level(of: ceiling) : window.full * 5 >= window.ends * 4
        if counts { judge(Double(window.bytes) / max(elapsed.secondsDouble, 1e-9), ceiling: ceiling) }
        restart(at: now, ceiling: ceiling)
    }

    private mutating func judge(_ goodput: Double, ceiling: Int) {
        switch phase {
        case .opening(let before):
            // Late and no more than before: it queues what it is asked for, and fewer than the round began with had no
            // wait. Late and more: a connection that has yet to find its speed, or that many share.
            if window.hasGrown {
                phase = .opening(before: nil)
            } else if window.isSlow, let before, goodput < before * Self.better {
                settle(at: max(Self.start, window.level / 2))
            } else {
                phase = .opening(before: goodput)
            }
        case .measuring(let before):
            if let before, goodput < before * Self.better {
                tryNext(goodput, ceiling: ceiling)
            } else {
                phase = .measuring(before: goodput)
            }
        case .trying(let before, let isDown):
            let isKept = isDown ? goodput >= before * Self.same : goodput >= before * Self.better
            if isKept {
                settled = level
                nextRest = Self.rest
                triedDown = !isDown
                phase = .measuring(before: goodput)
            } else {
                level = settled
                triedDown = isDown
                // Both ways were worse.
                phase = isDown ? .measuring(before: before) : .resting(windows: nextRest)
                if !isDown {
                    nextRest = min(nextRest * 2, Self.longestRest)
                    triedDown = false
                }
            }
        case .resting(let windows):
            phase = windows > 1 ? .resting(windows: windows - 1) : .measuring(before: goodput)
        }
    }

    /// First fewer, for they cost the host less; when these bring less, more.
    private mutating func tryNext(_ goodput: Double, ceiling: Int) {
        let current = level(of: ceiling)
        settled = current
        let fewer = max(min(Self.least, ceiling), current - max(1, current / 4))
        let more = min(ceiling, current + max(1, current / 4))
        if !triedDown || isQueueing, fewer < current {
            level = fewer
            phase = .trying(before: goodput, isDown: true)
        } else if more > current {
            level = more
            phase = .trying(before: goodput, isDown: false)
        } else {
            phase = .resting(windows: nextRest)
            nextRest = min(nextRest * 2, Self.longestRest)
            triedDown = false
        }
    }

    /// On average it answered later in this window than when it had nothing else to do.
    private var isQueueing: Bool {
        guard let shortestWait, window.waits > 0 else { return false }
        return window.wait / window.waits > shortestWait * 2 + Self.slack
    }

    private mutating func settle(at number: Int) {
        level = number
        settled = number
        phase = .measuring(before: nil)
        triedDown = false
        nextRest = Self.rest
        window = Window()
    }

    private mutating func restart(at now: MonotonicTime, ceiling: Int) {
        window = Window()
        window.begin = now
        window.level = level(of: ceiling)
    }
}
