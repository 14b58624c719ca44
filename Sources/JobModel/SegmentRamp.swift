// SPDX-License-Identifier: Apache-2.0

/// How many connections one file is worth: twice as many as long as that brings something, then no more. Pure.
///
/// Only what all connections bring together counts, over windows in which as many as there should be were running. A
/// doubling that brings less than a quarter of what it could is taken back, and tried again much later: lines change.
/// One that began with several, unproven, and is as fast without more, is tried with half as many too.
public struct SegmentRamp: Sendable, Hashable {
    /// The first bytes tell little: windows grow, and servers that hold a rate begin with a burst.
    static let usualSettling = Duration.seconds(1)
    /// Long enough for servers that hold a rate by the second.
    static let window = Duration.seconds(2)
    /// So much is enough where a doubling brings nearly all that it could.
    static let shortWindow = Duration.milliseconds(750)
    /// Seconds: a file that will be there sooner is left alone.
    static let leastTime = 2.0
    static let leastShare = 0.25
    static let clearShare = 0.75
    /// Half as many are enough where they bring this part.
    static let sameShare = 0.9
    /// Seconds: half as many are not tried for an end that is nearer.
    static let leastTimeLower = 10.0
    static let firstPause = Duration.seconds(30)
    static let longestPause = Duration.seconds(600)

    /// Connections that the file should have.
    public private(set) var level = 1
    public private(set) var isSettled = false
    private let most: Int
    private let settling: Duration
    private var begin: MonotonicTime?
    private var start: MonotonicTime?
    private var startBytes: Int64 = 0
    /// What the level before brought, and its connections; 0: nothing to compare with.
    private var lastRate = 0.0
    private var lastConnections = 0
    private var pause = firstPause
    /// Fewer have been shown to bring less, or are what it began with.
    private var isProven: Bool
    /// Half as many are being tried.
    private var isLowered = false
    /// When a level that brought nothing is tried again.
    private var again: MonotonicTime?

    /// - Parameters:
    ///   - most: connections at most, at least 1.
    ///   - first: the level to begin with.
    ///   - isProven: so many are worth it in any case.
    ///   - settling: time that tells nothing yet.
    public init(most: Int, first: Int = 1, isProven: Bool = true, settling: Duration? = nil) {
        self.settling = settling ?? Self.usualSettling
        self.most = max(1, most)
        level = max(1, min(first, self.most))
        self.isProven = isProven || level == 1
        isSettled = self.most == 1
    }

    /// Connections beyond the level are to end.
    public var takesBack: Bool { isSettled || isLowered }

    /// - Parameters:
    ///   - bytes: that have come so far, by all connections.
    ///   - running: connections that bring some.
    ///   - left: bytes still to come.
    public mutating func sample(bytes: Int64, running: Int, left: Int64, now: MonotonicTime) {
        if let again, again <= now {
            self.again = nil
            isSettled = false
            lastConnections = 0
        }
        guard !isSettled else { return }
        let begin = begin ?? now
        self.begin = begin
        guard running >= level, now - begin >= settling else {
            start = nil
            return
        }
        guard let start else {
            self.start = now
            startBytes = bytes
            return
        }
        let time = now - start
        guard time >= Self.shortWindow else { return }
        let rate = Double(max(0, bytes - startBytes)) / time.secondsDouble
        if isLowered {
            if time >= Self.window { judgeLowered(rate, left, now) }
        } else if brings(rate, running, share: Self.clearShare) || time >= Self.window {
            judge(rate, running, left, now)
        }
    }

    /// Whether it is so much of what the doubling could bring; not where there is nothing to compare with.
    private func brings(_ rate: Double, _ running: Int, share: Double) -> Bool {
        guard lastConnections > 0 else { return false }
        return rate >= lastRate * (1 + (Double(running) / Double(lastConnections) - 1) * share)
    }

    private mutating func judge(_ rate: Double, _ running: Int, _ left: Int64, _ now: MonotonicTime) {
        start = nil
        guard lastConnections == 0 || brings(rate, running, share: Self.leastShare) else {
            level = lastConnections
            return isProven ? settle(now) : lower(left, now)
        }
        // Twice as many bring more, so half as many bring less.
        if lastConnections > 0 { isProven = true }
        // A burst must not be what the next level is measured by: more than its share no connection brings.
        lastRate =
            lastConnections == 0 ? rate : min(rate, lastRate * Double(running) / Double(lastConnections))
        lastConnections = level
        guard level < most, Double(left) >= rate * Self.leastTime else {
            isSettled = true
            return
        }
        level = min(most, level * 2)
    }

    /// Twice as many brought nothing: perhaps half as many bring as much.
    private mutating func lower(_ left: Int64, _ now: MonotonicTime) {
        guard level > 1, Double(left) >= lastRate * Self.leastTimeLower else { return settle(now) }
        level /= 2
        isLowered = true
    }

    private mutating func judgeLowered(_ rate: Double, _ left: Int64, _ now: MonotonicTime) {
        start = nil
        isLowered = false
        guard rate >= lastRate * Self.sameShare else {
            level = lastConnections
            return settle(now)
        }
        lastConnections = level
        lower(left, now)
    }

    private mutating func settle(_ now: MonotonicTime) {
        isProven = true
        isSettled = true
        again = now + pause
        pause = min(pause + pause, Self.longestPause)
    }
}
