// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Ledger

/// Lists that ended long ago: which they are, and that nothing of them is left.
@Suite struct RemovalTests {
    private let scratch: Scratch
    private let store: LedgerStore

    init() throws {
        scratch = try Scratch()
        store = try scratch.open()
    }

    private func inGroup<T>(_ body: () throws(LedgerError) -> T) throws -> T { try store.group(body) }

    /// A closed list of that many jobs of one host.
    private func closed(
        _ name: String, from seq: Int64, count: Int64 = 3, host: String, endedAt: WallTime
    ) throws
        -> ListID
    {
        let seqs = seq..<seq + count
        let list = try store.running(
            seqs.map { download($0, "\(name)-\($0)", host: host, gid: JobID(rawValue: UInt64($0) << 8)) },
            named: name)
        for seq in seqs {
            try store.apply(.ended(JobSeq(seq), seq % 3 == 0 ? failed() : done("\(name)-\(seq)")))
        }
        try inGroup { () throws(LedgerError) in try store.close(list, finalName: name, now: endedAt) }
        return list
    }

    private func remove(_ list: ListID, limit: Int = 2) throws {
        while try !inGroup({ () throws(LedgerError) in try store.removeSlice(list: list, limit: limit) })
            .isComplete
        {
            #expect(try store.audit().isEmpty)
        }
        try inGroup { () throws(LedgerError) in try store.forget(list: list) }
    }

    @Test func `only lists that have ended before the time are old, the oldest first, page by page`() throws {
        let new = try closed("new", from: 1, host: "a", endedAt: at(500))
        let older = try closed("older", from: 4, host: "a", endedAt: at(10))
        let oldest = try closed("oldest", from: 7, host: "a", endedAt: at(5))
        _ = try store.running([download(10, "x")], named: "open")
        let first = try store.expiredLists(endedBefore: at(100), after: nil, limit: 1)
        #expect(first.map(\.id) == [oldest])
        let second = try store.expiredLists(endedBefore: at(100), after: first.last, limit: 10)
        #expect(second.map(\.id) == [older])
        #expect(
            try store.expiredLists(endedBefore: at(1000), after: second.last, limit: 10).map(\.id) == [new])
    }

    @Test func `a removed list leaves no row, no count and no host, and what it fetched stays known`() throws
    {
        let old = try closed("old", from: 1, count: 9, host: "gone.example", endedAt: at(5))
        let kept = try closed("kept", from: 10, host: "kept.example", endedAt: at(5))
        let audit = try inGroup { () throws(LedgerError) in
            let audit = try store.makeAudit(.list(old), AuditOptions(), now: t0).id
            try store.finish(audit, repairs: nil, now: t0)
            return audit
        }
        _ = try store.takeChangedHosts()
        let begun = try inGroup { () throws(LedgerError) in try store.beginRemoval(of: old) }
        #expect(begun?.row.id == old && begun?.audits == [audit])
        try remove(old)
        #expect(try store.list(old) == nil && store.host(HostKey("gone.example")) == nil)
        #expect(try store.host(HostKey("kept.example"))?.counts.total == 3)
        #expect(try store.totals().total == 3 && store.audit(audit) == nil)
        #expect(try store.file(at: OutputPath(trusted: "old-1"))?.size == 100)
        for (table, count) in [("job", "3"), ("outcome", "3"), ("gid", "3"), ("span WHERE list > 0", "1")] {
            #expect(try scratch.shell("SELECT count(*) FROM \(table)") == [count], "\(table)")
        }
        // The host may come again, under whatever number.
        let again = try store.running([download(20, "again", host: "gone.example")], named: "again")
        #expect(try store.queuedJobs(again).map(\.lane.list) == [again])
        #expect(try store.host(HostKey("gone.example"))?.counts.queued == 1)
        #expect(try store.audit().isEmpty && store.list(kept) != nil)
    }

    @Test func `a host of which something is known outlives its jobs`() throws {
        let old = try closed("old", from: 1, host: "held.example", endedAt: at(5))
        try inGroup { () throws(LedgerError) in
            try store.hold(host: HostKey("held.example"), until: at(9999), reason: "429")
        }
        _ = try inGroup { () throws(LedgerError) in try store.beginRemoval(of: old) }
        try remove(old)
        #expect(try store.host(HostKey("held.example"))?.heldUntil == at(9999))
        #expect(try store.audit().isEmpty)
    }

    @Test func `a removal that was cut off is shown to nobody and found again`() throws {
        let old = try closed("old", from: 1, count: 9, host: "a", endedAt: at(5))
        let reader = try LedgerReader.open(path: scratch.ledger, cipher: store.cipher)
        _ = try inGroup { () throws(LedgerError) in try store.beginRemoval(of: old) }
        _ = try inGroup { () throws(LedgerError) in try store.removeSlice(list: old, limit: 4) }
        #expect(try reader.list(old) == nil && reader.list(newestNamed: "old") == nil)
        #expect(try reader.lists(after: nil, limit: 10, state: nil).rows.isEmpty)
        #expect(try store.expiredLists(endedBefore: at(1000), after: nil, limit: 10).isEmpty)
        try reader.close()
        try store.close()
        let second = try scratch.open()
        #expect(try second.openRemovals().map(\.id) == [old])
        #expect(try second.totals().total == 5)
    }

    @Test func `a list with open jobs, and one that an audit is still to look at, are not removed`() throws {
        let open = try store.running([download(1, "x")], named: "open")
        #expect(try inGroup { () throws(LedgerError) in try store.beginRemoval(of: open) == nil })
        #expect(
            try inGroup { () throws(LedgerError) in try store.removeSlice(list: open, limit: 10) }.changed
                == 0)
        let old = try closed("old", from: 2, host: "a", endedAt: at(5))
        let audit = try inGroup { () throws(LedgerError) in
            try store.makeAudit(.list(old), AuditOptions(), now: t0).id
        }
        #expect(try store.expiredLists(endedBefore: at(1000), after: nil, limit: 10).isEmpty)
        try inGroup { () throws(LedgerError) in try store.cancel(audit, now: t0) }
        #expect(try store.expiredLists(endedBefore: at(1000), after: nil, limit: 10).map(\.id) == [old])
    }

    @Test func `the bad lines of a list that was no good go too, and its row stays`() throws {
        let list = try store.list(named: "bad").id
        try store.admit(
            list,
            (1...50).map {
                AdmittedEntry(
                    seq: JobSeq($0), line: Int($0), kind: .bad(JobError(.badLine, "no")),
                    options: .none, gid: nil,
                    priority: 0, startsPaused: false)
            })
        try inGroup { () throws(LedgerError) in try store.reject(list, reason: "no entry", now: t0) }
        #expect(try store.totals().failed == 50)
        while try !inGroup({ () throws(LedgerError) in try store.removeSlice(list: list, limit: 20) })
            .isComplete
        {}
        #expect(try store.totals().total == 0 && store.list(list)?.state == .rejected)
        #expect(try store.audit().isEmpty)
    }
}
