// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct StreamTallyTests {
    /// A connection that has so many transfers, one after the other.
    private func tally(_ count: Int, on name: String = "a", answered: Bool = true) -> StreamTally<String> {
        var tally = StreamTally<String>()
        add(count, on: name, answered: answered, to: &tally)
        return tally
    }
    private func add(
        _ count: Int, on name: String, answered: Bool = true, to tally: inout StreamTally<String>
    ) {
        tally.rode(name)
        if answered { tally.answered(name) }
        tally.turned()
        for _ in 1..<count { tally.rode(name) }
    }

    @Test func `as many as were given to a connection that has answered are allowed by the server`() {
        #expect(tally(32).sight == StreamSight(connections: 1, answered: 1, streams: 32))
    }

    @Test func `what is given to a connection before its first answer, or with it, proves nothing`() {
        var tally = tally(32, answered: false)
        #expect(tally.sight == StreamSight(connections: 1, answered: 0, streams: 0))
        tally.answered("a")
        tally.left("a")
        tally.rode("a")
        #expect(tally.sight == StreamSight(connections: 1, answered: 1, streams: 0))
        // Even now the first ones may wait inside libcurl; one more would not.
        tally.turned()
        tally.left("a")
        tally.rode("a")
        #expect(tally.sight.streams == 32)
    }

    @Test func `a server that grants few shows that by its connections`() {
        var tally = tally(8)
        for name in ["b", "c"] { add(8, on: name, to: &tally) }
        #expect(tally.sight == StreamSight(connections: 3, answered: 3, streams: 8))
    }

    @Test func `a connection that goes away is one, and takes no more streams`() {
        var tally = tally(3)
        add(2, on: "b", to: &tally)
        tally.goesAway { $0 == "a" }
        tally.goesAway { $0 == "a" }
        #expect(
            tally.sight == StreamSight(connections: 1, answered: 1, streams: 3, going: 1, gone: 1))
        for _ in 0..<3 { tally.left("a") }
        #expect(tally.sight == StreamSight(connections: 1, answered: 1, streams: 3, gone: 1))
    }

    @Test func `a connection that nobody rides is none, and has answered nothing when it is ridden again`() {
        var tally = tally(2)
        tally.left("a")
        tally.left("a")
        #expect(tally.isEmpty && tally.sight.connections == 0)
        tally.left("a")
        for _ in 0..<3 { tally.rode("a") }
        #expect(tally.sight == StreamSight(connections: 1, answered: 0, streams: 2))
    }
}

@Suite struct WorkerSpreadTests {
    private typealias Bounds = WorkerSpread.Bounds
    private static func bounds(
        _ streams: Int = 32, _ connections: Int = 6, workers: Int = 4, perWorker: Int = 64
    ) -> Bounds {
        Bounds(streams: streams, connections: connections, workers: workers, perWorker: perWorker)
    }

    /// A host whose transfers are started for as long as a worker takes them. Each worker answers its first one.
    private struct Host {
        var spread = WorkerSpread()
        let bounds: Bounds
        /// Streams that the server grants, and so what libcurl makes of it.
        let granted: Int
        var others: [Int]
        /// The most connections that there were.
        var most = 0

        init(_ bounds: Bounds, granted: Int = 100, others: [Int]? = nil) {
            self.bounds = bounds
            self.granted = granted
            self.others = others ?? Array(repeating: 0, count: bounds.workers)
        }

        var active: [Int] { (0..<bounds.workers).map { spread.active(on: $0) } }
        var open: Int {
            active.reduce(0) { $0 + ($1 + min(granted, bounds.streams) - 1) / min(granted, bounds.streams) }
        }
        func worker(jobs: Int = 0) -> Int? {
            spread.choose(bounds, jobs: jobs) { others[$0] + spread.active(on: $0) }
        }
        mutating func start() -> Bool {
            guard let worker = worker() else { return false }
            let opens = begin(worker)
            most = max(most, open)
            answer(worker, isOpener: opens)
            return true
        }
        @discardableResult
        mutating func begin(_ worker: Int, jobs: Int = 0) -> Bool {
            spread.started(on: worker, bounds, jobs: jobs)
        }
        mutating func answer(_ worker: Int, isOpener: Bool) {
            let (count, each) = (spread.active(on: worker), min(granted, bounds.streams))
            let open = (count + each - 1) / each
            let sight = StreamSight(connections: open, answered: open, streams: min(count, each))
            spread.saw(sight, on: worker, to: isOpener ? .opener : .ordinary, bounds)
        }
        mutating func end(_ count: Int, on worker: Int) {
            for _ in 0..<count { spread.ended(on: worker) }
        }
        /// - Parameter limit: the host's ceiling.
        mutating func fill(_ limit: Int = .max) {
            while active.reduce(0, +) < limit, start() {}
        }
    }

    @Test(arguments: [
        // The defaults, on so many workers.
        (bounds(workers: 1), [64]), (bounds(workers: 2), [64, 64]), (bounds(workers: 4), [64, 64, 64, 0]),
        // Whole connections for each.
        (bounds(32, 6, workers: 2, perWorker: 100), [96, 96]),
        // A worker with less room than a connection has.
        (bounds(100, 6, workers: 2, perWorker: 64), [64, 64]),
        (bounds(100, 1, workers: 4, perWorker: 64), [64, 0, 0, 0]),
        // The cap is reached first.
        (bounds(16, 2), [32, 0, 0, 0]), (bounds(32, 3), [64, 32, 0, 0]), (bounds(1, 6), [6, 0, 0, 0]),
    ])
    func `a host has as many at once as its cap carries, on as few workers as can`(
        _ bounds: WorkerSpread.Bounds, _ expected: [Int]
    ) {
        var host = Host(bounds)
        host.fill()
        #expect(host.active == expected)
        #expect(host.most <= bounds.connections)
        let isProven = host.spread.isProven
        #expect(bounds.ceiling(isProven: isProven) == expected.reduce(0, +))
    }

    @Test(arguments: [1, 2, 8, 10, 31])
    func `a host that grants fewer streams than are counted on stays on one worker`(granted: Int) {
        var host = Host(Self.bounds(), granted: granted)
        host.fill()
        #expect(host.active == [64, 0, 0, 0] && !host.spread.isProven)
        #expect(Self.bounds().ceiling(isProven: false) == 64)
    }

    @Test func `few transfers stay on the worker that has the connection`() {
        var host = Host(Self.bounds())
        host.fill(40)
        host.end(15, on: 0)
        host.fill(30)
        #expect(host.active == [30, 0, 0, 0])
    }

    @Test func `what comes free on the first is filled there before the others`() {
        var host = Host(Self.bounds())
        host.fill()
        for worker in [2, 1, 0, 1] { host.end(1, on: worker) }
        #expect(host.worker() == 0)
        host.fill()
        #expect(host.active == [64, 64, 64, 0] && host.most <= 6)
    }

    @Test func `a worker that is new to the host begins with one transfer`() {
        var host = Host(Self.bounds())
        host.fill(64)
        #expect(host.worker() == 1)
        let opens = host.begin(1)
        #expect(opens && host.worker() == nil)
        host.answer(1, isOpener: true)
        #expect(host.worker() == 1)
        let opensAgain = host.begin(1)
        #expect(!opensAgain)
    }

    @Test func `each further connection is opened by one transfer, and the others go where a stream is free`()
    {
        var host = Host(Self.bounds())
        host.fill(32)
        let opens = host.begin(0)
        #expect(opens && host.worker() == nil, "neither a third connection nor another worker")
        host.end(1, on: 0)
        #expect(host.worker() == 0)
        let opensAgain = host.begin(0)
        #expect(!opensAgain && host.worker() == nil)
        host.spread.ended(on: 0, role: .opener)
        let opensAfterAll = host.begin(0)
        #expect(opensAfterAll)
        host.answer(0, isOpener: true)
        host.fill(64)
        #expect(host.active == [64, 0, 0, 0])
    }

    @Test(arguments: [
        // Whole connections of jobs: the first is there.
        (bounds(), 33, 0), (bounds(), 63, 0), (bounds(), 64, 1), (bounds(), 100, 2), (bounds(), 1000, 5),
        // As many as have transfers on these workers.
        (bounds(workers: 2), 1000, 3), (bounds(32, 3), 1000, 2), (bounds(100, 6, workers: 2), 1000, 1),
        (bounds(32, 64, workers: 2, perWorker: 1024), 5000, 63),
        // On one it is libcurl's affair.
        (bounds(workers: 1), 1000, 0),
    ])
    func `as many connections as the jobs fill are opened at once, with streams free on the first`(
        _ bounds: WorkerSpread.Bounds, _ jobs: Int, _ expected: Int
    ) {
        var host = Host(bounds)
        host.fill(bounds.counted)
        host.end(10, on: 0)
        var opening = 0
        for _ in 0..<100 {
            guard let worker = host.spread.choose(bounds, jobs: jobs, load: { host.spread.active(on: $0) }),
                host.spread.started(on: worker, bounds, jobs: jobs)
            else { break }
            opening += 1
        }
        #expect(opening == expected)
        #expect(host.spread.connections(streams: bounds.streams) <= bounds.connections)
    }

    @Test func `nothing is opened early before the proof, or with more connections than were counted`() {
        var unproven = Host(Self.bounds())
        unproven.fill(10)
        let opensUnproven = unproven.begin(0, jobs: 1000)
        #expect(!opensUnproven)
        var surprised = Host(Self.bounds())
        surprised.fill(32)
        surprised.spread.saw(
            StreamSight(connections: 2, answered: 2, streams: 32), on: 0, to: .ordinary, surprised.bounds)
        let opensSurprised = surprised.begin(0, jobs: 1000)
        #expect(!opensSurprised)
    }

    @Test func `beside one that may ride another's stream, connections are opened early on other workers`() {
        var host = Host(Self.bounds(workers: 2))
        for _ in 0..<33 { host.begin(0) }
        // As its streams are seen to be carried, the last one is still out.
        host.spread.saw(
            StreamSight(connections: 1, answered: 1, streams: 32), on: 0, to: .ordinary, host.bounds)
        for _ in 0..<2 {
            #expect(host.worker(jobs: 1000) == 1)
            let opens = host.begin(1, jobs: 1000)
            #expect(opens)
        }
        #expect(host.worker(jobs: 1000) == nil)
        #expect(host.spread.connections(streams: 32) == 4)
        // It had opened one.
        host.spread.saw(
            StreamSight(connections: 2, answered: 2, streams: 32), on: 0, to: .opener, host.bounds)
        #expect(host.worker(jobs: 1000) == 0)
    }

    @Test func `those about to be opened count, wherever they are and whoever answers first`() {
        var host = Host(Self.bounds(32, 3, workers: 2))
        host.fill(32)
        for _ in 0..<2 {
            let opens = host.begin(host.worker(jobs: 1000) ?? 9, jobs: 1000)
            #expect(opens)
        }
        #expect(host.active == [33, 1])
        #expect(host.worker(jobs: 1000) == nil, "the first is full, the others have not answered")
        // One that rides the second connection has its answer before the one that opened it.
        host.end(1, on: 0)
        host.begin(0)
        host.spread.saw(
            StreamSight(connections: 2, answered: 2, streams: 32), on: 0, to: .ordinary, host.bounds)
        #expect(host.worker(jobs: 1000) == nil, "it may not have a stream free")
        host.spread.saw(
            StreamSight(connections: 2, answered: 2, streams: 32), on: 0, to: .opener, host.bounds)
        var more = 0
        while host.worker(jobs: 1000) == 0 {
            let opens = host.begin(0, jobs: 1000)
            #expect(!opens)
            more += 1
        }
        #expect(more == 31 && host.active == [64, 1])
        // The other never answers.
        host.spread.ended(on: 1, role: .opener)
        #expect(host.worker(jobs: 1000) == 1)
        let opensAgain = host.begin(1, jobs: 1000)
        #expect(opensAgain)
    }

    @Test func `while the jobs fill all connections, transfers go to the worker that has fewest`() {
        var host = Host(Self.bounds(32, 6, workers: 2))
        host.fill(32)
        for _ in 0..<3 { host.begin(host.worker(jobs: 1000) ?? 9, jobs: 1000) }
        for (worker, connections) in [(0, 2), (1, 1), (1, 2)] {
            let sight = StreamSight(connections: connections, answered: connections, streams: 32)
            host.spread.saw(sight, on: worker, to: .opener, host.bounds)
        }
        #expect(host.active == [33, 2])
        for _ in 0..<20 { host.begin(host.worker(jobs: 1000) ?? 9, jobs: 1000) }
        #expect(host.active == [33, 22])
        #expect(host.worker(jobs: 100) == 0, "fewer jobs than that: where most are")
    }

    @Test func `a connection that idles is not opened again`() {
        var host = Host(Self.bounds())
        host.fill(64)
        host.end(60, on: 0)
        host.answer(0, isOpener: false)
        for _ in 0..<60 {
            #expect(host.worker() == 0)
            let opens = host.begin(0)
            #expect(!opens)
        }
    }

    @Test func `when a connection goes away one transfer opens another, while the last ones end`() {
        var host = Host(Self.bounds())
        host.fill(64)
        host.end(8, on: 0)
        host.spread.saw(
            StreamSight(connections: 1, answered: 1, streams: 32, going: 1, gone: 1), on: 0, to: .ordinary,
            host.bounds)
        let opens = host.begin(0)
        #expect(opens && host.worker() == nil)
        host.spread.saw(
            StreamSight(connections: 2, answered: 2, streams: 32, going: 1, gone: 1), on: 0, to: .opener,
            host.bounds)
        #expect(host.worker() == 0 && host.spread.connections(streams: 32) == 3)
        let opensAgain = host.begin(0)
        #expect(!opensAgain)
    }

    @Test func `connections that are seen beyond those counted count, wherever they are`() {
        var host = Host(Self.bounds())
        host.fill(64)
        _ = host.start()
        // The second worker met a server with fewer streams.
        for _ in 0..<3 { host.begin(1) }
        host.spread.saw(
            StreamSight(connections: 4, answered: 4, streams: 1), on: 1, to: .ordinary, host.bounds)
        #expect(host.spread.connections(streams: 32) == 6)
        #expect(host.worker() == nil)
        // They close as their transfers end, and are counted no longer.
        host.end(2, on: 1)
        #expect(host.spread.connections(streams: 32) == 4)
        #expect(host.worker() == 1)
    }

    @Test func `one that was to open a connection and rode another opens none, and promises no room`() {
        var host = Host(Self.bounds())
        host.fill(31)
        host.begin(0)
        let opens = host.begin(0)
        #expect(opens && !host.spread.isProven)
        // A stream had come free: it is on the one connection that is there.
        host.spread.saw(
            StreamSight(connections: 1, answered: 1, streams: 31), on: 0, to: .opener, host.bounds)
        let opensAgain = host.begin(0)
        #expect(opensAgain)
    }

    @Test func `a connection more than was counted is shared, and not followed by another for each transfer`()
    {
        var host = Host(Self.bounds())
        host.fill(32)
        host.spread.saw(
            StreamSight(connections: 2, answered: 2, streams: 32), on: 0, to: .ordinary, host.bounds)
        for _ in 32..<64 {
            let opens = host.begin(0)
            #expect(!opens)
        }
    }

    @Test func `connections that idle on a worker are open ones until nothing is left`() {
        var host = Host(Self.bounds(16, 3, workers: 3, perWorker: 16))
        host.fill()
        #expect(host.active == [16, 16, 16])
        host.end(16, on: 0)
        host.others[0] = 16
        #expect(host.worker() == nil, "three connections are open, though one idles")
        for worker in [1, 2] { host.end(16, on: worker) }
        #expect(host.worker() == 1, "where there is one")
        host.others = [16, 16, 0]
        #expect(host.worker() == 2)
    }

    @Test func `a host that is nowhere else may go where there is room, whatever it had elsewhere`() {
        var host = Host(Self.bounds(16, 1, workers: 2, perWorker: 16))
        host.fill()
        host.end(16, on: 0)
        host.others = [16, 0]
        host.fill()
        #expect(host.active == [0, 16])
    }

    @Test func `without proof the transfers that are elsewhere hold nobody up`() {
        var host = Host(Self.bounds())
        host.fill(96)
        host.spread.reset()
        #expect(host.worker() == nil, "the first is full")
        host.end(40, on: 0)
        #expect(host.worker() == 1, "it has most of them now")
        #expect(host.active == [24, 32, 0, 0])
    }

    @Test func `after a connection that broke one goes first, and its connection is counted anew`() {
        var host = Host(Self.bounds())
        host.fill(128)
        host.end(64, on: 1)
        host.spread.closed(on: 1, streams: 32)
        #expect(host.spread.isProven && host.spread.connections(streams: 32) == 2)
        #expect(host.worker() == 1)
        host.begin(1)
        #expect(host.worker() == nil)
        host.answer(1, isOpener: true)
        host.fill(128)
        #expect(host.active == [64, 64, 0, 0] && host.most <= 6)
    }

    @Test func `bounds below one count as one`() {
        let bounds = Bounds(streams: 0, connections: -1, workers: 0, perWorker: 0)
        #expect(bounds.ceiling(isProven: true) == 1)
        var host = Host(bounds)
        host.fill()
        #expect(host.active == [1])
    }
}
