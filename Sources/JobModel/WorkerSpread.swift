// SPDX-License-Identifier: Apache-2.0

/// On which workers the transfers of one host are, and which of them takes the next one of a host that speaks HTTP/2.
///
/// Connections belong to a worker, so the cap of a host is kept here: those that the transfers of each worker need, by
/// its streams, or those that it sees where these are more, are never more than the cap over all workers together. A
/// server that grants fewer streams than we count on makes libcurl open more; so a host has one worker until a
/// connection has been seen to carry as many. One transfer opens a connection, others follow when that has answered.
/// Without that several would open one each. Where the jobs that wait fill further connections, these are opened at once
/// and not one after the other: over a long line each takes four round trips to its first answer, and more to find its
/// speed. Else as few connections and workers have transfers as carry them.
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
        var connectionsPerWorker: Int { perWorker / counted }
        /// Connections that so many jobs fill.
        func filled(by jobs: Int) -> Int {
            workers > 1 ? min(jobs, ceiling(isProven: true)) / counted : 0
        }

        /// Transfers at a time.
        public func ceiling(isProven: Bool) -> Int {
            let shared = streams * connections
            guard isProven, workers > 1 else { return min(shared, perWorker) }
            let full = min(workers, connections / connectionsPerWorker)
            let rest = full < workers ? connections - full * connectionsPerWorker : 0
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
        /// A scout, or before the proof the transfer that makes its next connection, is out. It may ride one that is there
        /// where a stream came free.
        var isOpening = false
        /// Transfers that are out to open a connection each, whatever is there.
        var openers = 0

        /// Each that was seen has a transfer.
        var ridden: Int { min(seen, active) }
        var leaving: Int { min(going, active) }
        /// Those that have answered; what came beyond the counted ones goes with its transfers.
        private var standing: Int { min(ready, max(needed, ridden)) }
        /// Made, or being made: not sticky, for an answer may be told before that of the one that opened the connection.
        private var made: Int { openers > 0 ? standing + openers : 0 }
        var open: Int { max(needed, ridden, made) + leaving }
        var isMakingOne: Bool { isOpening || openers > 0 }
        /// Connections that it has with one more transfer, where no stream is free or it opens one.
        func withOneMore(_ streams: Int) -> Int {
            let counted = max(needed, (active + streams) / streams, standing + openers + 1)
            return (ridden > needed ? max(ridden + 1, counted) : counted) + leaving
        }
        func hasStream(_ streams: Int) -> Bool {
            active - openers - (isOpening ? 1 : 0) < ready * streams
        }
        mutating func need(_ streams: Int) {
            needed = max(needed, (active + streams - 1) / streams)
        }
        mutating func openOne() {
            openers += 1
            needed = max(needed, standing + openers)
        }
        /// The transfer that was to open a connection has answered, or is over.
        /// - Returns: whether it has opened one.
        mutating func settle() -> Bool {
            if openers > 0 {
                openers -= 1
                return true
            }
            isOpening = false
            return false
        }
    }
    private var shares: [Share] = []
    /// A connection has carried as many streams as are counted on.
    public private(set) var isProven = false

    public init() {}

    public func active(on worker: Int) -> Int { share(worker).active }

    /// Connections that transfers of this worker are on.
    public func connections(on worker: Int, streams: Int) -> Int {
        let share = share(worker)
        let opening = share.openers > 0 ? share.openers + min(share.ready, share.active - share.openers) : 0
        return max(share.ridden + share.leaving, (share.active + streams - 1) / max(1, streams), opening)
    }

    /// The same over all workers.
    public func connections(streams: Int) -> Int {
        shares.indices.reduce(0) { $0 + connections(on: $1, streams: streams) }
    }

    /// The worker for the next transfer; nil: none may take it now. One that opens a connection where the jobs fill
    /// one more, else the first that has a stream free; of these the fullest, or the emptiest while the jobs fill all.
    /// - Parameters:
    ///   - jobs: of the host that are under way or wait.
    ///   - load: transfers of all hosts on a worker.
    public func choose(_ bounds: Bounds, jobs: Int = 0, load: (Int) -> Int) -> Int? {
        let open = shares.reduce(0) { $0 + $1.open }
        let filled = bounds.filled(by: jobs)
        var best: Int?
        var bestRank = (0, 0, 0)
        for worker in 0..<bounds.workers {
            let (share, load) = (share(worker), load(worker))
            guard load < bounds.perWorker, mayStart(on: worker, bounds, jobs) else { continue }
            let first = opensEarly(on: worker, bounds, jobs) ? 2 : share.hasStream(bounds.streams) ? 1 : 0
            let isSpread = first == 1 && isProven && open <= filled
            let rank = (first, isSpread ? -share.active / max(1, share.ready) : share.active, -load)
            if best == nil || rank > bestRank { (best, bestRank) = (worker, rank) }
        }
        return best
    }

    /// Transfers that are out to open a connection each, and those that may go for it at once as the jobs fill one more.
    public func opening(_ bounds: Bounds, jobs: Int) -> Int {
        let out = shares.reduce(0) { $0 + $1.openers }
        guard mayOpenEarly(bounds, jobs) else { return out }
        let open = shares.reduce(0) { $0 + $1.open }
        return out + max(0, min(bounds.connections, bounds.filled(by: jobs)) - open)
    }

    /// Not where more connections are seen than were counted.
    private func mayOpenEarly(_ bounds: Bounds, _ jobs: Int) -> Bool {
        isProven && jobs > bounds.counted && home != nil && !shares.contains { $0.ridden > $0.needed }
    }

    private func mayStart(on worker: Int, _ bounds: Bounds, _ jobs: Int) -> Bool {
        guard let home else { return true }
        let share = share(worker)
        if isAlone(bounds) {
            return worker == home && (isFree(worker, bounds) || !shares.contains(where: \.isMakingOne))
        }
        guard share.active < bounds.places else { return false }
        if opensEarly(on: worker, bounds, jobs) { return true }
        let mayOpen = withOneMore(on: worker, bounds) <= bounds.connections
        // With more connections than were counted its server may grant fewer streams, and libcurl open one more.
        if isFree(worker, bounds) { return share.ridden <= share.needed || mayOpen }
        // One connection after the other: what it carries comes before a further one, on whichever worker.
        return mayOpen && !shares.contains(where: \.isMakingOne)
    }

    /// Connections over all workers, with one more transfer here that opens one.
    private func withOneMore(on worker: Int, _ bounds: Bounds) -> Int {
        let others = shares.indices.reduce(0) { $1 == worker ? $0 : $0 + shares[$1].open }
        return others + share(worker).withOneMore(bounds.streams)
    }

    /// Whether the next transfer of this worker opens a connection though others are about to, or streams are free: the
    /// jobs fill it.
    private func opensEarly(on worker: Int, _ bounds: Bounds, _ jobs: Int) -> Bool {
        let share = share(worker)
        // Not beside one of which is not known whether it opens a connection: which of them has answered could not be told.
        guard mayOpenEarly(bounds, jobs), share.active < bounds.places, !share.isOpening,
            share.withOneMore(bounds.streams) <= bounds.connectionsPerWorker
        else { return false }
        return withOneMore(on: worker, bounds) <= min(bounds.connections, bounds.filled(by: jobs))
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
    /// - Parameters:
    ///   - jobs: as `choose` was told.
    ///   - isScout: it may ride what is there, and is alone.
    /// - Returns: whether it is to open a connection. Others follow when that has answered.
    public mutating func started(
        on worker: Int, _ bounds: Bounds, jobs: Int = 0, isScout: Bool = false
    ) -> Bool {
        while shares.count <= worker { shares.append(Share()) }
        // What idles elsewhere is left to end: those workers had no room.
        if home == nil, shares[worker].open == 0 { shares = shares.map { _ in Share() } }
        let opens = !isFree(worker, bounds) || !isScout && opensEarly(on: worker, bounds, jobs)
        shares[worker].active += 1
        shares[worker].need(bounds.streams)
        if opens, isProven, !isScout {
            shares[worker].openOne()
        } else if opens {
            shares[worker].isOpening = true
        }
        return opens
    }

    /// It is over. Its connection stays.
    /// - Parameter role: its role; other than ordinary where it had no usable answer.
    public mutating func ended(on worker: Int, role: HostMachine.Role = .ordinary) {
        guard share(worker).active > 0 else { return }
        shares[worker].active -= 1
        leave(role, on: worker)
    }

    /// - Returns: whether it has opened a connection.
    @discardableResult
    private mutating func leave(_ role: HostMachine.Role, on worker: Int) -> Bool {
        switch role {
        case .ordinary: return false
        case .scout:
            shares[worker].isOpening = false
            return false
        case .opener: return shares[worker].settle()
        }
    }

    /// An answer came on this worker, or its transfer ended.
    /// - Parameter role: that of the transfer before its answer.
    public mutating func saw(
        _ sight: StreamSight, on worker: Int, to role: HostMachine.Role, _ bounds: Bounds
    ) {
        guard shares.indices.contains(worker) else { return }
        let hasOpened = leave(role, on: worker)
        var share = shares[worker]
        share.seen = sight.connections
        share.going = sight.going
        share.need(bounds.streams)
        let went = max(0, sight.gone - share.gone)
        share.gone = sight.gone
        share.ready -= went
        // Another may have had its answer first over the connection that this one has opened: counted once.
        let answered = max(0, max(share.needed, share.seen) - share.openers)
        // Those that idle are not seen, and are there.
        share.ready = max(1, min(answered, max(share.ready + (hasOpened ? 1 : 0), sight.answered)))
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
            let share = shares[worker]
            shares[worker] = Share()
            shares[worker].active = share.active
            // They are out, and open what they were sent for.
            shares[worker].openers = share.openers
        }
    }

    private func share(_ worker: Int) -> Share { shares.indices.contains(worker) ? shares[worker] : Share() }
}
