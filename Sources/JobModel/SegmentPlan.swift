// SPDX-License-Identifier: Apache-2.0

/// What of one file is still to be fetched, and by which of its connections. Pure.
///
/// Only what is missing is listed, as *holes* in order: each is free or belongs to one segment, which fills it from its
/// start. All else is there. A hole is never split into pieces below `leastSize`, so there are never many.
public struct SegmentPlan: Sendable, Hashable {
    public struct Hole: Sendable, Hashable {
        public fileprivate(set) var start: Int64
        public fileprivate(set) var end: Int64
        /// The segment that fills it; nil: free.
        public fileprivate(set) var owner: Int?
        /// One beyond the last byte that its owner's request brings, should nobody stop it.
        fileprivate var reach: Int64
        /// Bytes a second of its owner, once that is known.
        fileprivate var speed: Double?
        public var count: Int64 { end - start }
    }

    public let total: Int64
    public let leastSize: Int64
    /// What one more connection costs.
    private let cost: ConnectionStart
    /// In order, none empty, none overlapping.
    public private(set) var holes: [Hole]

    /// - Parameters:
    ///   - known: what is there already, in any order.
    ///   - cost: of one more connection.
    public init(
        total: Int64, known: [ByteRange], leastSize: Int64, cost: ConnectionStart = ConnectionStart()
    ) {
        self.total = max(0, total)
        self.leastSize = max(1, leastSize)
        self.cost = cost
        holes = []
        var place: Int64 = 0
        for range in known.sorted(by: { $0.start < $1.start }) where range.count > 0 {
            if range.start > place { addFree(place, min(range.start, self.total)) }
            place = max(place, range.end)
        }
        addFree(place, self.total)
    }

    private mutating func addFree(_ start: Int64, _ end: Int64) {
        guard start < end else { return }
        holes.append(Hole(start: start, end: end, reach: end))
    }

    public var isWhole: Bool { holes.isEmpty }
    public var missing: Int64 { holes.reduce(0) { $0 + $1.count } }
    public var inFlight: Int { holes.count { $0.owner != nil } }

    /// What a segment has still to bring; nil: nothing.
    public func rest(of owner: Int) -> ByteRange? {
        holes.first { $0.owner == owner }.map { ByteRange($0.start, $0.end) }
    }

    /// How many connections could have something to do, so that none has less than `leastSize` and, where its speed is
    /// known, less than `leastTime` beside what it costs.
    public func capacity(leastTime: Duration, isOpen: Bool = false) -> Int {
        let usual = usualSpeed
        return holes.reduce(0) { sum, hole in
            var parts = min(hole.count / leastSize, 1000)
            if let speed = hole.speed ?? usual {
                let time = expected(hole, speed) - cost.seconds(to: speed, isOpen: isOpen)
                parts = min(parts, Int64(min(max(0, time / leastTime.secondsDouble), 1000)))
            }
            return sum + Int(max(1, parts))
        }
    }

    /// A request that is under way already becomes the segment that fills what lies at `position`.
    /// - Parameter reach: one beyond the last byte that it brings.
    public mutating func adopt(_ owner: Int, at position: Int64, reach: Int64) {
        guard let index = holes.firstIndex(where: { $0.start <= position && position < $0.end }) else {
            return
        }
        holes[index].start = position
        holes[index].owner = owner
        holes[index].reach = max(reach, holes[index].end)
    }

    /// Gives a segment something to do: the first free hole, else a part of the one that would take longest.
    ///
    /// - Parameter shares: how many segments are being begun, this one included. One takes half of the other's rest;
    ///   several take what makes all equal. In both cases less by what the other brings until it is under way.
    ///   - isOpen: a connection is there that has just brought its range.
    /// - Returns: what to ask for; nil where there is nothing worth a request.
    public mutating func assign(
        _ owner: Int, shares: Int = 1, leastTime: Duration, isOpen: Bool = false
    ) -> ByteRange? {
        if let index = holes.firstIndex(where: { $0.owner == nil }) {
            holes[index].owner = owner
            holes[index].reach = holes[index].end
            holes[index].speed = nil
            return ByteRange(holes[index].start, holes[index].end)
        }
        guard let index = slowest(leastTime: leastTime, isOpen: isOpen) else { return nil }
        let rest = holes[index].count
        let equal = shares > 1 ? missing / Int64(inFlight + shares) : rest
        let late = holes[index].speed.map { Int64(min($0 * cost.seconds(to: $0, isOpen: isOpen), 1e15)) } ?? 0
        let taken = min(rest - leastSize, max(leastSize, min(equal, rest / 2) - late / 2))
        let end = holes[index].end
        holes[index].end = end - taken
        holes.insert(Hole(start: end - taken, end: end, owner: owner, reach: end), at: index + 1)
        return ByteRange(end - taken, end)
    }

    /// The hole whose owner has longest to go, among those that may be split.
    private func slowest(leastTime: Duration, isOpen: Bool) -> Int? {
        let usual = usualSpeed
        func time(_ index: Int) -> Double { expected(holes[index], holes[index].speed ?? usual ?? 1) }
        return holes.indices.filter { index in
            guard holes[index].count >= 2 * leastSize else { return false }
            guard let speed = holes[index].speed ?? usual else { return true }
            return time(index) >= leastTime.secondsDouble + cost.seconds(to: speed, isOpen: isOpen)
        }
        .max { time($0) < time($1) }
    }

    /// Seconds that it takes at that speed.
    private func expected(_ hole: Hole, _ speed: Double) -> Double { Double(hole.count) / max(speed, 1) }

    /// What one that has just begun will bring, by the others. nil: nothing is known.
    private var usualSpeed: Double? {
        let speeds = holes.compactMap(\.speed)
        return speeds.isEmpty ? nil : speeds.reduce(0, +) / Double(speeds.count)
    }

    /// A segment has brought everything up to `position`.
    public mutating func reached(_ owner: Int, _ position: Int64) {
        guard let index = holes.firstIndex(where: { $0.owner == owner }) else { return }
        holes[index].start = max(holes[index].start, min(position, holes[index].end))
        if holes[index].count == 0 { holes.remove(at: index) }
    }

    public mutating func measured(_ owner: Int, bytesPerSecond: Double) {
        guard let index = holes.firstIndex(where: { $0.owner == owner }) else { return }
        holes[index].speed = bytesPerSecond
    }

    /// A segment has ended. What it left is for the one before it, where that one's request brings it anyway; else it
    /// is free.
    public mutating func release(_ owner: Int) {
        guard let index = holes.firstIndex(where: { $0.owner == owner }) else { return }
        holes[index].owner = nil
        holes[index].speed = nil
        join()
    }

    private mutating func join() {
        var joined: [Hole] = []
        for var hole in holes {
            if hole.owner == nil, let last = joined.last, last.end == hole.start {
                let reach = last.owner == nil ? hole.end : max(last.end, min(hole.end, last.reach))
                joined[joined.count - 1].end = reach
                hole.start = reach
            }
            if hole.count > 0 { joined.append(hole) }
        }
        holes = joined
    }

    /// What is there, in order and joined.
    public var known: [ByteRange] {
        var known: [ByteRange] = []
        var place: Int64 = 0
        for hole in holes {
            if hole.start > place { known.append(ByteRange(place, hole.start)) }
            place = hole.end
        }
        if place < total { known.append(ByteRange(place, total)) }
        return known
    }
}
