// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct SegmentPlanTests {
    private let never = Duration.zero

    private func ranges(_ plan: SegmentPlan) -> [[Int64]] {
        plan.holes.map { [$0.start, $0.end, Int64($0.owner ?? -1)] }
    }

    @Test(
        arguments: [
            ([], [[0, 100]]), ([(0, 100)], []), ([(0, 40)], [[40, 100]]),
            ([(60, 70), (0, 40)], [[40, 60], [70, 100]]),
            ([(0, 40), (30, 50), (50, 60)], [[60, 100]]), ([(10, 10), (90, 500)], [[0, 90]]),
        ] as [([(Int64, Int64)], [[Int64]])])
    func `what is missing is what is not known, however that is told`(
        known: [(Int64, Int64)], missing: [[Int64]]
    ) {
        let plan = SegmentPlan(total: 100, known: known.map { ByteRange($0.0, $0.1) }, leastSize: 1)
        #expect(plan.holes.map { [$0.start, $0.end] } == missing)
        #expect(plan.isWhole == missing.isEmpty)
        #expect(plan.known.reduce(0) { $0 + $1.count } == 100 - plan.missing)
    }

    @Test func `eight that begin together get equal shares`() {
        var plan = SegmentPlan(total: 800, known: [], leastSize: 10)
        plan.adopt(0, at: 0, reach: 800)
        for id in 1...7 { _ = plan.assign(id, shares: 8 - id, leastTime: never) }
        #expect(plan.holes.map(\.count) == Array(repeating: 100, count: 8))
        #expect(Set(plan.holes.compactMap(\.owner)) == Set(0...7))
    }

    @Test func `one that comes later takes half of what would take longest`() {
        var plan = SegmentPlan(total: 300, known: [], leastSize: 10)
        plan.adopt(0, at: 0, reach: 300)
        _ = plan.assign(1, leastTime: never)
        #expect(ranges(plan) == [[0, 150, 0], [150, 300, 1]])
        // The first is the larger and yet the faster.
        plan.reached(1, 200)
        plan.measured(0, bytesPerSecond: 100)
        plan.measured(1, bytesPerSecond: 10)
        #expect(plan.assign(2, leastTime: never) == ByteRange(250, 300))
        #expect(ranges(plan) == [[0, 150, 0], [200, 250, 1], [250, 300, 2]])
    }

    @Test func `nothing is split below the least size or for less than the least time`() {
        var plan = SegmentPlan(total: 39, known: [], leastSize: 20)
        plan.adopt(0, at: 0, reach: 39)
        #expect(plan.assign(1, leastTime: never) == nil)
        var timed = SegmentPlan(total: 1000, known: [], leastSize: 1)
        timed.adopt(0, at: 0, reach: 1000)
        timed.measured(0, bytesPerSecond: 2000)
        #expect(timed.assign(1, leastTime: .seconds(1)) == nil)
        #expect(timed.capacity(leastTime: .seconds(1)) == 1)
        timed.measured(0, bytesPerSecond: 100)
        #expect(timed.capacity(leastTime: .seconds(1)) == 10)
        #expect(timed.assign(1, leastTime: .seconds(1)) == ByteRange(500, 1000))
    }

    @Test func `a range that was given up goes to whose request brings it anyway`() {
        var plan = SegmentPlan(total: 100, known: [], leastSize: 1)
        plan.adopt(0, at: 0, reach: 100)
        #expect(plan.assign(1, leastTime: never) == ByteRange(50, 100))
        plan.release(1)
        #expect(ranges(plan) == [[0, 100, 0]])
    }

    @Test func `one that nobody's request brings is free, and the next one's`() {
        var plan = SegmentPlan(total: 100, known: [ByteRange(40, 60)], leastSize: 1)
        #expect(plan.assign(0, leastTime: never) == ByteRange(0, 40))
        #expect(plan.assign(1, leastTime: never) == ByteRange(60, 100))
        plan.reached(1, 70)
        plan.release(1)
        #expect(ranges(plan) == [[0, 40, 0], [70, 100, -1]])
        #expect(plan.assign(2, leastTime: never) == ByteRange(70, 100))
        plan.release(2)
        plan.release(0)
        #expect(ranges(plan) == [[0, 40, -1], [70, 100, -1]])
    }

    @Test func `free ranges side by side are one`() {
        var plan = SegmentPlan(total: 100, known: [], leastSize: 1)
        for id in 0..<4 { _ = plan.assign(id, shares: 4 - id, leastTime: never) }
        for id in [3, 1, 2, 0] { plan.release(id) }
        #expect(ranges(plan) == [[0, 100, -1]])
    }

    @Test func `in whatever order they are given up, all goes back to whose request brings it`() {
        for order in [[1, 2, 3], [3, 2, 1], [3, 1, 2], [2, 3, 1]] {
            var plan = SegmentPlan(total: 100, known: [], leastSize: 1)
            plan.adopt(0, at: 0, reach: 100)
            for id in 1...3 { _ = plan.assign(id, shares: 4 - id, leastTime: never) }
            for id in order { plan.release(id) }
            #expect(ranges(plan) == [[0, 100, 0]])
        }
    }

    @Test func `what a segment has brought is known, and no more`() {
        var plan = SegmentPlan(total: 100, known: [], leastSize: 1)
        plan.adopt(0, at: 0, reach: 100)
        _ = plan.assign(1, leastTime: never)
        plan.reached(0, 10)
        plan.reached(1, 60)
        #expect(plan.known == [ByteRange(0, 10), ByteRange(50, 60)])
        // A word that comes late takes nothing back; one beyond the end gives nothing that is another's.
        plan.reached(0, 5)
        plan.reached(0, 80)
        #expect(plan.known == [ByteRange(0, 60)])
        #expect(plan.rest(of: 0) == nil)
    }

    /// Segments begin, get on, fail and end in any order: each byte is fetched, none by two at a time.
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func `every walk ends with each byte brought once`(seed: UInt64) {
        var random = WalkRandom(seed: seed)
        let total = Int64.random(in: 1...2000, using: &random)
        var fetched = [Int](repeating: 0, count: Int(total))
        var plan = SegmentPlan(
            total: total, known: [], leastSize: Int64.random(in: 1...100, using: &random))
        plan.adopt(0, at: 0, reach: total)
        var position: [Int: Int64] = [0: 0]
        var nextID = 1
        for _ in 0..<100_000 where !plan.isWhole {
            let running = position.keys.sorted()
            switch Int.random(in: 0..<10, using: &random) {
            case 0, 1:
                guard running.count < 16 else { continue }
                let shares = Int.random(in: 1...4, using: &random)
                guard let range = plan.assign(nextID, shares: shares, leastTime: .zero) else { continue }
                position[nextID] = range.start
                nextID += 1
            case 2:
                guard let id = running.randomElement(using: &random) else { continue }
                plan.release(id)
                position[id] = nil
            default:
                guard let id = running.randomElement(using: &random) else { continue }
                guard let end = plan.rest(of: id)?.end else {
                    plan.release(id)
                    position[id] = nil
                    continue
                }
                let start = position[id]!
                let next = min(end, start + Int64.random(in: 0...60, using: &random))
                for byte in start..<next { fetched[Int(byte)] += 1 }
                position[id] = next
                plan.reached(id, next)
                plan.measured(id, bytesPerSecond: Double(Int.random(in: 1...100, using: &random)))
            }
            let holes = plan.holes
            #expect(holes.allSatisfy { $0.count > 0 })
            #expect(zip(holes, holes.dropFirst()).allSatisfy { $0.end <= $1.start })
            #expect(plan.known.reduce(plan.missing) { $0 + $1.count } == total)
            #expect(Set(holes.compactMap(\.owner)).count == plan.inFlight)
            #expect(holes.count <= 17)
        }
        #expect(plan.isWhole)
        #expect(fetched.allSatisfy { $0 == 1 })
    }
}
