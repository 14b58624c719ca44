// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct SegmentRampTests {
    /// Bytes a second that so many connections bring.
    private func climb(
        most: Int, total: Double, _ rate: (Int) -> Double
    ) -> (levels: [Int], ramp: SegmentRamp) {
        var ramp = SegmentRamp(most: most)
        var levels = [ramp.level]
        var bytes = 0.0
        for step in 0..<400 where bytes < total {
            let now = MonotonicTime(nanoseconds: Int64(step) * 250_000_000)
            ramp.sample(bytes: Int64(bytes), running: ramp.level, left: Int64(total - bytes), now: now)
            if levels.last != ramp.level { levels.append(ramp.level) }
            bytes += rate(ramp.level) / 4
        }
        return (levels, ramp)
    }

    @Test func `while each connection brings as much as the first there are more, up to the most`() {
        #expect(climb(most: 16, total: 1e9) { Double($0) * 2e6 }.levels == [1, 2, 4, 8, 16])
        #expect(climb(most: 6, total: 1e9) { Double($0) * 2e6 }.levels == [1, 2, 4, 6])
    }

    @Test func `where a second brings nothing there is one again`() {
        let climb = climb(most: 16, total: 15e7) { _ in 2e6 }
        // Tried again once in these 75 seconds: the line may be another by then.
        #expect(climb.levels == [1, 2, 1, 2, 1])
        #expect(climb.ramp.isSettled)
    }

    @Test func `a line that six fill gets eight, for sixteen bring nothing`() {
        #expect(
            climb(most: 16, total: 1e9) { min(Double($0), 6) * 2e6 }.levels == [1, 2, 4, 8, 16, 8, 16, 8])
    }

    @Test func `a file that is nearly there is left alone`() {
        let climb = climb(most: 16, total: 8e6) { Double($0) * 2e6 }
        #expect(climb.levels == [1])
        #expect(climb.ramp.isSettled)
    }

    @Test func `a server that holds its rate by the second, after a burst, is not misread`() {
        var ramp = SegmentRamp(most: 16)
        // Since when each connection runs: it is given 2 MB at once, and as much with each further second.
        var ages: [Int] = [0]
        var levels = [1]
        for step in 0..<60 {
            let bytes = ages.reduce(Int64(0)) { $0 + Int64((step - $1) / 4 + 1) * 2_000_000 }
            let now = MonotonicTime(nanoseconds: Int64(step) * 250_000_000)
            ramp.sample(bytes: bytes, running: ages.count, left: 1 << 30, now: now)
            while ages.count < ramp.level { ages.append(step) }
            if levels.last != ramp.level { levels.append(ramp.level) }
        }
        #expect(levels == [1, 2, 4, 8, 16])
    }

    @Test func `nothing is judged before all that should be there are running`() {
        var ramp = SegmentRamp(most: 4)
        for step in 0..<100 {
            let now = MonotonicTime(nanoseconds: Int64(step) * 250_000_000)
            ramp.sample(bytes: Int64(step) * 500_000, running: 1, left: 1 << 30, now: now)
        }
        #expect(ramp.level == 2 && !ramp.isSettled)
    }
}

@Suite struct SegmentMachineTests {
    private let start = MonotonicTime(nanoseconds: 0)
    private let size: Int64 = 64 << 20
    private func machine(most: Int = 8, isAsked: Bool = true) -> SegmentMachine {
        let rules = SegmentRules(most: most, isAsked: isAsked)
        var machine = SegmentMachine(total: size, known: [], rules: rules, now: start)
        machine.adopt(at: 0, reach: size, now: start)
        return machine
    }

    @Test func `what a list asks for is wanted at once, in equal parts`() {
        var machine = machine()
        #expect(machine.wanted(now: start) == 7)
        for _ in 0..<7 { #expect(machine.open(now: start)?.range.count == size / 8) }
        #expect(machine.plan.rest(of: SegmentMachine.first) == ByteRange(0, size / 8))
        // Seven beside the first are still what is wanted: those that it has.
        #expect(machine.wanted(now: start) == 7)
    }

    @Test func `where nobody asks there is one until it has shown what it brings`() {
        var machine = machine(isAsked: false)
        #expect(machine.wanted(now: start) == 0)
        var position: Int64 = 0
        for step in 1...16 {
            position = Int64(step) * 500_000
            _ = machine.sample([0: position], bytes: position, now: start + .milliseconds(step * 250))
        }
        #expect(machine.wanted(now: start + .seconds(4)) == 1)
    }

    @Test func `one that brought nothing is told to end, and no other is wanted`() {
        var machine = machine(isAsked: false)
        var at: [Int: Int64] = [0: 0]
        var surplus: [Int] = []
        for step in 1...40 where surplus.isEmpty {
            let now = start + .milliseconds(step * 250)
            if machine.wanted(now: now) > at.count - 1, let opened = machine.open(now: now) {
                at[opened.id] = opened.range.start
            }
            // The line is full with one.
            for id in at.keys { at[id]! += 500_000 / Int64(at.count) }
            let bytes = Int64(step) * 500_000
            for (id, position) in at { machine.reached(id, position) }
            surplus = machine.sample(at, bytes: bytes, now: now)
        }
        #expect(surplus == [1])
        machine.over(1)
        #expect(machine.plan.inFlight == 1 && machine.plan.holes.count == 2)
        #expect(machine.wanted(now: start + .seconds(60)) == 0)
    }

    @Test func `one or none asked for is none`() {
        #expect(machine(most: 1).wanted(now: start) == 0)
    }

    @Test func `a failure pauses the opening, twice as long each time, and not for ever`() {
        var machine = machine()
        var now = start
        var pauses: [Int] = []
        for _ in 0..<7 {
            let opened = machine.open(now: now)
            guard let opened else { break }
            machine.failed(opened.id, hadBytes: true, now: now)
            #expect(machine.wanted(now: now) == 0)
            let end = machine.pauseEnd(now: now) ?? now
            pauses.append(Int((end - now).secondsDouble))
            now = end
        }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30])
        #expect(machine.wanted(now: now) == 7)
        // One that gets on ends it.
        let opened = machine.open(now: now)!
        machine.reached(opened.id, opened.range.start + 2 << 20)
        machine.failed(machine.open(now: now)!.id, hadBytes: true, now: now)
        #expect(machine.pauseEnd(now: now) == now + .seconds(1))
    }

    @Test func `a server that takes three and no more is given three`() {
        var machine = machine()
        for _ in 0..<2 { _ = machine.open(now: start) }
        machine.failed(machine.open(now: start)!.id, hadBytes: false, now: start)
        #expect(machine.wanted(now: start + .seconds(60)) == 2)
    }

    @Test func `a server that knows no ranges after all is asked for no more`() {
        var machine = machine()
        let opened = machine.open(now: start)!
        machine.off()
        machine.over(opened.id)
        #expect(machine.wanted(now: start + .seconds(60)) == 0)
        #expect(machine.plan.rest(of: SegmentMachine.first) == ByteRange(0, size))
    }

    @Test func `the first goes on with what others left`() {
        var machine = machine(most: 2)
        let other = machine.open(now: start)!
        machine.reached(SegmentMachine.first, size / 2)
        machine.over(SegmentMachine.first)
        machine.reached(other.id, other.range.start + 10)
        machine.failed(other.id, hadBytes: true, now: start)
        #expect(machine.openFirst(now: start) == ByteRange(size / 2 + 10, size))
    }

    @Test func `those that come later take half of the longest rest`() {
        var machine = machine()
        for _ in 0..<7 { _ = machine.open(now: start) }
        machine.reached(1, size)
        machine.over(1)
        #expect(machine.open(now: start)?.range.count == size / 16)
    }

    @Test func `where eight are wanted and three are given, the first keeps what the others do not get`() {
        var machine = machine()
        for _ in 0..<2 { _ = machine.open(now: start) }
        #expect(machine.plan.rest(of: SegmentMachine.first)?.count == size / 8 * 6)
    }
}

@Suite struct ResumePointRangeTests {
    private var point: ResumePoint {
        ResumePoint(
            url: "http://a/b", bytes: 10, total: 100, etag: "\"v\"", lastModified: nil, device: 1, inode: 2,
            part: "p")
    }

    @Test func `bytes beyond a gap count as known, and tell how long the part must be`() {
        var point = point
        #expect(point.known == 10 && point.extent == 10)
        point.ranges = [ByteRange(20, 30), ByteRange(50, 60)]
        #expect(point.known == 30 && point.extent == 60)
        #expect(!point.isWhole)
    }
}
