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
    /// In order, none empty, none overlapping.
    public private(set) var holes: [Hole]

    /// - Parameter known: what is there already, in any order.
    public init(total: Int64, known: [ByteRange], leastSize: Int64) {
        self.total = max(0, total)
        self.leastSize = max(1, leastSize)
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
    /// known, less than `leastTime`.
    public func capacity(leastTime: Duration) -> Int {
        holes.reduce(0) { sum, hole in
            var parts = min(hole.count / leastSize, 1000)
            if let time = expected(hole) {
                parts = min(parts, Int64(min(time / leastTime.secondsDouble, 1000)))
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
    ///   several take what makes all equal.
    /// - Returns: what to ask for; nil where there is nothing worth a request.
    public mutating func assign(_ owner: Int, shares: Int = 1, leastTime: Duration) -> ByteRange? {
        if let index = holes.firstIndex(where: { $0.owner == nil }) {
            holes[index].owner = owner
            holes[index].reach = holes[index].end
            holes[index].speed = nil
            return ByteRange(holes[index].start, holes[index].end)
        }
        guard let index = slowest(leastTime: leastTime) else { return nil }
        let rest = holes[index].count
        let equal = shares > 1 ? missing / Int64(inFlight + shares) : rest
        let taken = min(rest - leastSize, max(leastSize, min(equal, rest / 2)))
        let end = holes[index].end
        holes[index].end = end - taken
        holes.insert(Hole(start: end - taken, end: end, owner: owner, reach: end), at: index + 1)
        return ByteRange(end - taken, end)
    }

    /// The hole whose owner has longest to go, among those that may be split.
    private func slowest(leastTime: Duration) -> Int? {
        holes.indices.filter { index in
            guard holes[index].count >= 2 * leastSize else { return false }
            return expected(holes[index]).map { $0 >= leastTime.secondsDouble } ?? true
        }
        .max { (expected(holes[$0]) ?? guess($0)) < (expected(holes[$1]) ?? guess($1)) }
    }

    /// Seconds that the owner would need for it, if its speed is known.
    private func expected(_ hole: Hole) -> Double? {
        hole.speed.map { Double(hole.count) / max($0, 1) }
    }

    /// As long as the others would need; without any, by its size.
    private func guess(_ index: Int) -> Double {
        let speeds = holes.compactMap(\.speed)
        let mean = speeds.isEmpty ? 1 : speeds.reduce(0, +) / Double(speeds.count)
        return Double(holes[index].count) / max(mean, 1)
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
