// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct DeferredStartsTests {
    private func start(_ seq: Int64, attempts: Int = 1) -> JobChange {
        .active(JobSeq(seq), attempts: attempts, startedAt: WallTime(milliseconds: 1))
    }
    private func end(_ seq: Int64) -> JobChange {
        .ended(JobSeq(seq), Outcome(state: .done, endedAt: WallTime(milliseconds: 2)))
    }
    private func at(_ milliseconds: Int64) -> MonotonicTime {
        MonotonicTime(nanoseconds: milliseconds * 1_000_000)
    }

    @Test func `a start goes with the job's next change, and before it`() {
        var starts = DeferredStarts()
        var sent = starts.sift([start(1), start(2)], now: at(0), mayWait: true)
        #expect(sent.isEmpty && !starts.isEmpty)
        sent = starts.sift([end(3), end(2)], now: at(1), mayWait: true)
        #expect(sent == [end(3), start(2), end(2)])
        sent = starts.sift([end(1)], now: at(2), mayWait: true)
        #expect(sent == [start(1), end(1)] && starts.isEmpty && starts.due == nil)
    }

    @Test func `a start and an end of one turn stay in their order`() {
        var starts = DeferredStarts()
        let sent = starts.sift([start(1), end(1)], now: at(0), mayWait: true)
        #expect(sent == [start(1), end(1)] && starts.isEmpty)
    }

    @Test func `none is kept beyond its time`() {
        var starts = DeferredStarts()
        var sent = starts.sift([start(2)], now: at(0), mayWait: true)
        #expect(sent.isEmpty && starts.due == at(50))
        sent = starts.sift([start(1), end(9)], now: at(49), mayWait: true)
        #expect(sent == [end(9)])
        sent = starts.sift([], now: at(50), mayWait: true)
        #expect(sent == [start(1), start(2)] && starts.isEmpty)
    }

    @Test func `all go before what must find the jobs started`() {
        var starts = DeferredStarts()
        _ = starts.sift([start(1)], now: at(0), mayWait: true)
        let sent = starts.sift([start(2), end(3)], now: at(1), mayWait: false)
        #expect(sent == [start(1), start(2), end(3)] && starts.isEmpty)
    }

    @Test func `a job that was put back and starts again in the moment of truth stays in order`() {
        var starts = DeferredStarts()
        _ = starts.sift([start(1)], now: at(0), mayWait: true)
        let sent = starts.sift([end(1), start(1, attempts: 2)], now: at(50), mayWait: true)
        #expect(sent == [start(1), end(1), start(1, attempts: 2)])
    }

    @Test func `a second start of a job does not overtake the first`() {
        var starts = DeferredStarts()
        _ = starts.sift([start(1)], now: at(0), mayWait: true)
        var sent = starts.sift([start(1, attempts: 2)], now: at(1), mayWait: true)
        #expect(sent == [start(1)])
        sent = starts.sift([end(1)], now: at(2), mayWait: true)
        #expect(sent == [start(1, attempts: 2), end(1)])
    }
}
