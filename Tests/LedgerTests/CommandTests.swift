// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Ledger

@Suite struct CommandTests {
    @Test func `verbs on one job say what they did`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        _ = try store.running((1...6).map { download(Int64($0), "f\($0)") })
        try store.apply(.active(JobSeq(2), attempts: 1, startedAt: t0), .ended(JobSeq(3), done()))
        func run(_ body: () throws(LedgerError) -> JobVerdict) throws -> JobVerdict { try store.group(body) }
        #expect(
            try run { () throws(LedgerError) in try store.pause(JobSeq(1), now: t0) }
                == .changed(from: .queued))
        #expect(
            try run { () throws(LedgerError) in try store.pause(JobSeq(1), now: t0) } == .unchanged(.paused))
        #expect(
            try run { () throws(LedgerError) in try store.resume(JobSeq(1), now: t0) }
                == .changed(from: .paused))
        #expect(
            try run { () throws(LedgerError) in try store.cancel(JobSeq(2), now: t0) } == .inFlight(.active))
        #expect(
            try run { () throws(LedgerError) in try store.cancel(JobSeq(3), now: t0) } == .unchanged(.done))
        #expect(
            try run { () throws(LedgerError) in try store.cancel(JobSeq(4), now: t0) }
                == .changed(from: .queued))
        #expect(
            try run { () throws(LedgerError) in try store.retry(JobSeq(4), now: t0) }
                == .changed(from: .cancelled))
        #expect(
            try run { () throws(LedgerError) in try store.cancel(JobSeq(99), now: t0) }
                == .refused("there is no such job"))
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `a whole list is cancelled in slices, but for what is in flight`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running((1...25).map { download(Int64($0), "f\($0)", paused: $0 > 20) })
        try store.apply(
            .active(JobSeq(1), attempts: 1, startedAt: t0),
            .waiting(
                JobSeq(2), due: at(9), attempts: 1, fetchedBytes: 0, waited: 0,
                error: JobError(.timeout, "t"),
                resume: nil))
        var slices: [Slice] = []
        repeat {
            slices.append(
                try store.group { () throws(LedgerError) in
                    try store.cancelSlice(list: list, limit: 10, now: at(10))
                })
        } while slices.last?.isComplete == false
        #expect(slices.map(\.changed).reduce(0, +) == 24)
        #expect(slices.count == 3)
        let counts = try #require(try store.list(list)?.counts)
        #expect(counts.cancelled == 24)
        #expect(counts.active == 1)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test
    func `a list that is still open retries its failed and cancelled jobs, one that has ended does not`()
        throws
    {
        let scratch = try Scratch()
        let store = try scratch.open()
        let bad = AdmittedEntry(
            seq: JobSeq(10), line: 10, kind: .bad(JobError(.badLine, "x")), options: .none)
        let list = try store.running((1...9).map { download(Int64($0), "f\($0)") } + [bad])
        for seq in 1...4 { try store.apply(.ended(JobSeq(Int64(seq)), failed())) }
        try store.apply(.ended(JobSeq(5), done()))
        var next: JobSeq?
        var changed = 0
        repeat {
            let slice = try store.group { () throws(LedgerError) in
                try store.retrySlice(list: list, after: next, limit: 3, now: at(1))
            }
            changed += slice.changed
            next = slice.next
        } while next != nil
        #expect(changed == 4)
        #expect(try store.list(list)?.counts.queued == 8)
        for seq in [1, 2, 3, 4, 6, 7, 8, 9] { try store.apply(.ended(JobSeq(Int64(seq)), failed())) }
        let refused = try store.group { () throws(LedgerError) in
            try store.retrySlice(list: list, after: nil, limit: 100, now: at(2))
        }
        #expect(refused.changed == 0)
        let verdict = try store.group { () throws(LedgerError) in try store.retry(JobSeq(1), now: at(2)) }
        guard case .refused = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `jobs paused each for itself are resumed in slices`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running((1...7).map { download(Int64($0), "f\($0)", paused: true) })
        func slice() throws -> Slice {
            try store.group { () throws(LedgerError) in try store.resumeSlice(list: list, limit: 5, now: t0) }
        }
        #expect(try slice() == Slice(changed: 5, isComplete: false))
        #expect(try slice() == Slice(changed: 2, isComplete: true))
        #expect(try store.list(list)?.counts.queued == 7)
        try store.close()
    }

    @Test func `results come in the order of the lines, page by page, also of lists admitted side by side`()
        throws
    {
        let scratch = try Scratch()
        let store = try scratch.open()
        let one = try store.list(named: "one").id
        let two = try store.list(named: "two").id
        for round in 0..<5 {
            let base = Int64(round) * 20
            try store.admit(one, (1...10).map { download(base + Int64($0), "a\($0)") })
            try store.admit(two, (11...20).map { download(base + Int64($0), "b\($0)") })
        }
        try store.apply(.ended(JobSeq(12), done("b12", at: at(3))))
        var seqs: [Int64] = []
        var after: JobSeq?
        repeat {
            let page = try store.results(of: two, after: after, limit: 7)
            seqs += page.records.map(\.seq.rawValue)
            #expect(page.records.allSatisfy { $0.list == two })
            after = page.next
        } while after != nil
        #expect(seqs == (0..<5).flatMap { round in (11...20).map { Int64(round * 20 + $0) } })
        let record = try store.results(of: two, after: JobSeq(11), limit: 1).records[0]
        #expect(record.outcome == done("b12", at: at(3)))
        #expect(try scratch.shell("SELECT count(*) FROM span WHERE list > 0") == ["10"])
        try store.close()
    }

    @Test func `removing a closed list leaves its files known and its numbers used`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running((1...30).map { download(Int64($0), "f\($0)") })
        for seq in 1...30 { try store.apply(.ended(JobSeq(Int64(seq)), done("f\(seq)"))) }
        try store.group { () throws(LedgerError) in try store.close(list, finalName: "a.txt", now: t0) }
        var slice = Slice(changed: 0, isComplete: false)
        var rounds = 0
        while !slice.isComplete {
            slice = try store.group { () throws(LedgerError) in try store.removeSlice(list: list, limit: 12) }
            #expect(try store.audit().isEmpty)
            rounds += 1
        }
        #expect(rounds == 3)
        try store.group { () throws(LedgerError) in try store.forget(list: list) }
        #expect(try store.list(list) == nil)
        #expect(try store.totals() == StateCounts())
        #expect(try store.file(at: OutputPath(trusted: "f7"))?.size == 100)
        #expect(try store.list(named: "again").id > list)
        try store.close()
        #expect(try scratch.open().nextSeq == JobSeq(31))
    }
}
