// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ControlServer

/// Seconds since the connect, in all of these.
@Suite struct ConnectionClockTests {
    private func clock() -> ConnectionClock { ConnectionClock(ControlDeadlines(), openedAt: .zero) }
    private let never = Duration.seconds(86_400)

    @Test func `a head is due five seconds after the connect, however it trickles`() {
        var clock = clock()
        clock.wantsBytes(at: .zero)
        for second in 1...4 {
            clock.received(at: .seconds(second))
            clock.wantsBytes(at: .seconds(second))
        }
        #expect(clock.deadline == .seconds(5))
    }

    @Test func `a body that stands still is given up after five seconds, one that moves is not`() {
        var clock = clock()
        clock.received(at: .seconds(1))
        clock.headCame(isList: false)
        clock.wantsBytes(at: .seconds(1))
        #expect(clock.deadline == .seconds(6))
        clock.received(at: .seconds(4))
        clock.wantsBytes(at: .seconds(4))
        #expect(clock.deadline == .seconds(9))
    }

    @Test func `a body that trickles is given up after thirty seconds, unless it is a list`() {
        for isList in [false, true] {
            var clock = clock()
            clock.received(at: .zero)
            clock.headCame(isList: isList)
            for second in 0...28 {
                clock.received(at: .seconds(second))
                clock.wantsBytes(at: .seconds(second))
            }
            #expect(clock.deadline == (isList ? .seconds(33) : .seconds(30)))
        }
    }

    @Test func `while the daemon thinks or does not read, nothing is held against the client`() {
        var list = clock()
        list.wantsBytes(at: .zero)
        list.received(at: .seconds(1))
        list.headCame(isList: true)
        #expect(list.deadline > never)
        // It reads on after a slow disk: the client's time starts then.
        list.wantsBytes(at: .seconds(60))
        #expect(list.deadline == .seconds(65))
        var question = clock()
        question.received(at: .seconds(1))
        question.headCame(isList: false)
        question.bodyEnded()
        question.wantsBytes(at: .seconds(1))
        #expect(question.deadline == .seconds(30))
    }

    @Test func `an answer that nobody reads is dropped after five seconds, one read slowly after thirty`() {
        var clock = clock()
        clock.received(at: .zero)
        clock.headCame(isList: false)
        clock.bodyEnded()
        clock.sending(1000, at: .seconds(2))
        clock.sending(1000, at: .seconds(3))
        #expect(clock.deadline == .seconds(7))
        clock.sent(1000, at: .seconds(6))
        #expect(clock.unsent == 1000)
        #expect(clock.deadline == .seconds(11))
        clock.sent(1000, at: .seconds(10))
        #expect(clock.deadline == .seconds(30))
    }

    @Test func `between two requests there are thirty seconds, for the next head five again`() {
        var clock = clock()
        clock.received(at: .zero)
        clock.headCame(isList: false)
        clock.bodyEnded()
        clock.answered(at: .seconds(1))
        clock.wantsBytes(at: .seconds(1))
        #expect(clock.deadline == .seconds(31))
        clock.received(at: .seconds(20))
        #expect(clock.deadline == .seconds(25))
    }
}
