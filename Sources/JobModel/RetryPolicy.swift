// SPDX-License-Identifier: Apache-2.0

/// An attempt that broke, as data: everything that its verdict depends on.
public struct BrokenAttempt: Sendable, Hashable {
    /// Whose doing it was.
    public enum Blame: Sendable, Hashable {
        /// The file's, as far as anybody can tell.
        case job
        /// No connection came about: name, connect or TLS.
        case unreachable(HostNews)
        /// 429 or 503: an answer about the host, not about the file.
        case refused(HostNews)
        /// GOAWAY or REFUSED_STREAM: the server had done nothing for it yet.
        case sentAway(HostNews)
        /// The host it was redirected to is held for so long.
        case awaited(Duration)
        /// Disk, descriptors, memory: this machine's.
        case machine
    }
    /// What the host's machine made of it.
    public struct HostNews: Sendable, Hashable {
        /// Rounds in a row that told the same, this one included. All that fail together are one round.
        public var rounds: Int
        /// False: it was under way when an earlier one told the same, and adds nothing.
        public var isFirst: Bool
        /// This very job has met the same before, and others were served in between: it is not the host.
        public var isOwn: Bool
        /// Other jobs are queued for it, and can be its next scouts.
        public var hasOthers: Bool
        public init(rounds: Int, isFirst: Bool, isOwn: Bool = false, hasOthers: Bool = false) {
            self.rounds = rounds
            self.isFirst = isFirst
            self.isOwn = isOwn
            self.hasOthers = hasOthers
        }
    }
    /// `timeouts.job`, and what is left of it.
    public struct Deadline: Sendable, Hashable {
        public var limit: Duration
        public var left: Duration
        public init(limit: Duration, left: Duration) {
            self.limit = limit
            self.left = left
        }
    }

    public var error: JobError
    public var blame: Blame
    /// Attempts charged so far, this one included.
    public var attempts: Int
    /// What the server asked for: Retry-After, else the reset of its RateLimit fields.
    public var retryAfter: Duration?
    public var deadline: Deadline?

    public init(
        _ error: JobError, blame: Blame = .job, attempts: Int, retryAfter: Duration? = nil,
        deadline: Deadline? = nil
    ) {
        self.error = error
        self.blame = blame
        self.attempts = attempts
        self.retryAfter = retryAfter
        self.deadline = deadline
    }
}

/// What becomes of a job whose attempt broke, and of its host: the only place that decides it.
///
/// Exponential back-off with full jitter (each wait is drawn between zero and the doubled ceiling, so that
/// jobs which broke together do not come back together). A host's hold is drawn from the upper quarter of its
/// ceiling: its scout must not come back at once by a lucky draw.
public struct RetryPolicy: Sendable, Hashable {
    /// Attempts in all, the first included; 0 is no limit.
    public var maxAttempts: Int
    /// Ceiling of the first wait.
    public var baseDelay: Duration
    /// Ceiling of every wait of our own choosing.
    public var maxDelay: Duration
    /// Ceiling of a host's first hold: that of the config, where a list entry sets a `baseDelay` of its own. nil is
    /// `baseDelay`.
    public var hostBaseDelay: Duration?

    /// From `retry.*`, or from a list entry's own options.
    public init(maxAttempts: Int, baseDelay: Duration, maxDelay: Duration) {
        self.maxAttempts = maxAttempts
        self.baseDelay = baseDelay
        self.maxDelay = maxDelay
    }

    public enum Fate: Sendable, Hashable {
        /// Rests in its own back-off this long.
        case retry(after: Duration)
        /// Queued as it was: what it waits for is its host's or this machine's.
        case requeue
        case giveUp(JobError)
    }
    public struct Verdict: Sendable, Hashable {
        public var fate: Fate
        /// False: it was not the job's fault, the attempt is given back.
        public var isCharged = true
        /// Nothing goes to the host for so long.
        public var hold: Duration?
        /// Nothing starts until the disk takes bytes again.
        public var pausesForDisk = false

        init(_ fate: Fate, isCharged: Bool = true, hold: Duration? = nil, pausesForDisk: Bool = false) {
            self.fate = fate
            self.isCharged = isCharged
            self.hold = hold
            self.pausesForDisk = pausesForDisk
        }
    }

    /// A rest of the job's own after so many attempts, whatever its host says. `random` as below.
    public func pause(_ code: ErrorCode, attempts: Int, random: Double) -> Duration {
        backOff(code, round: attempts) * (random.isFinite ? max(0, min(1, random)) : 0.5)
    }

    /// The longest that a server may make us wait.
    public static let longestRetryAfter: Duration = .seconds(3600)
    /// A server that breaks the protocol three times will break it again, whatever `maxAttempts` says.
    static let protocolAttempts = 3
    /// Names come back slowly, and resolvers are shared: these waits are eight times as long.
    static let dnsFactor: Double = 8
    /// For scouts of a host that has other jobs to send: until it serves, or until each of those has had its turn.
    /// The caller queues them then.
    static let turnRest: Duration = .seconds(86_400)
    /// Before what was sent away, or found no memory, asks again.
    static let shortRest: Duration = .seconds(1)

    /// - Parameter random: drawn by the caller, 0 to below 1.
    public func verdict(for broken: BrokenAttempt, random: Double) -> Verdict {
        let draw = random.isFinite ? max(0, min(1, random)) : 0.5
        var verdict: Verdict
        switch broken.blame {
        case .machine: verdict = machineVerdict(broken.error)
        case .awaited(let time):
            verdict = Verdict(.retry(after: max(.zero, time) + hostDelay * draw), isCharged: false)
        case .job: verdict = ownVerdict(broken, draw)
        case .unreachable(let host): verdict = unreachableVerdict(broken, host, draw)
        case .refused(let host): verdict = refusedVerdict(broken, host, draw)
        case .sentAway(let host):
            let isSpent = host.isOwn && isSpent(broken)
            verdict = Verdict(
                isSpent ? .giveUp(broken.error) : .retry(after: Self.shortRest), isCharged: host.isOwn)
        }
        if case .retry(let delay) = verdict.fate, let deadline = broken.deadline, delay > deadline.left {
            let limit = DurationText.format(deadline.limit)
            verdict.fate = .giveUp(JobError(.jobDeadline, "not done within \(limit)"))
        }
        return verdict
    }

    private func machineVerdict(_ error: JobError) -> Verdict {
        if error.code == .disk { return Verdict(.requeue, isCharged: false, pausesForDisk: true) }
        guard error.isRetryable else { return Verdict(.giveUp(error), isCharged: false) }
        return Verdict(.retry(after: Self.shortRest), isCharged: false)
    }

    private func ownVerdict(_ broken: BrokenAttempt, _ draw: Double) -> Verdict {
        if isSpent(broken) { return Verdict(.giveUp(broken.error)) }
        let own = backOff(broken.error.code, round: broken.attempts) * draw
        guard let asked = broken.retryAfter else { return Verdict(.retry(after: own)) }
        return Verdict(.retry(after: max(own, stretched(asked, draw))))
    }

    /// The scout's own job is charged, and the next scout is another's: each job of a dead host has its turn
    /// before one has its second. Those that were under way beside it are not charged.
    private func unreachableVerdict(
        _ broken: BrokenAttempt, _ host: BrokenAttempt.HostNews, _ draw: Double
    ) -> Verdict {
        // A certificate that is no good stays so: its jobs fail one after the other, without a hold.
        guard broken.error.isRetryable else { return Verdict(.giveUp(broken.error)) }
        guard host.isFirst else { return Verdict(.requeue, isCharged: false) }
        let hold = holdTime(broken.error.code, host.rounds, draw)
        if isSpent(broken) { return Verdict(.giveUp(broken.error), hold: hold) }
        let own = backOff(broken.error.code, round: broken.attempts) * draw
        return Verdict(.retry(after: turn(max(own, hold + hostDelay * draw), broken, host)), hold: hold)
    }

    /// With a time the server speaks for the whole host, and nobody is charged; unless the same job meets it
    /// while others are served. Without one the answer may be about this file, and whoever met it first is.
    private func refusedVerdict(
        _ broken: BrokenAttempt, _ host: BrokenAttempt.HostNews, _ draw: Double
    ) -> Verdict {
        let asked = broken.retryAfter.map { stretched($0, draw) }
        guard host.isFirst else { return Verdict(.requeue, isCharged: false, hold: asked) }
        let hold = max(asked ?? .zero, holdTime(broken.error.code, host.rounds, draw))
        let isCharged = asked == nil || host.isOwn
        if isCharged, isSpent(broken) { return Verdict(.giveUp(broken.error), hold: hold) }
        let rest = hold + hostDelay * draw
        let after = isCharged ? turn(rest, broken, host) : rest
        return Verdict(.retry(after: after), isCharged: isCharged, hold: hold)
    }

    /// Until the others have had their turn, or the job's time is over.
    private func turn(
        _ rest: Duration, _ broken: BrokenAttempt, _ host: BrokenAttempt.HostNews
    ) -> Duration {
        guard host.hasOthers else { return rest }
        return max(rest, min(Self.turnRest, broken.deadline?.left ?? Self.turnRest))
    }

    private func isSpent(_ broken: BrokenAttempt) -> Bool {
        let code = broken.error.code
        guard broken.error.isRetryable, !Self.isFinal(code) else { return true }
        if maxAttempts > 0, broken.attempts >= maxAttempts { return true }
        return code == .protocol && broken.attempts >= Self.protocolAttempts
    }

    /// Verdicts on the job, not on an attempt: true for the user who tries tomorrow, final here.
    private static func isFinal(_ code: ErrorCode) -> Bool {
        switch code {
        case .hostUnavailable, .jobDeadline: true
        default: false
        }
    }

    /// Never shorter than what was asked for, at most an hour of it, and up to a tenth more (at least a
    /// second's worth), so that not everybody comes back at once.
    private func stretched(_ asked: Duration, _ draw: Double) -> Duration {
        let asked = max(.zero, min(Self.longestRetryAfter, asked))
        return asked + .milliseconds(Int64(max(1, asked.secondsDouble / 10) * draw * 1000))
    }

    /// Clamped: what a list or a config gives must not overflow what is added to it.
    private var hostDelay: Duration { max(.zero, min(hostBaseDelay ?? baseDelay, .seconds(86_400))) }

    private func holdTime(_ code: ErrorCode, _ round: Int, _ draw: Double) -> Duration {
        backOff(code, round: round, base: hostDelay) * (0.75 + draw / 4)
    }

    /// The ceiling of the wait after so many rounds.
    private func backOff(_ code: ErrorCode, round: Int, base: Duration? = nil) -> Duration {
        let factor = code == .dns ? Self.dnsFactor : 1
        let base = max(0.001, (base ?? baseDelay).secondsDouble) * factor
        // 2^30 of any base is above every maxDelay; the exponent is clamped before it is used.
        let doublings = Double(UInt64(1) << UInt64(min(30, max(1, round) - 1)))
        let ceiling = min(max(0.001, maxDelay.secondsDouble), base * doublings)
        return .milliseconds(Int64(min(ceiling * 1000, 1e12)))
    }
}
