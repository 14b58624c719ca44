// SPDX-License-Identifier: Apache-2.0

/// On which workers the transfers of one host are, and which of them takes the next one of a host that speaks HTTP/2.
///
/// Connections belong to a worker, so the cap of a host is kept here: those that the transfers of each worker need, by
/// its streams, or those that it sees where these are more, are never more than the cap over all workers together. A
/// server that grants fewer streams than we count on makes libcurl open more; so a host has one worker until a
/// connection has been seen to carry as many. One transfer opens a connection, others follow when that has answered, and
/// as few connections and workers have transfers as carry them. Without that several would open one each.
public struct WorkerSpread: Sendable, Hashable {
    /// What may be had.
    public struct Bounds: Sendable, Hashable {
        /// Transfers on a connection.
        public var streams: Int
        /// Connections for transfers, over all workers.
        public var connections: Int
        public var workers: Int
        /// Transfers of all hosts on one worker.
        public var perWorker: Int
        public init(streams: Int, connections: Int, workers: Int, perWorker: Int) {
            self.streams = max(1, streams)
            self.connections = max(1, connections)
            self.workers = max(1, workers)
            self.perWorker = max(1, perWorker)
        }

        /// Streams at a time that are counted on.
        public var counted: Int { min(streams, perWorker) }
        /// On one worker of several: whole connections, where it has room for one.
        var places: Int { perWorker / counted * counted }

        /// Transfers at a time.
        public func ceiling(isProven: Bool) -> Int {
            let shared = streams * connections
            guard isProven, workers > 1 else { return min(shared, perWorker) }
            let perWorker = places / counted
            let full = min(workers, connections / perWorker)
            let rest = full < workers ? connections - full * perWorker : 0
            return full * places + rest * counted
        }
    }

    private struct Share: Hashable {
        var active = 0
        /// Connections that its transfers have needed at most.
        var needed = 0
        /// Connections that have answered and not gone away: their streams may be taken.
        var ready = 0
        /// How many have been told to have gone away.
        var gone = 0
        /// Connections that it saw transfers on last: those that take further ones, and those that have gone away.
        var seen = 0
        var going = 0
        /// The transfer that makes its next connection is out.
        var isOpening = false
        /// That one opens a connection whatever is there. Before the proof it may ride one where a stream came free.
        var isFresh = false

        /// Each that was seen has a transfer.
        var ridden: Int { min(seen, active) }
        var leaving: Int { min(going, active) }
        var open: Int { max(needed, ridden) + leaving }
        /// Connections that it has with one more transfer, where no stream is free.
        func withOneMore(_ streams: Int) -> Int {
            (ridden > needed ? ridden + 1 : max(needed, (active + streams) / streams)) + leaving
        }
        func hasStream(_ streams: Int) -> Bool { active - (isOpening ? 1 : 0) < ready * streams }
        mutating func need(_ streams: Int) { needed = max(needed, (active + streams - 1) / streams) }
    }
    private var shares: [Share] = []
    /// A connection has carried as many streams as are counted on.
    public private(set) var isProven = false

    public init() {}

    public func active(on worker: Int) -> Int { share(worker).active }

    /// Connections that transfers of this worker are on.
    public func connections(on worker: Int, streams: Int) -> Int {
        let share = share(worker)
        return max(share.ridden + share.leaving, (share.active + streams - 1) / max(1, streams))
    }

    /// The same over all workers.
    public func connections(streams: Int) -> Int {
        shares.indices.reduce(0) { $0 + connections(on: $1, streams: streams) }
    }

    /// The worker for the next transfer; nil: none may take it now. The first that has a stream free, then the fullest.
    /// - Parameter load: transfers of all hosts on a worker.
    public func choose(_ bounds: Bounds, load: (Int) -> Int) -> Int? {
        var best: Int?
        var bestRank = (0, 0, 0)
        for worker in 0..<bounds.workers {
            let (share, load) = (share(worker), load(worker))
            guard load < bounds.perWorker, mayStart(on: worker, bounds) else { continue }
            let rank = (share.hasStream(bounds.streams) ? 1 : 0, share.active, -load)
            if best == nil || rank > bestRank { (best, bestRank) = (worker, rank) }
        }
        return best
    }

    private func mayStart(on worker: Int, _ bounds: Bounds) -> Bool {
        guard let home else { return true }
        let share = share(worker)
        if isAlone(bounds) {
            return worker == home && (isFree(worker, bounds) || !shares.contains(where: \.isOpening))
        }
        guard share.active < bounds.places else { return false }
        let others = shares.indices.reduce(0) { $1 == worker ? $0 : $0 + shares[$1].open }
        let mayOpen = others + share.withOneMore(bounds.streams) <= bounds.connections
        // With more connections than were counted its server may grant fewer streams, and libcurl open one more.
        if isFree(worker, bounds) { return share.ridden <= share.needed || mayOpen }
        // One connection after the other: what it carries comes before a further one, on whichever worker.
        return mayOpen && !shares.contains(where: \.isOpening)
    }

    private func isAlone(_ bounds: Bounds) -> Bool { bounds.workers == 1 || !isProven }

    /// Whether one more transfer has nothing to open. Where a server grants fewer streams libcurl opens what it needs,
    /// and who is alone leaves that to it.
    private func isFree(_ worker: Int, _ bounds: Bounds) -> Bool {
        let share = share(worker)
        if share.ridden > share.needed, isAlone(bounds) { return true }
        return share.hasStream(bounds.streams)
    }

    /// The worker that has most of its transfers; nil: there are none.
    private var home: Int? {
        var best: Int?
        for worker in shares.indices where shares[worker].active > (best.map { shares[$0].active } ?? 0) {
            best = worker
        }
        return best
    }

    /// A transfer was handed to a worker.
    /// - Returns: whether it is to open a connection. Others follow when that has answered.
    public mutating func started(on worker: Int, _ bounds: Bounds) -> Bool {
        while shares.count <= worker { shares.append(Share()) }
        // What idles elsewhere is left to end: those workers had no room.
        if home == nil, shares[worker].open == 0 { shares = shares.map { _ in Share() } }
        let opens = !isFree(worker, bounds)
        shares[worker].active += 1
        shares[worker].need(bounds.streams)
        if opens {
            shares[worker].isOpening = true
            shares[worker].isFresh = isProven
        }
        return opens
    }

    /// It is over. Its connection stays.
    /// - Parameter isOpener: it was to open a connection, and had no answer.
    public mutating func ended(on worker: Int, isOpener: Bool) {
        guard share(worker).active > 0 else { return }
        shares[worker].active -= 1
        if isOpener { shares[worker].isOpening = false }
    }

    /// An answer came on this worker, or its transfer ended.
    /// - Parameter role: that of the transfer before its answer.
    public mutating func saw(
        _ sight: StreamSight, on worker: Int, to role: HostMachine.Role, _ bounds: Bounds
    ) {
        guard shares.indices.contains(worker) else { return }
        var share = shares[worker]
        share.seen = sight.connections
        share.going = sight.going
        share.need(bounds.streams)
        let went = max(0, sight.gone - share.gone)
        share.gone = sight.gone
        share.ready -= went
        if role == .opener, share.isOpening, share.isFresh { share.ready += 1 }
        if role != .ordinary { share.isOpening = false }
        // Those that idle are not seen, and are there.
        share.ready = max(1, share.ready, sight.answered)
        shares[worker] = share
        if sight.streams >= bounds.counted { isProven = true }
    }

    /// A connection of this worker ended under its transfers: one opens the next.
    public mutating func closed(on worker: Int, streams: Int) {
        guard shares.indices.contains(worker) else { return }
        shares[worker].ready = 0
        shares[worker].seen = 0
        shares[worker].going = 0
        shares[worker].needed = 0
        shares[worker].need(streams)
    }

    /// Nothing that it has shown counts any more.
    public mutating func reset() {
        isProven = false
        for worker in shares.indices {
            let active = shares[worker].active
            shares[worker] = Share()
            shares[worker].active = active
        }
    }

    private func share(_ worker: Int) -> Share { shares.indices.contains(worker) ? shares[worker] : Share() }
}
