// SPDX-License-Identifier: Apache-2.0

/// Whether and when a job that broke is tried again: the only place that decides it.
///
/// Exponential back-off with full jitter (each wait is drawn between zero and the doubled ceiling, so that
/// jobs which broke together do not come back together).
public struct RetryPolicy: Sendable, Hashable {
    /// Attempts in all, the first included; 0 is no limit.
    public var maxAttempts: Int
    /// Ceiling of the first wait.
    public var baseDelay: Duration
    /// Ceiling of every wait of our own choosing.
    public var maxDelay: Duration

    /// From `retry.*`, or from a list entry's own options.
    public init(maxAttempts: Int, baseDelay: Duration, maxDelay: Duration) {
        self.maxAttempts = maxAttempts
        self.baseDelay = baseDelay
        self.maxDelay = maxDelay
    }

    /// What becomes of the job.
    public enum Verdict: Sendable, Hashable {
        /// Try again after this long. `holdsHost`: nothing else may go to that host before then either.
        case retry(after: Duration, holdsHost: Bool)
        case giveUp
    }

    /// The longest that a server may make us wait.
    public static let longestRetryAfter: Duration = .seconds(3600)
    /// A server that breaks the protocol three times will break it again, whatever `maxAttempts` says.
    static let protocolAttempts = 3
    /// Names come back slowly, and resolvers are shared: these waits are eight times as long.
    static let dnsFactor: Double = 8

    /// - Parameters:
    ///   - attempts: attempts charged so far, the one that just broke included.
    ///   - retryAfter: what the server asked for, from `RetryAfter.parse`.
    ///   - random: drawn by the caller, 0 to below 1.
    /// - Returns: for 429 and 503 a wait that holds the host; never shorter than Retry-After, which is
    ///   clamped to an
    ///   hour and stretched by up to a tenth (at least a second's worth), so that not everybody comes back
    ///   at once.
    public func verdict(for error: JobError, attempts: Int, retryAfter: Duration?, random: Double) -> Verdict
    {
        guard error.isRetryable, !Self.isFinal(error.code) else { return .giveUp }
        if maxAttempts > 0, attempts >= maxAttempts { return .giveUp }
        if error.code == .protocol, attempts >= Self.protocolAttempts { return .giveUp }
        let draw = random.isFinite ? max(0, min(1, random)) : 0.5
        let own = backOff(error.code, attempts: attempts, draw: draw)
        let holdsHost = error.code == .http(429) || error.code == .http(503)
        guard let retryAfter else { return .retry(after: own, holdsHost: holdsHost) }
        let asked = max(.zero, min(Self.longestRetryAfter, retryAfter))
        let spread = max(1, asked.secondsDouble / 10) * draw
        return .retry(after: max(own, asked + .milliseconds(Int64(spread * 1000))), holdsHost: holdsHost)
    }

    /// Verdicts on the job, not on an attempt: true for the user who tries tomorrow, final here.
    private static func isFinal(_ code: ErrorCode) -> Bool {
        switch code {
        case .hostUnavailable, .jobDeadline: true
        default: false
        }
    }

    private func backOff(_ code: ErrorCode, attempts: Int, draw: Double) -> Duration {
        let factor = code == .dns ? Self.dnsFactor : 1
        let base = max(0.001, baseDelay.secondsDouble) * factor
        // 2^30 of any base is above every maxDelay; the exponent is clamped before it is used.
        let doublings = Double(UInt64(1) << UInt64(max(0, min(30, attempts - 1))))
        let ceiling = min(max(0.001, maxDelay.secondsDouble), base * doublings)
        return .milliseconds(Int64(min(ceiling * draw * 1000, 1e12)))
    }
}
