// SPDX-License-Identifier: Apache-2.0

/// How one host is treated: its caps, what its connections have shown, its holds, its circuit breaker.
///
/// A pure state machine: the dispatcher tells it what happened and asks whether another transfer may start.
/// A host that is cold, or that was held, gets one transfer, the scout; only its usable answer opens the caps.
/// Without that, many transfers race to a host that may be dead, or open a connection each to one that would
/// multiplex, or all come back in the moment in which a hold ends.
public struct HostMachine: Sendable, Hashable {
    /// The limits that the config sets for this host.
    public struct Caps: Sendable, Hashable {
        /// Connections open at once.
        public var connections: Int
        /// On HTTP/2: transfers at a time on each connection that transfers share.
        public var streams: Int
        /// How many of the connections they may share.
        public var sharedConnections: Int
        /// Transfers started a second; nil is no limit.
        public var requestsPerSecond: Double?
        public var workers: Int
        /// Transfers of all hosts on one of them; nil is no limit.
        public var perWorker: Int?
        /// - Parameter sharedConnections: nil is all of them.
        public init(
            connections: Int, streams: Int, sharedConnections: Int? = nil, requestsPerSecond: Double?,
            workers: Int = 1, perWorker: Int? = nil
        ) {
            self.connections = max(1, connections)
            self.streams = max(1, streams)
            self.sharedConnections = max(1, min(sharedConnections ?? connections, connections))
            self.requestsPerSecond = requestsPerSecond
            self.workers = max(1, workers)
            self.perWorker = perWorker
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
    /// What a transfer is to its host.
    public enum Role: Sendable, Hashable {
        /// Alone to find out whether the host serves.
        case scout
        /// On HTTP/2: opens a connection that others will share.
        case opener
        case ordinary
    }

    public var caps: Caps
    /// Jobs of it that are under way or could be, as last told: connections that these fill are opened at once.
    public var jobs = 0
    public private(set) var stage: Stage = .cold {
        didSet { if stage != oldValue { spread.reset() } }
    }
    /// Transfers out, over all workers.
    public private(set) var active = 0
    /// Where they are.
    public private(set) var spread = WorkerSpread()
    /// Connections beside those, for segments of files.
    public private(set) var segments = 0
    public private(set) var heldUntil: MonotonicTime?
    public private(set) var holdReason: String?
    /// Rounds of connection failures in a row, without a response in between.
    public private(set) var failures = 0
    /// Rounds of 429 and 503 in a row, without a usable answer in between.
    public private(set) var refusals = 0
    /// Usable answers so far: tells whether others were served between two moments.
    public private(set) var served: UInt64 = 0
    /// One transfer goes alone before others may follow.
    public private(set) var needsScout = true
    private var isScoutOut = false
    private var cap = AdaptiveCap()
    private var climb = GoodputClimb()
    private var sharing = SegmentRamp(
        most: mostSharing, first: firstSharing, settling: sharingSettles)
    private var broughtBytes: Int64 = 0
    private var nextStart = MonotonicTime(nanoseconds: 0)

    /// Connection failures in a row that open the breaker: from here on the host counts as dead until a scout
    /// comes back with an answer.
    public static let breakerThreshold = 3
    /// Connections that several transfers have together before segments of theirs have shown what more bring.
    static let firstSharing = 8
    static let mostSharing = 1024
    /// Work that has taken so long will take a while yet.
    static let sharingSettles = Duration.seconds(10)

    public init(caps: Caps) { self.caps = caps }

    public var isBreakerOpen: Bool { failures >= Self.breakerThreshold }
    /// Fewer transfers than configured, after trouble.
    public var isReduced: Bool { cap.isReduced }

    /// Transfers at a time once a scout has shown that it serves: no more than its trouble lets, nor than bring more.
    public var capacity: Int { min(cap.level(of: ceiling), climb.level(of: ceiling)) }

    private var ceiling: Int {
        switch stage {
        case .cold, .scouting, .http1: caps.connections
        // libcurl opens another connection when those that are there are full.
        case .http2: bounds.ceiling(isProven: spread.isProven)
        }
    }

    /// On HTTP/2. Segments have connections of their own, beside those that transfers share.
    private var bounds: WorkerSpread.Bounds {
        WorkerSpread.Bounds(
            streams: caps.streams, connections: min(caps.sharedConnections, caps.connections - segments),
            workers: caps.workers, perWorker: caps.perWorker ?? .max)
    }

    /// Connections that the transfers under way need: on HTTP/2 as few as carry them, or those that were seen.
    public var connectionsInUse: Int {
        (stage == .http2 ? spread.connections(streams: caps.streams) : active) + segments
    }

    /// The same of one worker, without segments.
    public func connections(on worker: Int) -> Int {
        stage == .http2
            ? spread.connections(on: worker, streams: caps.streams) : spread.active(on: worker)
    }

    /// The worker that takes the next transfer of a host that speaks HTTP/2; nil: none may just now.
    /// - Parameter load: transfers of all hosts on a worker.
    public func worker(load: (Int) -> Int) -> Int? { spread.choose(bounds, jobs: filling, load: load) }

    /// After trouble nothing is opened before it is needed.
    private var filling: Int { isReduced || stage != .http2 ? 0 : jobs }

    /// So many streams on one connection are counted on and yet to be proven; nil: nothing depends on it.
    public var streamsToProve: Int? {
        stage == .http2 && caps.workers > 1 && !spread.isProven ? bounds.counted : nil
    }

    /// What a worker saw of its connections to this host as an answer came, or its transfer ended. Told after `answered`.
    /// - Parameter role: of that transfer, before its answer.
    public mutating func saw(_ sight: StreamSight, on worker: Int, to role: Role) {
        spread.saw(sight, on: worker, to: role, bounds)
        if role == .opener { climb.connected() }
    }

    /// Of the ceiling: on HTTP/2 transfers share connections; segments have theirs beside them.
    private var taken: Int { stage == .http2 ? active : active + segments }

    /// Transfers that may start now, holds and paces apart.
    public var room: Int {
        if needsScout { return isScoutOut || taken >= capacity ? 0 : 1 }
        // Who opens a connection asks nothing of the host yet, and waits for it longer than the others for their answers.
        let openers = filling > 0 ? spread.opening(bounds, jobs: filling) : 0
        return max(0, min(capacity + openers, ceiling) - taken)
    }

    /// It serves, and has as many transfers as it may ever have.
    public var isAtCap: Bool { !needsScout && taken >= ceiling }

    /// Whether a transfer that is under way may have one more connection.
    public func segmentVerdict(now: MonotonicTime) -> Verdict {
        if let heldUntil, heldUntil > now { return .wait(until: heldUntil, .hostHeld) }
        let isFull: Bool
        switch stage {
        case .cold, .scouting: isFull = true
        // Whether one more brings more, the file's own ramp finds out.
        case .http1: isFull = active + segments >= cap.level(of: ceiling)
        // After trouble one connection is enough there.
        case .http2: isFull = isReduced || max(1, connectionsInUse) >= caps.connections
        }
        if needsScout || isFull { return .full(.hostLimit) }
        return nextStart > now ? .wait(until: nextStart, .rateLimit) : .start
    }

    /// Several transfers share the line: what a further connection brings one of them the others may lose. More than these
    /// they get only while all together bring more.
    public var isShared: Bool { active > 1 && connectionsInUse >= sharing.level }
    /// Segments were tried that brought nothing to all together.
    public var hasSurplus: Bool { active > 1 && sharing.takesBack && connectionsInUse > sharing.level }

    /// Whether a transfer that is under way elsewhere may have a connection here. A host that nothing is known of is
    /// scouted by it; one that failed is not asked, its own jobs find out whether it serves again.
    public func helperVerdict(now: MonotonicTime) -> Verdict {
        guard needsScout else {
            // The connection that its own transfers will share is kept for them.
            if stage == .http2, active == 0, segments + 1 >= caps.connections { return .full(.hostLimit) }
            return segmentVerdict(now: now)
        }
        if let heldUntil, heldUntil > now { return .wait(until: heldUntil, .hostHeld) }
        if failures > 0 || room == 0 { return .full(.hostLimit) }
        return nextStart > now ? .wait(until: nextStart, .rateLimit) : .start
    }

    /// A further connection was allowed. Precondition: `segmentVerdict`, or `helperVerdict`, said `.start`.
    /// - Returns: whether it is the host's scout; `answered` ends that.
    @discardableResult
    public mutating func segmentStarted(now: MonotonicTime) -> Role {
        segments += 1
        if let heldUntil, heldUntil <= now { endHold() }
        pace(now)
        guard needsScout else { return .ordinary }
        if stage == .cold { stage = .scouting }
        isScoutOut = true
        return .scout
    }

    /// One of them ended.
    public mutating func segmentEnded(_ end: AdaptiveCap.End, _ role: Role = .ordinary) {
        segments = max(0, segments - 1)
        let counts = role == .ordinary || end == .success
        cap.ended(counts ? end : .neutral, ceiling: ceiling, inFlight: active + segments)
        if role == .scout { scoutEnded() }
    }

    public func verdict(now: MonotonicTime) -> Verdict {
        if let heldUntil, heldUntil > now { return .wait(until: heldUntil, .hostHeld) }
        if room == 0 { return .full(.hostLimit) }
        if nextStart > now { return .wait(until: nextStart, .rateLimit) }
        return .start
    }

    public func isHeld(now: MonotonicTime) -> Bool { heldUntil.map { $0 > now } ?? false }

    /// A transfer was handed to a worker. Precondition: `verdict` said `.start`.
    public mutating func started(now: MonotonicTime, on worker: Int = 0) -> Role {
        active += 1
        if stage == .cold { stage = .scouting }
        let opens = spread.started(on: worker, bounds, jobs: filling, isScout: needsScout)
        if let heldUntil, heldUntil <= now { endHold() }
        pace(now)
        guard needsScout else { return opens && stage == .http2 ? .opener : .ordinary }
        isScoutOut = true
        return .scout
    }

    /// A pace, not a bucket: bursts are what hosts complain about.
    private mutating func pace(_ now: MonotonicTime) {
        guard let rate = caps.requestsPerSecond, rate > 0 else { return }
        nextStart = max(nextStart, now) + .seconds(1 / rate)
    }

    /// A response's head came: the host lives and shows what it speaks.
    ///
    /// - Parameter isUsable: any answer but 429 and 503. Only a scout's opens the caps.
    /// - Returns: what the transfer is from now on. A scout that has its answer is one like the others: its body may
    ///   take hours, and the next scout does not wait for that.
    @discardableResult
    public mutating func answered(isHTTP2: Bool, isUsable: Bool, to role: Role) -> Role {
        failures = 0
        stage = isHTTP2 ? .http2 : .http1
        guard isUsable else { return role }
        refusals = 0
        if role == .scout {
            needsScout = false
            isScoutOut = false
        }
        return .ordinary
    }

    /// A transfer's first answer has begun, a usable one. Told once a transfer, after `answered`.
    public mutating func opened() {
        guard !cap.isReduced else { return }
        // What it may have once its streams are proven: it does not stop where one worker does.
        guard stage == .http2 else { return climb.answered(ceiling: ceiling) }
        climb.answered(ceiling: bounds.ceiling(isProven: true), streams: bounds.counted)
    }

    /// Bytes have come of a transfer that goes on.
    public mutating func progressed(_ bytes: Int64, now: MonotonicTime) {
        broughtBytes &+= max(0, bytes)
        guard !cap.isReduced else { return }
        climb.progressed(bytes, inFlight: active, ceiling: ceiling, now: now)
        // Where the transfers alone need more, segments are not what brings it.
        guard active > 1, connectionsInUse - segments <= sharing.level else { return }
        sharing.sample(bytes: broughtBytes, running: connectionsInUse, left: .max, now: now)
    }

    /// A transfer has brought its file. Told before `finished`.
    ///
    /// - Parameters:
    ///   - bytes: those that `progressed` was not told of.
    ///   - wait: from the request to the first byte; nil where it is not known.
    public mutating func brought(_ bytes: Int64, wait: Duration?, now: MonotonicTime) {
        broughtBytes &+= max(0, bytes)
        guard !cap.isReduced else { return }
        climb.ended(bytes: bytes, wait: wait, inFlight: active, ceiling: ceiling, now: now)
    }

    /// A transfer ended, for whatever reason.
    public mutating func finished(_ role: Role, _ end: AdaptiveCap.End, on worker: Int = 0) {
        active = max(0, active - 1)
        spread.ended(on: worker, role: role)
        if end == .success { served &+= 1 }
        // One that was alone tells nothing about how many are too many.
        let counts = role != .scout || end == .success
        cap.ended(counts ? end : .neutral, ceiling: ceiling, inFlight: active + segments)
        if counts, end == .trouble { climb.troubled() }
        if role == .scout { scoutEnded() }
    }

    private mutating func scoutEnded() {
        isScoutOut = false
        // A scout that ended without a header leaves the host as cold as it was.
        if stage == .scouting { stage = .cold }
    }

    /// No connection could be made. Told after `finished`.
    ///
    /// Returns whether it is news: what was under way beside the scout, or when a hold began, is not.
    public mutating func connectionFailed(_ role: Role, now: MonotonicTime) -> Bool {
        guard isNews(role, now) else { return false }
        failures = min(failures + 1, 1_000_000)
        stage = .cold
        needsScout = true
        return true
    }

    /// 429 or 503. Returns whether it is news, as above.
    public mutating func refused(_ role: Role, now: MonotonicTime) -> Bool {
        guard isNews(role, now) else { return false }
        refusals = min(refusals + 1, 1_000_000)
        needsScout = true
        return true
    }

    private func isNews(_ role: Role, _ now: MonotonicTime) -> Bool {
        !isHeld(now: now) && (role == .scout || !needsScout)
    }

    /// An HTTP/2 connection ended under its transfers (GOAWAY, a reset): one goes first again, so that not all
    /// of them open a connection of their own at once.
    public mutating func connectionClosed(on worker: Int = 0) {
        guard stage == .http2 else { return }
        needsScout = true
        spread.closed(on: worker, streams: caps.streams)
    }

    /// No transfer starts before `until`, and then a scout; an earlier end never shortens a hold.
    public mutating func hold(until: MonotonicTime, reason: String) {
        if let heldUntil, heldUntil >= until { return }
        heldUntil = until
        holdReason = reason
        needsScout = true
    }

    /// Somebody says that it serves again: hold and breaker are over, a scout may go at once.
    public mutating func release() {
        endHold()
        failures = 0
        refusals = 0
    }

    private mutating func endHold() {
        heldUntil = nil
        holdReason = nil
    }

    /// Nothing would be lost by forgetting this host.
    public func isForgettable(now: MonotonicTime) -> Bool {
        active == 0 && segments == 0 && !isHeld(now: now) && nextStart <= now
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
    /// The list of digests that it is to be checked by is not in yet.
    case checksums
}
