// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct UpkeepTests {
    @Test(
        arguments: [
            (.zero, .seconds(1)), (.seconds(8), .seconds(1)), (.seconds(800), .seconds(100)),
            (.seconds(3600), .seconds(450)), (.seconds(86_400), .seconds(3600)),
            (.seconds(86_400 * 365), .seconds(3600)),
        ] as [(Duration, Duration)])
    func `lists are looked for every hour, more often where they are kept for less`(
        age: Duration, interval: Duration
    ) {
        #expect(ListRetention.interval(age: age) == interval)
    }

    @Test func `what ended before now less the age goes, and no age takes anything from before the epoch`() {
        let now = WallTime(milliseconds: 10_000)
        #expect(ListRetention.limit(now: now, age: .seconds(4)) == WallTime(milliseconds: 6_000))
        #expect(ListRetention.limit(now: now, age: .zero) == now)
        #expect(ListRetention.limit(now: now, age: .seconds(60)) < WallTime(milliseconds: 0))
    }

    @Test(
        arguments: [
            // pages, free pages, given back
            (10_000, 0, 0), (10_000, 2048, 0), (10_000, 2049, 256), (100_000, 12_000, 0),
            (100_000, 12_501, 256),
        ])
    func `pages are given back above twice of what is kept`(pages: Int, free: Int, given: Int) {
        var packing = FilePacking()
        #expect(packing.next(LedgerGauge(pages: pages, freePages: free)) == given)
        #expect(packing.isUnderWay == (given > 0))
    }

    @Test func `packing goes on in steps until only the reserve is free`() {
        var packing = FilePacking()
        var gauge = LedgerGauge(pages: 30_000, freePages: 29_000)
        var steps = 0
        while case let pages = packing.next(gauge), pages > 0 {
            #expect(pages <= FilePacking.step)
            gauge.pages -= pages
            gauge.freePages -= pages
            steps += 1
        }
        #expect(gauge.freePages == FilePacking.reserve)
        #expect(steps < 130 && !packing.isUnderWay)
    }

    @Test(
        arguments: [
            (0, .nothing), (256 << 20, .nothing), ((256 << 20) + 1, .admission), (1 << 30, .admission),
            ((1 << 30) + 1, .everything),
        ] as [(Int64, LogBound.Hold)])
    func `a log that cannot be written home holds admission first and then everything`(
        bytes: Int64, hold: LogBound.Hold
    ) {
        var bound = LogBound()
        #expect(bound.measured(bytes) == (hold != .nothing))
        #expect(bound.hold == hold)
        #expect(bound.measured(bytes) == false)
        #expect(bound.measured(0) == (hold != .nothing))
        #expect(bound.hold == .nothing)
    }
}
