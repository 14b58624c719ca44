// SPDX-License-Identifier: Apache-2.0

/// How long a further connection takes before it brings what it can: a handshake, the wait for its answer, then a round
/// trip for each doubling of what TCP begins with. Pure.
public struct ConnectionStart: Sendable, Hashable {
    /// Bytes of the first round trip of an answer: ten segments (RFC 6928).
    static let firstFlight = 14_600.0
    /// Round trips of the handshake and of the request.
    static let opening = 2.0
    /// From here on a connection needs a second and more to find the speed of a fast line.
    static let long = Duration.milliseconds(25)

    /// To the server, or to the proxy. Zero: not known, or next to nothing.
    public var roundTrip: Duration

    public init(roundTrip: Duration = .zero) { self.roundTrip = max(.zero, min(roundTrip, .seconds(10))) }

    public var isLong: Bool { roundTrip >= Self.long }

    /// Seconds that a new connection loses, beside one that brings so many bytes a second already.
    /// - Parameter isOpen: the connection is there, from a request that it has answered.
    func seconds(to bytesPerSecond: Double, isOpen: Bool = false) -> Double {
        let trip = roundTrip.secondsDouble
        if isOpen { return trip }
        let flights = bytesPerSecond * trip / Self.firstFlight
        // Whole doublings, the one that has begun included.
        let doublings = flights > 1 ? Double(flights.exponent) + 1 : 0
        return trip * (Self.opening + doublings)
    }
}
