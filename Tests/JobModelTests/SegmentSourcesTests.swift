// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// Where the connections of one file lead that has several mirrors.
@Suite struct SegmentSourcesTests {
    private func wish(_ weights: [Int], most: Int = 16) -> SegmentWish {
        SegmentWish(
            count: 15,
            sources: weights.enumerated().map { .init(place: $0.offset, most: most, weight: $0.element) })
    }

    @Test(
        arguments: [
            // Nothing is known: one each, then the first again.
            ([10, 10, 10], [0: 1], 1), ([10, 10, 10], [0: 1, 1: 1], 2), ([10, 10], [0: 1, 1: 1], 0),
            // One that was never asked goes before a second connection to another.
            ([10, 10], [0: 1], 1),
            // In proportion to what each brings: three of the fast one for one of the slow.
            ([9, 3], [0: 1, 1: 1], 0), ([9, 3], [0: 3, 1: 1], 0), ([9, 3], [0: 6, 1: 1], 1),
            // The slow one ended: it gets nothing back before the fast one has its share.
            ([10, 1], [0: 1], 0),
        ] as [([Int], [Int: Int], Int)])
    func `the next connection goes to the source that has least for what it brings`(
        weights: [Int], connections: [Int: Int], next: Int
    ) {
        #expect(wish(weights).order(connections).first == next)
    }

    @Test func `a source that has all it may have is left out`() {
        #expect(wish([10, 1], most: 2).order([0: 2, 1: 1]) == [1])
        #expect(wish([10, 1], most: 2).order([0: 2, 1: 2]).isEmpty)
    }

    @Test func `what a source's connections bring is its weight, and one that is not known counts as usual`()
    {
        var sources = SegmentSources(own: 0, others: [1, 2], perSource: 4)
        for (id, place) in [(0, 0), (1, 1), (2, 1)] { sources.began(id, at: place) }
        sources.measured([0: 8e6, 1: 1e6, 2: 3e6])
        #expect(sources.wished.map(\.weight) == [10, 3, 6])
        sources.ended(1)
        sources.ended(2)
        #expect(sources.wished.map(\.weight) == [10, 3, 6])
    }

    @Test func `a mirror that fails is out, and the own source never is`() {
        var sources = SegmentSources(own: 2, others: [0, 1], perSource: 4)
        sources.began(0, at: 2)
        sources.began(1, at: 0)
        sources.failed(1, hadBytes: true, isFinal: false)
        #expect(!sources.isUsable(0) && sources.wished.map(\.place) == [2, 1])
        sources.failed(0, hadBytes: false, isFinal: true)
        sources.drop(2)
        #expect(sources.isUsable(2) && sources.room == 8)
    }

    @Test func `a mirror that takes one connection and no more keeps that one`() {
        var sources = SegmentSources(own: 0, others: [1], perSource: 4)
        sources.began(1, at: 1)
        sources.began(2, at: 1)
        sources.failed(2, hadBytes: false, isFinal: false)
        #expect(sources.wished.last == .init(place: 1, most: 1, weight: 10))
        // But not where the answer said that there is no such file.
        sources.began(3, at: 1)
        sources.failed(3, hadBytes: false, isFinal: true)
        #expect(!sources.isUsable(1))
    }
}

/// A file in segments with mirrors.
@Suite struct SharedSegmentTests {
    private let start = MonotonicTime(nanoseconds: 0)
    private let size: Int64 = 64 << 20
    private func machine(
        most: Int = 8, perSource: Int? = nil, isAsked: Bool = true
    ) -> SegmentMachine {
        let rules = SegmentRules(most: most, isAsked: isAsked, perSource: perSource)
        let sources = SegmentSources(own: 0, others: [1, 2], perSource: rules.perSource)
        var machine = SegmentMachine(total: size, known: [], rules: rules, sources: sources, now: start)
        machine.adopt(at: 0, reach: size, now: start)
        return machine
    }

    private func open(_ machine: inout SegmentMachine, at place: Int) throws -> (id: Int, range: ByteRange) {
        let opened = machine.open(at: place, now: start)
        return try #require(opened)
    }

    @Test func `one connection each is what three sources with one each can have`() {
        #expect(machine(perSource: 1).wanted(now: start) == 2)
        #expect(machine().wanted(now: start) == 7)
        var lone = machine(perSource: 1)
        lone.drop(1)
        #expect(lone.wanted(now: start) == 1)
    }

    @Test func `where nobody asks a mirror helps once the first has shown what it brings`() {
        var machine = machine(isAsked: false)
        #expect(machine.wish(now: start) == .none)
        _ = machine.sample([0: 500_000], bytes: 500_000, now: start + .milliseconds(250))
        #expect(machine.wanted(now: start + .milliseconds(250)) == 1)
        // A file that will be there in a moment is left alone.
        var quick = self.machine(isAsked: false)
        _ = quick.sample([0: 32 << 20], bytes: 32 << 20, now: start + .milliseconds(250))
        #expect(quick.wanted(now: start + .milliseconds(250)) == 0)
    }

    @Test func `a mirror that fails costs no pause, and its range is for the others`() throws {
        var machine = machine()
        let opened = try open(&machine, at: 1)
        machine.lost(opened.id, hadBytes: true, isFinal: false)
        #expect(machine.wanted(now: start) == 7 && machine.plan.inFlight == 1)
        let next = try open(&machine, at: 2)
        #expect(next.range.end == size)
    }

    @Test func `a pause of the own source is no mirror's, and where it fails for good they bring the rest`()
        throws
    {
        var machine = machine(perSource: 1)
        let opened = try open(&machine, at: 1)
        machine.failed(SegmentMachine.first, hadBytes: true, now: start)
        #expect(machine.wish(now: start).sources.map(\.place) == [1, 2] && machine.awaitsHelp(now: start))
        #expect(!machine.mayOpen(at: 0, now: start) && machine.mayOpen(at: 2, now: start))
        // Asked again after its pause, and in vain; the mirror is still at it.
        let later = start + .seconds(2)
        #expect(!machine.awaitsHelp(now: later))
        _ = machine.openFirst(now: later)
        machine.failed(SegmentMachine.first, hadBytes: false, now: later)
        machine.over(opened.id)
        #expect(machine.awaitsHelp(now: later))
        // Once more, and nobody has come meanwhile: the attempt is over.
        let last = later + .seconds(3)
        _ = machine.openFirst(now: last)
        machine.failed(SegmentMachine.first, hadBytes: false, now: last)
        #expect(!machine.awaitsHelp(now: last))
    }

    @Test func `a mirror that stands still while others get on is told`() throws {
        var machine = machine()
        let opened = try open(&machine, at: 1)
        let stuck = opened.range.start
        for step in 1...44 {
            let now = start + .milliseconds(step * 250)
            _ = machine.sample([0: Int64(step) * 1000, opened.id: stuck], bytes: 0, now: now)
            #expect(machine.stalled(now: now) == (step >= 40 ? [opened.id] : []))
        }
        // Nothing moves anywhere: no mirror's fault.
        #expect(machine.stalled(now: start + .seconds(30)).isEmpty)
    }

    @Test func `a slow mirror's end of the file is taken from it once a faster source is out of work`() throws
    {
        var machine = machine(most: 3, perSource: 1)
        let slow = try open(&machine, at: 1)
        let fast = try open(&machine, at: 2)
        let now = start + .milliseconds(250)
        machine.reached(slow.id, slow.range.end - (1 << 20))
        let at = [0: Int64(1 << 20), slow.id: slow.range.start + 25_000, fast.id: fast.range.start + 1 << 20]
        _ = machine.sample(at, bytes: 0, now: now)
        #expect(machine.laggards().isEmpty)
        machine.reached(fast.id, fast.range.end)
        machine.over(fast.id)
        #expect(machine.laggards() == [slow.id])
    }
}

@Suite struct HelperHostTests {
    private let now = MonotonicTime(nanoseconds: 1_000_000_000)
    private func host() -> HostMachine {
        HostMachine(caps: .init(connections: 2, streams: 8, requestsPerSecond: nil))
    }

    private func start(_ host: inout HostMachine, as role: HostMachine.Role) {
        let given = host.segmentStarted(now: now)
        #expect(given == role)
    }

    @Test func `a host that nothing is known of is scouted by a helper, alone`() {
        var host = host()
        #expect(host.segmentVerdict(now: now) == .full(.hostLimit) && host.helperVerdict(now: now) == .start)
        start(&host, as: .scout)
        #expect(
            host.helperVerdict(now: now) == .full(.hostLimit) && host.verdict(now: now) == .full(.hostLimit))
        let role = host.answered(isHTTP2: false, isUsable: true, to: .scout)
        #expect(role == .ordinary)
        #expect(host.helperVerdict(now: now) == .start)
        start(&host, as: .ordinary)
        // Its cap.
        #expect(host.helperVerdict(now: now) == .full(.hostLimit) && host.room == 0)
    }

    @Test func `a scout that comes to nothing leaves the host as cold as it was`() {
        var host = host()
        start(&host, as: .scout)
        host.segmentEnded(.trouble, .scout)
        #expect(host.stage == .cold && !host.isReduced && host.verdict(now: now) == .start)
    }

    @Test func `a host that is held, or has failed, is not asked to help`() {
        var held = host()
        held.hold(until: now + .seconds(5), reason: "http_429")
        #expect(held.helperVerdict(now: now) == .wait(until: now + .seconds(5), .hostHeld))
        #expect(held.helperVerdict(now: now + .seconds(6)) == .start)
        var dead = host()
        start(&dead, as: .scout)
        dead.segmentEnded(.trouble, .scout)
        _ = dead.connectionFailed(.scout, now: now)
        #expect(dead.helperVerdict(now: now) == .full(.hostLimit) && dead.verdict(now: now) == .start)
    }
}
