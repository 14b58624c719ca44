// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct AdmissionPaceTests {
    /// Batches of 800 entries that one transaction takes.
    private func batches(_ pace: inout AdmissionPace, othersWait: (Int) -> Bool = { _ in false }) -> Int {
        pace.begin(othersWait: false)
        var taken = 1
        while pace.goesOn(after: 800, othersWait: othersWait(taken)) { taken += 1 }
        return taken
    }

    @Test func `a list begins with one batch, and each transaction takes twice as many up to the most`() {
        var pace = AdmissionPace()
        #expect((0..<7).map { _ in batches(&pace) } == [1, 2, 3, 5, 8, 8, 8])
    }

    @Test func `whoever comes waits for the batch that is going in and no further one`() {
        var pace = AdmissionPace()
        for _ in 0..<6 { _ = batches(&pace) }
        #expect(batches(&pace) { $0 == 3 } == 3)
        // The next one may be half as large.
        #expect(batches(&pace) == 4)
        #expect(batches(&pace) == 8)
    }

    @Test
    func `a transaction that serves others takes one batch, and after some of them all are small again`() {
        var pace = AdmissionPace()
        for _ in 0..<6 { _ = batches(&pace) }
        for _ in 0..<4 {
            pace.begin(othersWait: true)
            let goesOn = pace.goesOn(after: 800, othersWait: false)
            #expect(!goesOn)
        }
        #expect(batches(&pace) == 1)
    }

    @Test func `transactions that found too few batches to fill them do not grow`() {
        var pace = AdmissionPace()
        _ = batches(&pace)
        for _ in 0..<5 {
            pace.begin(othersWait: false)
            let goesOn = pace.goesOn(after: 300, othersWait: false)
            #expect(goesOn)
        }
        pace.begin(othersWait: false)
        _ = pace.goesOn(after: 300, othersWait: false)
        let goesOn = pace.goesOn(after: 700, othersWait: false)
        #expect(!goesOn)
    }

    @Test(
        arguments: [
            // transactions before, entries taken, age in ms, last of its list, others wait: waited for in ms
            (0, 100, 1, false, false, 0), (3, 100, 1, false, false, 29), (3, 100, 29, false, false, 1),
            (3, 100, 30, false, false, 0), (3, 100, 500, false, false, 0), (3, 100, 1, true, false, 0),
            (3, 100, 1, false, true, 0), (3, 0, 1, false, false, 0),
        ])
    func `more is waited for in a large transaction only, while nobody else waits and more is to come`(
        before: Int, entries: Int, age: Int, isLast: Bool, othersWait: Bool, milliseconds: Int
    ) {
        var pace = AdmissionPace()
        for _ in 0..<before { _ = batches(&pace) }
        pace.begin(othersWait: false)
        if entries > 0 { _ = pace.goesOn(after: entries, othersWait: false) }
        let wait = pace.wait(age: .milliseconds(age), isLast: isLast, othersWait: othersWait)
        #expect(wait == .milliseconds(milliseconds))
    }

    @Test func `the credit is in entries and in bytes, and the first batch of a list always goes out`() {
        var credit = AdmissionCredit()
        let small = AdmissionCredit.Share(entries: 800, bytes: 20_000)
        var sent = 0
        while credit.allows(listHas: 1) {
            credit.take(small)
            sent += 1
        }
        // The one that reaches the limit still goes out.
        #expect(sent == (AdmissionCredit.entries + 799) / 800)
        #expect(credit.allows(listHas: 0))
        for _ in 0..<sent { credit.giveBack(small) }
        #expect(credit == AdmissionCredit())

        let large = AdmissionCredit.Share(entries: 3, bytes: 3 << 20)
        credit.take(large)
        #expect(credit.allows(listHas: 1))
        credit.take(large)
        #expect(!credit.allows(listHas: 1))
        credit.giveBack(large)
        #expect(credit.allows(listHas: 1))
    }

    @Test func `options and digests weigh in the credit, plain lines as their text`() {
        func share(_ options: JobOptions) -> AdmissionCredit.Share {
            let entries = (1...10).map {
                AdmittedEntry(
                    seq: JobSeq($0), line: Int($0), kind: .sum(SumRange(from: 0, to: 1)),
                    options: SharedOptions(options))
            }
            return AdmissionCredit.Share(
                AdmissionBatch(
                    list: ListID(1), from: ListPosition(offset: 50, line: 1, entries: 1),
                    to: ListPosition(offset: 350, line: 11, entries: 11), defaults: nil, entries: entries))
        }
        #expect(share(JobOptions()) == AdmissionCredit.Share(entries: 10, bytes: 300))
        var options = JobOptions()
        options.id = "x"
        #expect(share(options).bytes > 300 + 10 * 200)
    }

    @Test func `what few entries have is kept, also when it is given one after the other`() throws {
        var entry = AdmittedEntry(
            seq: JobSeq(1), line: 1, kind: .sum(SumRange(from: 0, to: 1)), options: .none)
        #expect(!entry.hasRare)
        let pieces = try #require(
            PieceHashes(algorithm: .sha1, length: 10, bytes: [UInt8](repeating: 1, count: 20)))
        entry.pieces = pieces
        entry.options.id = "mine"
        #expect(entry.pieces == pieces && entry.options.id == "mine" && entry.hasRare)
        entry.pieces = nil
        entry.options = JobOptions()
        #expect(!entry.hasRare)
    }
}
