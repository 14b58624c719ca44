// SPDX-License-Identifier: Apache-2.0

/// What the end of a transfer says about the network between this machine and everybody else.
public enum UplinkSign: Sendable, Hashable, CaseIterable {
    /// A name was not resolved: no resolver, a silent one, or no such name (libcurl does not tell which).
    case noName
    /// Nobody answered a connect within its time, or the next router knew nobody.
    case noAnswer
    /// This machine has no way out at all.
    case noRoute
    /// A connection that stood went silent. Proves nothing by itself, but may be the first to notice.
    case stalled
    /// Something out there spoke: an answer, a refusal, a reset, a certificate.
    case answered
    /// Nothing about the network.
    case none
}

/// Whether the machine's own uplink is down: what fails then is nobody's fault, and trying on is no use.
///
/// Pure: told what fails and what answers, it says what becomes of the failed job. While the answer is open (a
/// *suspicion*), nothing is charged and nothing is given back: the jobs concerned wait for the verdict, each host
/// having lost one attempt at most. So a list whose jobs may try once only survives too.
public struct UplinkMachine: Sendable, Hashable {
    public struct Settings: Sendable, Hashable {
        /// `network.down_after`: silence from everywhere for so long.
        public var downAfter: Duration
        /// After so long it counts as the hosts' fault; nil is never.
        public var giveUp: Duration?
        public init(downAfter: Duration, giveUp: Duration?) {
            self.downAfter = max(.milliseconds(100), downAfter)
            self.giveUp = giveUp
        }
    }
    public enum State: Sendable, Hashable {
        /// Exits: suspected.
        case up
        /// Something failed that a dead uplink would explain, and nothing has answered since.
        /// `hosts`: those that could not be reached. Exits: up, down.
        case suspected(since: MonotonicTime, hosts: Set<HostKey>, isCutOff: Bool)
        /// One probe at a time; `nextProbe` nil while one is out. Exits: up, blamed.
        case down(since: MonotonicTime, nextProbe: MonotonicTime?, step: Duration)
        /// Down for longer than `giveUp`: jobs and hosts are charged as ever. Exits: up.
        case blamed(since: MonotonicTime)
    }
    /// What becomes of a job whose transfer failed.
    public enum Answer: Sendable, Hashable {
        /// As any failure.
        case charge
        /// Undecided: it waits for `settled` or `wentDown`.
        case doubt
        /// Back to the queue, its attempt given back.
        case forgive
    }
    public enum News: Sendable, Hashable {
        case none
        /// The suspicion is over without a verdict: what was doubted is charged.
        case settled
        /// The uplink is down: what was doubted is forgiven.
        case wentDown
        case cameUp
        /// It has been down for so long that it counts as the hosts' fault.
        case blamed
    }

    /// Fewer silent hosts than this are those hosts' own trouble.
    public static let hostsNeeded = 5
    /// Without any way out nobody else need be asked; so long an interface may take to come back.
    static let routeGrace: Duration = .seconds(2)
    static let firstStep: Duration = .seconds(1)
    static let longestStep: Duration = .seconds(30)
    /// The window bounds how many hosts can be in doubt at once; this bounds the set whatever the window.
    static let maxHosts = 65_536

    public var settings: Settings
    public private(set) var state = State.up
    private var lastLook = MonotonicTime(nanoseconds: 0)

    public init(settings: Settings) { self.settings = settings }

    /// A transfer to `host` failed.
    ///
    /// - Parameter hostsInPlay: hosts that have jobs which have not ended, counted up to `hostsNeeded`: with fewer
    ///   no verdict could ever fall, and nobody is kept waiting for it.
    public mutating func failed(
        _ sign: UplinkSign, at host: HostKey, hostsInPlay: Int, now: MonotonicTime
    )
        -> Answer
    {
        guard sign != .none, sign != .answered else { return .charge }
        switch state {
        case .up:
            guard sign == .noRoute || hostsInPlay >= Self.hostsNeeded else { return .charge }
            lastLook = now
            state = .suspected(
                since: now, hosts: sign == .stalled ? [] : [host], isCutOff: sign == .noRoute)
            return .doubt
        case .suspected(let since, var hosts, let isCutOff):
            if sign != .stalled, hosts.count < Self.maxHosts { hosts.insert(host) }
            state = .suspected(since: since, hosts: hosts, isCutOff: isCutOff || sign == .noRoute)
            return .doubt
        case .down: return .forgive
        case .blamed: return .charge
        }
    }

    /// Something answered.
    /// - Parameter time: when, at the earliest: news takes its way, and what was heard before the first failure
    ///   proves nothing.
    public mutating func proved(at time: MonotonicTime) -> News {
        switch state {
        case .up: return .none
        case .suspected(let since, _, _):
            guard time >= since else { return .none }
            state = .up
            return .settled
        case .down(let since, _, _):
            guard time >= since else { return .none }
            state = .up
            return .cameUp
        case .blamed:
            state = .up
            return .cameUp
        }
    }

    /// Time has passed. Call at `nextLook`.
    public mutating func look(hostsInPlay: Int, now: MonotonicTime) -> News {
        lastLook = now
        switch state {
        case .up, .blamed: return .none
        case .suspected(let since, let hosts, let isCutOff):
            let silence = now - since
            if isCutOff {
                if silence >= min(settings.downAfter, Self.routeGrace) { return goDown(since, now) }
            } else if hosts.count >= Self.hostsNeeded, silence >= settings.downAfter {
                return goDown(since, now)
            } else if hostsInPlay < Self.hostsNeeded || silence >= settings.downAfter * 2 {
                state = .up
                return .settled
            }
            return .none
        case .down(let since, _, _):
            guard let giveUp = settings.giveUp, now - since >= giveUp else { return .none }
            state = .blamed(since: since)
            return .blamed
        }
    }

    private mutating func goDown(_ since: MonotonicTime, _ now: MonotonicTime) -> News {
        state = .down(since: since, nextProbe: now, step: Self.firstStep)
        return .wentDown
    }

    /// When to look at the clock again; nil: no need.
    public var nextLook: MonotonicTime? {
        switch state {
        case .up, .blamed: nil
        case .suspected: lastLook + min(.seconds(1), settings.downAfter / 4)
        case .down(let since, let nextProbe, _):
            [nextProbe, settings.giveUp.map { since + $0 }].compactMap { $0 }.min()
        }
    }

    /// Nothing may start but a probe.
    public var downSince: MonotonicTime? {
        if case .down(let since, _, _) = state { since } else { nil }
    }

    /// Since when no host has answered, where that counts against them by now.
    public var blamedSince: MonotonicTime? {
        if case .blamed(let since) = state { since } else { nil }
    }

    /// The host has failed under the present suspicion: another of its jobs would only meet the same.
    public func isSuspect(_ host: HostKey) -> Bool {
        if case .suspected(_, let hosts, _) = state { hosts.contains(host) } else { false }
    }

    public func isProbeDue(now: MonotonicTime) -> Bool {
        if case .down(_, let nextProbe?, _) = state { nextProbe <= now } else { false }
    }

    /// A transfer was sent out to see whether the network is back.
    public mutating func probeStarted() {
        guard case .down(let since, _, let step) = state else { return }
        state = .down(since: since, nextProbe: nil, step: step)
    }

    /// It ended without an answer, or none could be sent: the next one after a while, up to half a minute.
    public mutating func probeEnded(now: MonotonicTime) {
        guard case .down(let since, _, let step) = state else { return }
        state = .down(since: since, nextProbe: now + step, step: min(step * 2, Self.longestStep))
    }
}
