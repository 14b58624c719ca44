// SPDX-License-Identifier: Apache-2.0

/// How one host is treated: its caps, what its connections have shown, its holds.
///
/// A pure state machine: the dispatcher tells it what happened and asks whether another transfer may start.
/// A cold host gets one transfer, the scout; only what the scout's connection shows opens the caps. Without that,
/// many transfers race to a host that may be dead, or open a connection each to one that would multiplex.
public struct HostMachine: Sendable, Hashable {
    /// The limits that the config sets for this host.
    public struct Caps: Sendable, Hashable {
        /// Connections open at once; on HTTP/2 one, which carries `streams` transfers.
        public var connections: Int
        public var streams: Int
        /// Transfers started a second; nil is no limit.
        public var requestsPerSecond: Double?
        public init(connections: Int, streams: Int, requestsPerSecond: Double?) {
            self.connections = max(1, connections)
            self.streams = max(1, streams)
            self.requestsPerSecond = requestsPerSecond
        }
    }
    /// What the host has shown.
    public enum Stage: Sendable, Hashable {
        /// Nothing known. Legal exits: `.scouting`.
        case cold
        /// One transfer is out to find what it speaks. Legal exits: `.http1`, `.http2`, `.cold`.
        case scouting
        /// One transfer a connection. Legal exits: `.cold`.
        case http1
        /// Many transfers a connection. Legal exits: `.cold`.
        case http2
    }
    public enum Verdict: Sendable, Hashable {
        case start
        /// No transfer until then.
        case wait(until: MonotonicTime, WaitReason)
        /// No transfer until one of this host's transfers ends or shows what the host speaks.
        case full(WaitReason)
    }

    public var caps: Caps
    public private(set) var stage: Stage = .cold
    /// Transfers out, over all workers.
    public private(set) var active = 0
    public private(set) var heldUntil: MonotonicTime?
    public private(set) var holdReason: String?
    /// Connection failures in a row, without a response in between.
    public private(set) var failures = 0
    private var nextStart = MonotonicTime(nanoseconds: 0)

    public init(caps: Caps) { self.caps = caps }

    public var capacity: Int {
        switch stage {
        case .cold, .scouting: 1
        case .http1: caps.connections
        // One connection: libcurl opens a new one for every transfer that finds it full, as many as there are.
        case .http2: caps.streams
        }
    }

    public func verdict(now: MonotonicTime) -> Verdict {
        if let heldUntil, heldUntil > now { return .wait(until: heldUntil, .hostHeld) }
        if active >= capacity { return .full(.hostLimit) }
        if nextStart > now { return .wait(until: nextStart, .rateLimit) }
        return .start
    }

    /// A transfer was handed to a worker. Precondition: `verdict` said `.start`.
    public mutating func started(now: MonotonicTime) {
        active += 1
        if stage == .cold { stage = .scouting }
        if let heldUntil, heldUntil <= now { release() }
        if let rate = caps.requestsPerSecond, rate > 0 {
            // A pace, not a bucket: bursts are what hosts complain about.
            nextStart = max(nextStart, now) + .seconds(1 / rate)
        }
    }

    /// The first response header came: the host lives and shows what it speaks.
    public mutating func connected(isHTTP2: Bool) {
        failures = 0
        stage = isHTTP2 ? .http2 : .http1
    }

    /// A transfer ended, for whatever reason.
    public mutating func finished() {
        active = max(0, active - 1)
        // A scout that ended without a header leaves the host as cold as it was.
        if stage == .scouting, active == 0 { stage = .cold }
    }

    /// No connection could be made.
    public mutating func connectionFailed() {
        failures = min(failures + 1, 1_000_000)
        stage = active > 0 ? .scouting : .cold
    }

    /// The server closed an HTTP/2 connection under its transfers (GOAWAY): scout again, so that not all of them
    /// open a connection of their own at once.
    public mutating func connectionClosed() {
        stage = active > 0 ? .scouting : .cold
    }

    /// No transfer starts before `until`; an earlier end never shortens a hold.
    public mutating func hold(until: MonotonicTime, reason: String) {
        if let heldUntil, heldUntil >= until { return }
        heldUntil = until
        holdReason = reason
    }

    public mutating func release() {
        heldUntil = nil
        holdReason = nil
    }

    /// Nothing would be lost by forgetting this host.
    public func isForgettable(now: MonotonicTime) -> Bool {
        active == 0 && (heldUntil.map { $0 <= now } ?? true) && nextStart <= now
    }
}

/// Why a job that could run does not (design's `wait.reason`).
public enum WaitReason: String, Sendable, Codable, CaseIterable {
    case hostHeld = "host_held"
    case hostLimit = "host_limit"
    case rateLimit = "rate_limit"
    case backoff, disk
    case outputMissing = "output_missing"
    case network, ledger, window
}
