// SPDX-License-Identifier: Apache-2.0

/// How long a client of the control socket may take for what.
public struct ControlDeadlines: Sendable, Hashable {
    /// From connect, or from its first byte, until a request's head is there.
    public var head = Duration.seconds(5)
    /// Without a byte in a direction in which the client's part is due: more of a body, or reading its answer.
    public var stall = Duration.seconds(5)
    /// From a request's first byte until its answer has gone out; a posted list is free of it.
    public var request = Duration.seconds(30)
    /// From an answer to the next request on the same connection.
    public var idle = Duration.seconds(30)
    /// The defaults.
    public init() {}
}

/// When one connection has had its time. Pure: what happened and when is told, the next deadline is asked for.
///
/// Only what the client owes counts as its standing still: while the daemon thinks, or does not read on because its
/// disk is slow, no stall runs. Times are since any one start.
struct ConnectionClock: Sendable {
    private enum Phase {
        /// Answered; since when nothing came.
        case idle
        /// A head is due, since the connect or its first byte.
        case head
        /// A request is under way, since the first byte of its head.
        case request(isList: Bool)
    }
    private let deadlines: ControlDeadlines
    private var phase = Phase.head
    private var since: Duration
    /// The rest of a body is still to come.
    private var isBodyOpen = false
    /// The server has asked the socket for more.
    private var isReading = false
    private var lastReceived: Duration
    private var lastSent: Duration
    /// Bytes of answers that the kernel has not taken: the client does not read.
    private(set) var unsent = 0

    init(_ deadlines: ControlDeadlines, openedAt now: Duration) {
        self.deadlines = deadlines
        since = now
        lastReceived = now
        lastSent = now
    }

    /// The server waits for bytes from now on.
    mutating func wantsBytes(at now: Duration) {
        if !isReading { lastReceived = max(lastReceived, now) }
        isReading = true
    }
    /// A read brought bytes; until the next `wantsBytes` nothing is asked of the client.
    mutating func received(at now: Duration) {
        isReading = false
        lastReceived = now
        if case .idle = phase {
            phase = .head
            since = now
        }
    }
    mutating func headCame(isList: Bool) {
        phase = .request(isList: isList)
        isBodyOpen = true
    }
    mutating func bodyEnded() { isBodyOpen = false }

    /// Bytes go to the kernel, when it takes them.
    mutating func sending(_ count: Int, at now: Duration) {
        if unsent == 0 { lastSent = now }
        unsent += count
    }
    /// It took them.
    mutating func sent(_ count: Int, at now: Duration) {
        unsent -= count
        lastSent = now
    }
    /// The last answer due has gone out.
    mutating func answered(at now: Duration) {
        phase = .idle
        since = now
    }

    /// When the connection is closed unless something happens before.
    var deadline: Duration {
        var next: Duration
        switch phase {
        case .idle: next = since + deadlines.idle
        case .head: next = since + deadlines.head
        case .request(isList: false): next = since + deadlines.request
        case .request(isList: true): next = since + .seconds(86_400 * 365)
        }
        if case .request = phase, isBodyOpen, isReading { next = min(next, lastReceived + deadlines.stall) }
        if unsent > 0 { next = min(next, lastSent + deadlines.stall) }
        return next
    }
}
