// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import SumWorker

/// Who lies with whom, who is blamed for a death, and who never is.
struct DealtDeathTests {
    static let short = Piece.Work.terms(SumRange(from: 0, to: 9))
    static let medium = Piece.Work.file(.sha256, size: 10 << 20)
    static let long = Piece.Work.file(.sha256, size: 1 << 40)

    func dealer(workers: Int, _ works: [Piece.Work]) -> PieceDealer {
        var dealer = PieceDealer()
        for slot in 0..<workers { dealer.open(slot) }
        for (ticket, work) in works.enumerated() {
            dealer.add(UInt64(ticket), work, submitted: 0, processes: workers)
        }
        return dealer
    }
    func dealAll(_ dealer: inout PieceDealer) {
        while dealer.deal() != nil {}
    }
    func tickets(_ dealer: PieceDealer, _ slot: Int) -> [UInt64] { dealer.hand(of: slot).map(\.ticket) }
    func answer(_ dealer: inout PieceDealer, _ slot: Int, _ piece: Piece) -> PieceDealer.Ending? {
        dealer.answered(
            slot, piece: piece.id, .summed(1), SumTimings(queued: 0, run: 1, cpu: 1, worker: 1))
    }
    func die(_ dealer: inout PieceDealer, _ slot: Int) -> [UInt64] {
        let ended = dealer.died(slot, pid: 7, fault: .workerDied, cause: "ended").map(\.ticket)
        dealer.open(slot)
        return ended
    }

    @Test func `every worker may have a long file, and short ones still flow`() {
        var dealer = dealer(workers: 2, [Self.long, Self.long, Self.long, Self.short, Self.medium])
        dealAll(&dealer)
        #expect(tickets(dealer, 0).count + tickets(dealer, 1).count == 4)
        for slot in 0..<2 { #expect(dealer.hand(of: slot).filter { $0.work.isLong }.count == 1) }
        #expect(Set(tickets(dealer, 0) + tickets(dealer, 1)).isSuperset(of: [3, 4]))
    }

    @Test func `a worker without a long file gets the short ones first`() {
        var dealer = dealer(workers: 2, [Self.long])
        dealAll(&dealer)
        for ticket in UInt64(10)..<14 { dealer.add(ticket, Self.short, submitted: 0, processes: 2) }
        dealAll(&dealer)
        #expect(tickets(dealer, 0) == [0])
        #expect(tickets(dealer, 1) == [10, 11, 12, 13])
    }

    @Test func `of short pieces the oldest is suspect, is dealt alone, and fails with the second death`() {
        var dealer = dealer(workers: 1, [Self.short, Self.short, Self.short])
        dealAll(&dealer)
        #expect(die(&dealer, 0) == [])
        dealAll(&dealer)
        #expect(tickets(dealer, 0) == [0])
        #expect(die(&dealer, 0) == [0])
        dealAll(&dealer)
        #expect(tickets(dealer, 0) == [1, 2])
    }

    @Test func `a suspect that was innocent ends well, and the others after it`() {
        var dealer = dealer(workers: 1, [Self.short, Self.short])
        dealAll(&dealer)
        #expect(die(&dealer, 0) == [])
        dealAll(&dealer)
        let suspect = dealer.hand(of: 0)[0]
        let ending = answer(&dealer, 0, suspect)
        #expect(ending?.ticket == 0)
        dealAll(&dealer)
        #expect(tickets(dealer, 0) == [1])
    }

    @Test func `a poison piece done between blocks of a long file never costs the long one its life`() {
        var dealer = dealer(workers: 1, [Self.long])
        dealAll(&dealer)
        for ticket in UInt64(1)...2 { dealer.add(ticket, Self.short, submitted: 0, processes: 1) }
        dealAll(&dealer)
        #expect(tickets(dealer, 0) == [0, 1, 2])
        // 1 kills the worker: the long file and 1 were under way, 2 was not.
        #expect(die(&dealer, 0) == [])
        var failed: [UInt64] = []
        var alone: [[UInt64]] = []
        for _ in 0..<2 {
            dealAll(&dealer)
            alone.append(tickets(dealer, 0))
            if tickets(dealer, 0) == [1] {
                failed += die(&dealer, 0)
            } else {
                let piece = dealer.hand(of: 0)[0]
                let ending = answer(&dealer, 0, piece)
                #expect(ending?.ticket == 0)
            }
        }
        #expect(alone == [[0], [1]] || alone == [[1], [0]])
        #expect(failed == [1])
        dealAll(&dealer)
        #expect(tickets(dealer, 0) == [2])
    }

    @Test func `a suspect waits for an empty hand but short jobs without end cannot keep it out`() {
        var dealer = dealer(workers: 2, (0..<64).map { _ in Self.short })
        dealAll(&dealer)
        let suspect = tickets(dealer, 0)[0]
        // The worker does not come back: the other must run empty for it.
        _ = dealer.died(0, pid: 7, fault: .workerDied, cause: "ended")
        var next = UInt64(1000)
        var turns = 0
        while tickets(dealer, 1) != [suspect], turns < 100 {
            let oldest = dealer.hand(of: 1)[0]
            _ = answer(&dealer, 1, oldest)
            dealer.add(next, Self.short, submitted: 0, processes: 1)
            next += 1
            turns += 1
            dealAll(&dealer)
        }
        #expect(turns <= WorkerHand.depth)
    }

    @Test func `a sum under suspicion still goes to all empty workers, each piece alone`() {
        let huge = Piece.Work.terms(SumRange(from: 0, to: 1 << 40))
        var dealer = dealer(workers: 3, [huge, Self.short])
        dealAll(&dealer)
        let place = (0..<3).first { tickets(dealer, $0).first == 0 } ?? 0
        #expect(die(&dealer, place) == [])
        dealAll(&dealer)
        #expect(tickets(dealer, place) == [0])
        #expect(dealer.hand(of: place).count == 1)
    }

    @Test func `a worker that retires gets nothing more and one that stays after all does`() {
        var dealer = dealer(workers: 2, [Self.short, Self.short])
        dealAll(&dealer)
        dealer.retire(1)
        for ticket in UInt64(10)..<20 { dealer.add(ticket, Self.short, submitted: 0, processes: 2) }
        dealAll(&dealer)
        #expect(tickets(dealer, 1).count == 1)
        #expect(tickets(dealer, 0).count == 11)
        dealer.retire(1, false)
        dealer.add(30, Self.medium, submitted: 0, processes: 2)
        dealer.add(31, Self.long, submitted: 0, processes: 2)
        dealAll(&dealer)
        #expect(tickets(dealer, 1).contains(31))
        for slot in 0..<2 {
            for piece in dealer.hand(of: slot) { _ = answer(&dealer, slot, piece) }
        }
        dealAll(&dealer)
        for slot in 0..<2 {
            for piece in dealer.hand(of: slot) { _ = answer(&dealer, slot, piece) }
        }
        #expect(dealer.isIdle)
        dealer.leave(1)
        dealer.add(40, Self.short, submitted: 0, processes: 1)
        let last = dealer.deal()
        #expect(last?.slot == 0)
    }
}
