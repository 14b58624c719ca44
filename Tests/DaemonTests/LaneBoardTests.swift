// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Daemon

@Suite struct LaneBoardTests {
    private let full: (HostKey) -> HostMachine.Verdict = { _ in .full(.hostLimit) }

    @Test func `jobs of a lane come in the order of rank, then line`() {
        var rig = BoardRig()
        let later = rig.admit(list: 1, host: 1, count: 3, rank: 0)
        let first = rig.admit(list: 1, host: 1, count: 2, rank: -5)
        rig.board.wake(ListID(1))
        #expect(rig.drain().map(\.job.seq.rawValue) == first + later)
    }

    @Test func `lists and lanes take turns`() {
        var rig = BoardRig()
        for host in 1...3 as ClosedRange<Int64> { rig.admit(list: 1, host: host, count: 100) }
        rig.admit(list: 2, host: 9, count: 100)
        rig.board.wake(ListID(1))
        rig.board.wake(ListID(2))
        rig.answerAll()
        rig.answerAll()
        var lists: [Int64] = []
        var hosts: [Int64] = []
        for _ in 0..<12 {
            guard let pick = rig.next() else { break }
            lists.append(pick.job.lane.list.rawValue)
            if pick.job.lane.list == ListID(1) { hosts.append(pick.job.lane.host.rawValue) }
        }
        #expect(lists.filter { $0 == 1 }.count == 6)
        #expect(lists.filter { $0 == 2 }.count == 6)
        #expect(Set(hosts.prefix(3)) == [1, 2, 3])
        #expect(hosts.prefix(3) == hosts.suffix(3))
    }

    @Test func `a lane whose host is full does not hold up the others`() {
        var rig = BoardRig()
        rig.admit(list: 1, host: 1, count: 10)
        rig.admit(list: 1, host: 2, count: 10)
        rig.board.wake(ListID(1))
        let picks = rig.drain { $0 == BoardRig.name(1) ? .full(.hostLimit) : .start }
        #expect(picks.count == 10)
        #expect(picks.allSatisfy { $0.host == BoardRig.name(2) })
        #expect(rig.board.parkedCount(at: BoardRig.name(1)) == 1)
        rig.board.hostFreed(BoardRig.name(1), slots: 1)
        #expect(rig.drain().count == 10)
        #expect(rig.board.isEmpty)
    }

    @Test func `parked lanes come back in the order they were parked`() {
        var rig = BoardRig()
        for list in 1...3 as ClosedRange<Int64> {
            rig.admit(list: list, host: 1, count: 5)
            rig.board.wake(ListID(list))
        }
        #expect(rig.drain(full).isEmpty)
        var order: [Int64] = []
        for _ in 0..<6 {
            rig.board.hostFreed(BoardRig.name(1), slots: 1)
            var slots = 1
            while let pick = rig.next({ _ in slots > 0 ? .start : .full(.hostLimit) }) {
                slots -= 1
                order.append(pick.job.lane.list.rawValue)
            }
        }
        #expect(order == [1, 2, 3, 1, 2, 3])
    }

    @Test func `a slot that a cancelled job would have taken goes to the next parked lane`() {
        var rig = BoardRig()
        let only = rig.admit(list: 1, host: 1, count: 1)
        rig.admit(list: 2, host: 1, count: 1)
        rig.board.wake(ListID(1))
        rig.board.wake(ListID(2))
        #expect(rig.drain(full).isEmpty)
        rig.rows[BoardRig.key(1, 1)] = []
        rig.board.discard(JobSeq(only[0]), in: BoardRig.key(1, 1))
        rig.board.hostFreed(BoardRig.name(1), slots: 1)
        #expect(rig.drain().map { $0.job.lane.list } == [ListID(2)])
        #expect(rig.board.isEmpty)
    }

    @Test func `a slot that a twin did not need goes to the next parked lane`() {
        var rig = BoardRig()
        rig.admit(list: 1, host: 1, count: 1)
        rig.admit(list: 2, host: 1, count: 1)
        rig.board.wake(ListID(1))
        rig.board.wake(ListID(2))
        #expect(rig.drain(full).isEmpty)
        rig.board.hostFreed(BoardRig.name(1), slots: 1)
        // The first ends as a duplicate: no transfer starts, so no slot is ever freed again.
        #expect(rig.next()?.job.lane.list == ListID(1))
        #expect(rig.next()?.job.lane.list == ListID(2))
    }

    @Test func `a slot of a list that was paused goes to the next parked lane`() {
        var rig = BoardRig()
        for list in 1...2 as ClosedRange<Int64> {
            rig.admit(list: list, host: 1, count: 3)
            rig.board.wake(ListID(list))
        }
        #expect(rig.drain(full).isEmpty)
        rig.board.hostFreed(BoardRig.name(1), slots: 1)
        rig.board.remove(ListID(1))
        #expect(rig.next()?.job.lane.list == ListID(2))
    }

    @Test func `a lane whose last job read was cancelled is read on`() {
        var rig = BoardRig(maxLanes: 16, maxJobs: 4)
        let jobs = rig.admit(list: 1, host: 1, count: 12)
        rig.board.wake(ListID(1))
        rig.answerAll()
        rig.answerAll()
        for seq in jobs.prefix(6) {
            rig.rows[BoardRig.key(1, 1)]?.removeAll { $0.seq == seq }
            rig.board.discard(JobSeq(seq), in: BoardRig.key(1, 1))
        }
        #expect(rig.drain().map(\.job.seq.rawValue) == Array(jobs.dropFirst(6)))
    }

    @Test func `a page of jobs that are all under way already is read past`() {
        var rig = BoardRig(maxLanes: 16, maxJobs: 4)
        let jobs = rig.admit(list: 1, host: 1, count: 20)
        rig.hidden = Set(jobs.prefix(9))
        rig.board.wake(ListID(1))
        #expect(rig.drain().map(\.job.seq.rawValue) == Array(jobs.dropFirst(9)))
        #expect(rig.board.isEmpty)
    }

    @Test func `a lane read again and again has one turn in a round, not several`() {
        var rig = BoardRig()
        for host in 1...2 as ClosedRange<Int64> { rig.admit(list: 1, host: host, count: 100) }
        rig.board.wake(ListID(1))
        rig.answerAll()
        rig.answerAll()
        for _ in 0..<5 {
            rig.board.reread(BoardRig.key(1, 1))
            _ = rig.next()
            rig.answerAll()
        }
        var hosts: [Int64] = []
        for _ in 0..<10 {
            rig.answerAll()
            if let pick = rig.next() { hosts.append(pick.job.lane.host.rawValue) }
        }
        #expect(hosts.filter { $0 == 1 }.count == 5)
    }

    @Test func `a retry before the cursor is found again`() {
        var rig = BoardRig(maxLanes: 16, maxJobs: 4)
        let jobs = rig.admit(list: 1, host: 1, count: 30)
        rig.board.wake(ListID(1))
        rig.answerAll()
        rig.answerAll()
        for _ in 0..<10 {
            _ = rig.next()
            rig.answerAll()
        }
        rig.giveBack(jobs[0], to: BoardRig.key(1, 1))
        rig.board.reread(BoardRig.key(1, 1))
        let rest = rig.drain().map(\.job.seq.rawValue)
        #expect(rest.count == 21)
        #expect(rest.prefix(8).contains(jobs[0]))
    }

    @Test func `a higher priority that arrives while its lane is resident does not wait for the lane's end`()
    {
        var rig = BoardRig(maxLanes: 16, maxJobs: 8)
        rig.admit(list: 1, host: 1, count: 1000)
        rig.board.wake(ListID(1), lowestRank: 0)
        rig.answerAll()
        rig.answerAll()
        _ = rig.next()
        rig.answerAll()
        let urgent = rig.admit(list: 1, host: 1, count: 1, rank: -1)
        rig.board.wake(ListID(1), lowestRank: -1)
        var order: [Int64] = []
        for _ in 0..<20 {
            rig.answerAll()
            if let pick = rig.next() { order.append(pick.job.seq.rawValue) }
        }
        #expect(order.contains(urgent[0]))
    }

    @Test func `priorities that keep coming do not keep a lane from starting anything`() {
        var rig = BoardRig(maxLanes: 16, maxJobs: 8)
        rig.admit(list: 1, host: 1, count: 100)
        rig.board.wake(ListID(1))
        var started = 0
        for round in 0..<50 {
            rig.admit(list: 1, host: 1, count: 1, rank: -round)
            rig.board.wake(ListID(1), lowestRank: -round)
            rig.answerAll()
            rig.admit(list: 1, host: 1, count: 1, rank: -round)
            rig.board.wake(ListID(1), lowestRank: -round)
            if rig.next() != nil { started += 1 }
        }
        #expect(started >= 24)
    }

    @Test func `rows behind the cursor are no reason to read a lane from the start`() {
        var rig = BoardRig(maxLanes: 16, maxJobs: 8)
        rig.admit(list: 1, host: 1, count: 100)
        rig.board.wake(ListID(1), lowestRank: 0)
        rig.answerAll()
        rig.answerAll()
        rig.admit(list: 1, host: 1, count: 100)
        rig.board.wake(ListID(1), lowestRank: 0)
        #expect(rig.board.takeRequests().allSatisfy { if case .jobs = $0 { false } else { true } })
    }

    @Test func `a list that comes while another fills the board is not shut out`() {
        var rig = BoardRig(maxLanes: 8, maxJobs: 64)
        for host in 1...100 as ClosedRange<Int64> { rig.admit(list: 1, host: host, count: 5) }
        rig.board.wake(ListID(1))
        rig.answerAll()
        rig.answerAll()
        rig.admit(list: 2, host: 500, count: 3)
        rig.admit(list: 2, host: 501, count: 3)
        rig.board.wake(ListID(2))
        rig.answerAll()
        rig.answerAll()
        let isEarly = (0..<8).contains { _ in rig.next()?.job.lane.list == ListID(2) }
        #expect(isEarly)
        #expect(rig.board.residentLanes <= 9)
        _ = rig.drain()
        #expect(rig.queued == 0)
        #expect(rig.board.isEmpty)
    }

    @Test func `held lanes make room, and are found again`() {
        var rig = BoardRig(maxLanes: 8, maxJobs: 64)
        for host in 1...20 as ClosedRange<Int64> { rig.admit(list: 1, host: host, count: 2) }
        for host in 1...12 as ClosedRange<Int64> { rig.held.insert(BoardRig.name(host)) }
        rig.board.wake(ListID(1))
        let held = rig.held
        var picks: [LaneBoard.Pick] = []
        for _ in 0..<6 {
            picks += rig.drain { held.contains($0) ? .full(.hostHeld) : .start }
            rig.board.evictParked { held.contains($0) }
            if rig.board.hasEvicted { picks += rig.drain { held.contains($0) ? .full(.hostHeld) : .start } }
        }
        #expect(picks.count == 16)
        #expect(rig.board.residentLanes <= 8)
        rig.held = []
        rig.board.relist()
        for host in rig.board.parkedHosts { rig.board.hostFreed(host, slots: 1) }
        #expect(rig.drain().count == 24)
        #expect(rig.board.isEmpty)
    }

    @Test func `a removed list starts nothing, and can come back`() {
        var rig = BoardRig()
        rig.admit(list: 1, host: 1, count: 5)
        rig.board.wake(ListID(1))
        rig.answerAll()
        rig.board.remove(ListID(1))
        rig.answerAll()
        #expect(rig.next() == nil)
        #expect(rig.board.isEmpty)
        rig.board.wake(ListID(1))
        #expect(rig.drain().count == 5)
    }

    @Test
    func `jobs for lanes that are resident do not have a list's lanes read again, those for another lane do`()
    {
        var rig = BoardRig(maxLanes: 16, maxJobs: 64)
        for host in 1...3 as ClosedRange<Int64> { rig.admit(list: 1, host: host, count: 100) }
        rig.board.wake(ListID(1))
        while rig.answerAll() {}
        let known = (1...3 as ClosedRange<Int64>).map { BoardRig.key(1, $0) }
        rig.board.wake(ListID(1), lowestRank: 0, lanes: known)
        #expect(rig.board.takeRequests().isEmpty)
        let fresh = rig.admit(list: 1, host: 4, count: 1)
        rig.board.wake(ListID(1), lowestRank: 0, lanes: known + [BoardRig.key(1, 4)])
        #expect(rig.drain().map(\.job.seq.rawValue).contains(fresh[0]))
        // A lane that has gone is looked for again.
        let more = rig.admit(list: 1, host: 2, count: 2)
        rig.board.wake(ListID(1), lowestRank: 0, lanes: [BoardRig.key(1, 2)])
        #expect(rig.drain().map(\.job.seq.rawValue) == more)
    }

    @Test func `a list that is woken with each page of its lanes is read to its last lane all the same`() {
        var rig = BoardRig()
        for host in 1...900 as ClosedRange<Int64> { rig.admit(list: 1, host: host, count: 1) }
        rig.board.wake(ListID(1))
        // Each page comes in a turn that takes a batch in, too.
        for _ in 0..<5 {
            for request in rig.board.takeRequests() {
                rig.board.wake(ListID(1), lowestRank: 0, lanes: [BoardRig.key(1, 900)])
                rig.answer(request)
            }
        }
        #expect(rig.board.residentLanes == 900)
    }
}
