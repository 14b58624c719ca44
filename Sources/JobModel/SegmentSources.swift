// SPDX-License-Identifier: Apache-2.0

/// What a file in segments could use: how many connections, and where they may lead.
public struct SegmentWish: Sendable, Hashable {
    public struct Source: Sendable, Hashable {
        /// The URL's place in its job.
        public var place: Int
        /// Connections there at most, the transfer's first included.
        public var most: Int
        /// What one of its connections brings beside those of the others, from 1 to `SegmentSources.scale`.
        public var weight: Int
        public init(place: Int, most: Int, weight: Int) {
            self.place = place
            self.most = most
            self.weight = weight
        }
    }
    /// Connections beside the first that would find something to do.
    public var count: Int
    /// The same of connections that are open already: no fewer, for these cost less.
    public var open: Int
    /// By preference.
    public var sources: [Source]

    public init(count: Int, open: Int? = nil, sources: [Source]) {
        self.count = count
        self.open = max(count, open ?? count)
        self.sources = sources
    }
    /// No connection.
    public static let none = SegmentWish(count: 0, sources: [])

    /// Where the next one should lead, best first: each source has connections in proportion to what one of them
    /// brings, so one that was never asked comes before a second connection to another.
    /// - Parameter connections: those that each has now, by place.
    public func order(_ connections: [Int: Int]) -> [Int] {
        let open = sources.filter { connections[$0.place, default: 0] < $0.most }
        func load(_ source: Source) -> Double {
            Double(connections[source.place, default: 0] + 1) / Double(max(1, source.weight))
        }
        // Equal ones stay in their order.
        return open.enumerated().sorted {
            (load($0.element), $0.offset) < (load($1.element), $1.offset)
        }.map(\.element.place)
    }
}

/// Where the connections of one file lead: its transfer's own source, and mirrors beside it. Pure.
///
/// A mirror that fails is out for as long as this transfer runs; the own source never is, for the attempt stands and
/// falls with it.
public struct SegmentSources: Sendable, Hashable {
    /// Weight of the fastest.
    public static let scale = 10

    private struct Source: Hashable {
        let place: Int
        var most: Int
        /// Bytes a second of one of its connections, as last seen.
        var rate: Double?
        /// Connections that it had at once.
        var peak = 0
        var isOut = false
    }
    /// Place of the transfer's own URL in its job.
    public let own: Int
    private var sources: [Source]
    private var running: [Int: Int] = [:]

    /// - Parameters:
    ///   - others: places of the mirrors that may help, by preference.
    ///   - perSource: connections to one at most.
    public init(own: Int = 0, others: [Int] = [], perSource: Int) {
        self.own = own
        sources = ([own] + others.filter { $0 != own }).map { Source(place: $0, most: max(1, perSource)) }
    }

    /// Mirrors may help.
    public var hasOthers: Bool { sources.dropFirst().contains { !$0.isOut } }
    /// Connections that all together may have.
    public var room: Int { sources.reduce(0) { $1.isOut ? $0 : min(10_000, $0 + $1.most) } }

    public func isUsable(_ place: Int) -> Bool { sources.contains { $0.place == place && !$0.isOut } }
    /// Where a segment's request goes.
    public func place(of segment: Int) -> Int { running[segment] ?? own }
    public func connections(of place: Int) -> Int { running.values.count { $0 == place } }
    /// It has had more connections than it has.
    func hasSpare(_ place: Int) -> Bool {
        sources.contains { $0.place == place && !$0.isOut && $0.peak > connections(of: place) }
    }
    func rate(of place: Int) -> Double? { sources.first { $0.place == place }?.rate }
    var places: [Int] { sources.map(\.place) }

    public mutating func began(_ segment: Int, at place: Int) {
        running[segment] = place
        guard let index = sources.firstIndex(where: { $0.place == place }) else { return }
        sources[index].peak = max(sources[index].peak, connections(of: place))
    }

    public mutating func ended(_ segment: Int) { running[segment] = nil }

    /// What the running connections bring now, bytes a second by segment; those of which nothing is known yet left out.
    public mutating func measured(_ speeds: [Int: Double]) {
        for index in sources.indices {
            let own = speeds.filter { running[$0.key] == sources[index].place }.values
            if !own.isEmpty { sources[index].rate = own.reduce(0, +) / Double(own.count) }
        }
    }

    /// A request to a mirror failed: that one is out. Where others of its requests get on and this one was not even
    /// begun, it has as many connections as it takes.
    public mutating func failed(_ segment: Int, hadBytes: Bool, isFinal: Bool) {
        let place = place(of: segment)
        ended(segment)
        let left = connections(of: place)
        if isFinal || hadBytes || left == 0 { return drop(place) }
        guard place != own, let index = sources.firstIndex(where: { $0.place == place }) else { return }
        sources[index].most = min(sources[index].most, left)
    }

    /// A mirror is out.
    public mutating func drop(_ place: Int) {
        guard place != own, let index = sources.firstIndex(where: { $0.place == place }) else { return }
        sources[index].isOut = true
    }

    /// The own source takes no more connections than it has.
    public mutating func limitOwn() {
        sources[0].most = max(1, min(sources[0].most, connections(of: own)))
    }

    /// Where further connections may lead.
    public var wished: [SegmentWish.Source] {
        let open = sources.filter { !$0.isOut }
        let rates = open.compactMap(\.rate)
        let fastest = max(1, rates.max() ?? 1)
        let usual = rates.isEmpty ? fastest : rates.reduce(0, +) / Double(rates.count)
        return open.map { source in
            let weight = ((source.rate ?? usual) / fastest * Double(Self.scale)).rounded()
            return SegmentWish.Source(place: source.place, most: source.most, weight: max(1, Int(weight)))
        }
    }
}
