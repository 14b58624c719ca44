// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import SumPool

struct SumBookTests {
    let sum = SumBook.Work.sum(SumRange(from: 0, to: 9))
    let digest = SumBook.Work.digest(directory: "/parts", name: "x", .md5)

    func drain(_ book: inout SumBook) -> [(UInt64, Int64)] {
        var out: [(UInt64, Int64)] = []
        while let (ticket, job) = book.next() { out.append((ticket, job.seq.rawValue)) }
        return out
    }

    @Test func `digests go before sums, each within its own credit`() {
        var book = SumBook(processes: 1)
        for seq in Int64(1)...2000 { _ = book.add(JobSeq(seq), sum, submitted: 0) }
        for seq in Int64(3001)...3100 { _ = book.add(JobSeq(seq), digest, submitted: 0) }
        let out = drain(&book)
        #expect(out.count == book.sumCredit + book.digestCredit)
        #expect(out.prefix(2).map(\.1) == [3001, 3002])
        #expect(book.running == out.count)
        #expect(book.waiting == 2100 - out.count)
        let answer9 = book.take(out[0].0)
        #expect(answer9?.seq == JobSeq(3001))
        let answer10 = book.next()
        #expect(answer10?.job.seq == JobSeq(3000 + Int64(book.digestCredit) + 1))
    }

    @Test func `jobs lost with sumd wait again in their old order, and fail the second time`() {
        var book = SumBook(processes: 1)
        for seq in Int64(1)...3 { _ = book.add(JobSeq(seq), sum, submitted: 0) }
        _ = drain(&book)
        _ = book.add(JobSeq(4), sum, submitted: 0)
        let answer11 = book.lost()
        #expect(answer11.isEmpty)
        #expect(book.running == 0)
        let second = drain(&book)
        #expect(second.map(\.1) == [1, 2, 3, 4])
        _ = book.take(second[1].0)
        let answer12 = book.lost()
        #expect(answer12.map(\.seq.rawValue) == [1, 3])
        let answer13 = drain(&book)
        #expect(answer13.map(\.1) == [4])
    }

    @Test func `cancel finds a job wherever it is`() {
        var book = SumBook(processes: 1)
        _ = book.add(JobSeq(1), sum, submitted: 0)
        _ = book.add(JobSeq(2), digest, submitted: 0)
        let answer14 = book.cancel(JobSeq(1))
        #expect(answer14 == nil)
        let out = drain(&book)
        #expect(out.map(\.1) == [2])
        let answer15 = book.cancel(JobSeq(2))
        #expect(answer15 == out[0].0)
        let answer16 = book.take(out[0].0)
        #expect(answer16 == nil)
        let answer17 = book.cancel(JobSeq(2))
        #expect(answer17 == nil)
        #expect(book.waiting == 0)
        #expect(book.running == 0)
    }

    @Test func `a job handed in again replaces the old one under a new ticket`() {
        var book = SumBook(processes: 1)
        _ = book.add(JobSeq(1), digest, submitted: 0)
        let old = drain(&book)[0].0
        let answer18 = book.add(JobSeq(1), digest, submitted: 5)
        #expect(answer18 == old)
        let new = drain(&book)
        #expect(new.map(\.1) == [1])
        #expect(new[0].0 != old)
        let answer19 = book.take(old)
        #expect(answer19 == nil)
        let answer20 = book.take(new[0].0)
        #expect(answer20?.submitted == 5)
    }

    @Test func `takeWaiting empties the queues and leaves what is out`() {
        var book = SumBook(processes: 1)
        _ = book.add(JobSeq(1), sum, submitted: 0)
        _ = drain(&book)
        _ = book.add(JobSeq(2), sum, submitted: 0)
        _ = book.add(JobSeq(3), digest, submitted: 0)
        let answer21 = book.takeWaiting()
        #expect(answer21.map(\.seq.rawValue).sorted() == [2, 3])
        #expect(book.running == 1)
        #expect(book.waiting == 0)
    }
}
