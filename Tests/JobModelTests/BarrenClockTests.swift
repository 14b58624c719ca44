// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct BarrenClockTests {
    private func at(_ seconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    @Test func `time counts while it runs, and only then`() {
        var clock = BarrenClock()
        #expect(clock.total(now: at(50)) == .zero)
        clock.run(now: at(100))
        clock.run(now: at(105))
        #expect(clock.total(now: at(110)) == .seconds(10))
        clock.stop(now: at(110))
        clock.stop(now: at(500))
        #expect(clock.total(now: at(900)) == .seconds(10) && !clock.isRunning)
        clock.run(now: at(900))
        #expect(clock.total(now: at(905)) == .seconds(15))
        clock.reset()
        #expect(clock.total(now: at(999)) == .zero && !clock.isRunning)
    }

    @Test func `a restart goes on from what was stored`() {
        var clock = BarrenClock(stored: .seconds(40))
        #expect(clock.total(now: at(1)) == .seconds(40) && clock.stored == .seconds(40))
        clock.run(now: at(1))
        clock.noteStored(now: at(11))
        #expect(clock.stored == .seconds(50))
    }

    @Test(arguments: [Duration.seconds(-9), .seconds(Int64.max), .seconds(Int64.min)])
    func `an odd stored time does no harm`(stored: Duration) {
        var clock = BarrenClock(stored: stored)
        clock.run(now: MonotonicTime(nanoseconds: .max))
        #expect(clock.total(now: MonotonicTime(nanoseconds: .min)) >= .zero)
        clock.stop(now: .distantFuture)
    }
}
