// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import SumWorker

struct PieceDealerTests {
    typealias Ending = PieceDealer.Ending

    func timings(queued: Int64 = 0, run: Int64 = 1, cpu: Int64 = 1, worker: Int32 = 1) -> SumTimings {
        SumTimings(queued: queued, run: run, cpu: cpu, worker: worker)
    }
    func dealer(workers: Int) -> PieceDealer {
        var dealer = PieceDealer()
        for slot in 0..<workers { dealer.open(slot) }
        return dealer
    }
    func range(_ piece: Piece) -> SumRange? {
        if case .terms(let range) = piece.work { range } else { nil }
    }

    /// Deals and answers until nothing is left; answers in the order dealt.
    func finish(_ dealer: inout PieceDealer) -> [Ending] {
        var endings: [Ending] = []
        while true {
            var dealt: [(Int, Piece)] = []
            while let (slot, piece) = dealer.deal() { dealt.append((slot, piece)) }
            if dealt.isEmpty { return endings }
            for (slot, piece) in dealt {
                let answer: PieceDealer.Answer
                switch piece.work {
                case .terms(let range): answer = .summed(closedForm(range))
                case .file(let algorithm, _, _, _):
                    answer = .digested(
                        Checksum(
                            algorithm: algorithm, bytes: [UInt8](repeating: 1, count: algorithm.byteCount)))
                case .bundle(_, let files, _):
                    answer = .bundled(Array(repeating: .unreadable(errno: 5), count: files))
                }
                if let ending = dealer.answered(slot, piece: piece.id, answer, timings()) {
                    endings.append(ending)
                }
            }
        }
    }

    static let covers: [(UInt64, UInt64, Int)] = [
        (0, 0, 4), (0, 100, 3), (0, 100_000_000, 5), (17, 1 << 30, 2),
        (UInt64.max - (1 << 30), UInt64.max, 3), (UInt64.max, UInt64.max, 1),
    ]

    @Test(arguments: covers)
    func `the pieces of a range cover it exactly`(from: UInt64, to: UInt64, workers: Int) throws {
        var dealer = dealer(workers: workers)
        let whole = SumRange(from: from, to: to)
        dealer.add(1, .terms(whole), submitted: 0, processes: workers)
        var next = UInt128(from)
        while let (slot, piece) = dealer.deal() {
            let part = try #require(range(piece))
            #expect(UInt128(part.from) == next)
            #expect(part.terms <= UInt128(PieceDealer.chunkTerms))
            next = UInt128(part.to) + 1
            _ = dealer.answered(slot, piece: piece.id, .summed(closedForm(part)), timings())
        }
        #expect(next == UInt128(to) + 1)
        #expect(dealer.isIdle)
    }

    @Test func `a short range is spread over all processes and a long one cut to the limit`() {
        #expect(PieceDealer.chunk(of: SumRange(from: 0, to: 99_999_999), processes: 5) == 20_000_000)
        #expect(PieceDealer.chunk(of: SumRange(from: 0, to: 999), processes: 5) == PieceDealer.smallestChunk)
        #expect(PieceDealer.chunk(of: SumRange(from: 0, to: .max), processes: 64) == 1 << 28)
    }

    @Test func `many jobs end with their own totals`() {
        var dealer = dealer(workers: 3)
        var expected: [UInt64: UInt128] = [:]
        for ticket in UInt64(1)...40 {
            let range = SumRange(from: ticket, to: ticket * 50_000_000)
            expected[ticket] = closedForm(range)
            dealer.add(ticket, .terms(range), submitted: 0, processes: 3)
        }
        let endings = finish(&dealer)
        #expect(endings.count == 40)
        for ending in endings { #expect(ending.result == .summed(expected[ending.ticket] ?? 0)) }
        #expect(dealer.isIdle)
    }

    @Test func `pieces are dealt round robin, so a short job overtakes long ones`() {
        var dealer = dealer(workers: 1)
        for ticket in UInt64(1)...3 {
            dealer.add(ticket, .terms(SumRange(from: 0, to: 1 << 40)), submitted: 0, processes: 1)
        }
        dealer.add(4, .terms(SumRange(from: 0, to: 9)), submitted: 0, processes: 1)
        var order: [UInt64] = []
        for _ in 0..<8 {
            guard let (slot, piece) = dealer.deal() else { break }
            order.append(piece.ticket)
            _ = dealer.answered(slot, piece: piece.id, .summed(0), timings())
        }
        #expect(order == [1, 2, 3, 4, 1, 2, 3, 1])
    }

    @Test func `sums and digests take turns`() {
        var dealer = dealer(workers: 1)
        for ticket in UInt64(1)...3 {
            dealer.add(ticket, .terms(SumRange(from: 0, to: 1 << 40)), submitted: 0, processes: 1)
        }
        for ticket in UInt64(11)...12 {
            dealer.add(ticket, .file(.md5, size: 1 << 25), submitted: 0, processes: 1)
        }
        var order: [UInt64] = []
        for _ in 0..<5 {
            guard let (slot, piece) = dealer.deal() else { break }
            order.append(piece.ticket)
            _ = dealer.answered(slot, piece: piece.id, .summed(0), timings())
        }
        #expect(order == [11, 1, 12, 2, 3])
    }

    @Test func `sixteen short pieces lie with a worker, but a long one alone`() {
        var dealer = dealer(workers: 2)
        for ticket in UInt64(0)..<100 {
            dealer.add(ticket, .terms(SumRange(from: 0, to: 9)), submitted: 0, processes: 2)
        }
        var dealt = 0
        while dealer.deal() != nil { dealt += 1 }
        #expect(dealt == 2 * WorkerHand.depth)
        #expect(dealer.hand(of: 0).count == WorkerHand.depth)

        var second = self.dealer(workers: 2)
        second.add(1, .terms(SumRange(from: 0, to: .max)), submitted: 0, processes: 2)
        dealt = 0
        while second.deal() != nil { dealt += 1 }
        #expect(dealt == 2)
    }

    @Test func `a piece that came back is counted once`() {
        var dealer = dealer(workers: 2)
        let range = SumRange(from: 0, to: 10 << 28)
        dealer.add(1, .terms(range), submitted: 0, processes: 2)
        _ = dealer.deal()
        _ = dealer.deal()
        _ = dealer.died(1, pid: 5, fault: .workerDied, cause: "ended")
        for piece in dealer.hand(of: 0) {
            _ = dealer.answered(
                0, piece: piece.id, .summed(closedForm(self.range(piece) ?? range)), timings())
        }
        dealer.open(1)
        let endings5 = finish(&dealer)
        #expect(endings5.map(\.result) == [.summed(closedForm(range))])
    }

    @Test func `a cancelled job leaves nothing and its late answer is dropped`() throws {
        var dealer = dealer(workers: 2)
        dealer.add(1, .terms(SumRange(from: 0, to: .max)), submitted: 0, processes: 2)
        let dealt = dealer.deal()
        let (slot, piece) = try #require(dealt)
        let told = dealer.cancel(1)
        #expect(told.map(\.slot) == [slot])
        #expect(told.map(\.piece) == [piece.id])
        #expect(dealer.isIdle)
        let answer6 = dealer.deal()
        #expect(answer6 == nil)
        let answer7 = dealer.answered(slot, piece: piece.id, .summed(1), timings())
        #expect(answer7 == nil)
        let answer8 = dealer.cancel(1)
        #expect(answer8.isEmpty)
    }

    @Test func `timings run from the first start to the last end and add up CPU time`() throws {
        var dealer = dealer(workers: 2)
        dealer.add(1, .terms(SumRange(from: 0, to: 1_000_000)), submitted: 1000, processes: 2)
        let dealt = [dealer.deal(), dealer.deal()]
        let (first, one) = try #require(dealt[0])
        let (second, two) = try #require(dealt[1])
        _ = dealer.answered(
            second, piece: two.id, .summed(1), timings(queued: 60, run: 40, cpu: 7, worker: 8))
        let last = dealer.answered(
            first, piece: one.id, .summed(2), timings(queued: 50, run: 10, cpu: 5, worker: 9))
        let ending = try #require(last)
        #expect(ending.timings == SumTimings(queued: 50, run: 50, cpu: 12, worker: 9))
        #expect(ending.result == .summed(3))
    }
}
