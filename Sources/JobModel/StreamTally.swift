// SPDX-License-Identifier: Apache-2.0

/// What a worker sees of the HTTP/2 connections that it has to one host.
public struct StreamSight: Sendable, Hashable {
    /// Connections that transfers ride and that take further streams.
    public var connections: Int
    /// Of these, such as have answered.
    public var answered: Int
    /// Connections that have gone away and on which transfers come to their end.
    public var going: Int
    /// So many streams at a time the server has been seen to allow on one of them.
    public var streams: Int
    /// So many have gone away since some were first ridden.
    public var gone: Int
    public init(connections: Int, answered: Int, streams: Int, going: Int = 0, gone: Int = 0) {
        self.connections = connections
        self.answered = answered
        self.going = going
        self.streams = streams
        self.gone = gone
    }
    /// An answer, of which nothing else is known.
    public static let one = StreamSight(connections: 1, answered: 1, streams: 0)
}

/// Which transfers of one worker ride which of its connections to one host.
///
/// How many streams a server allows is known to libcurl alone, and it opens another connection when they are all
/// taken. But it gives a transfer to a connection that has answered, and so has told its limit, only below that limit:
/// as many as ride it then are allowed. Before the first answer nothing is proven, for the rest may wait inside libcurl.
public struct StreamTally<Connection: Hashable & Sendable>: Sendable {
    private struct Ridden {
        var riders = 0
        var hasAnswered = false
        /// It had answered in an earlier turn.
        var isKnown = false
        var isGoing = false
    }
    private var connections: [Connection: Ridden] = [:]
    /// So many at a time the server has been seen to allow on one connection.
    public private(set) var streams = 0
    private var gone = 0

    public init() {}

    public var isEmpty: Bool { connections.isEmpty }
    public var sight: StreamSight {
        let going = connections.values.count { $0.isGoing }
        let answered = connections.values.count { $0.hasAnswered && !$0.isGoing }
        return StreamSight(
            connections: connections.count - going, answered: answered, streams: streams, going: going,
            gone: gone)
    }

    /// The head of an answer came over it.
    public mutating func answered(_ connection: Connection) { connections[connection]?.hasAnswered = true }

    /// The server takes no more streams on it.
    public mutating func goesAway(where isIt: (Connection) -> Bool) {
        for (connection, ridden) in connections where !ridden.isGoing && isIt(connection) {
            connections[connection]?.isGoing = true
            gone += 1
        }
    }

    /// A transfer was given to this connection, at some time in this turn. Told at the end of the turn, when those that
    /// have ended in it have left.
    public mutating func rode(_ connection: Connection) {
        var ridden = connections[connection] ?? Ridden()
        ridden.riders += 1
        if ridden.isKnown { streams = max(streams, ridden.riders) }
        connections[connection] = ridden
    }

    /// The turn is over: what has answered in it has told its limit to those that come.
    public mutating func turned() {
        for (connection, ridden) in connections where ridden.hasAnswered && !ridden.isKnown {
            connections[connection]?.isKnown = true
        }
    }

    /// A transfer that rode it is over.
    public mutating func left(_ connection: Connection) {
        guard var ridden = connections[connection] else { return }
        ridden.riders -= 1
        connections[connection] = ridden.riders > 0 ? ridden : nil
    }
}
