// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Ledger

@Suite struct QuarantineTests {
    private func crash(_ store: LedgerStore, counted: Bool = true) throws -> Recovery {
        try store.group { () throws(LedgerError) in try store.recover(now: at(1), isCrash: counted) }
    }

    @Test func `a job under way in three crashes has failed with that reason`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a"), download(2, "b")])
        for round in 1...3 {
            try store.apply(.active(JobSeq(1), attempts: round, startedAt: t0))
            let recovery = try crash(store)
            #expect(recovery.quarantined == (round == 3 ? 1 : 0))
            if round < 3 { #expect(try store.queuedJobs(list).map(\.crashes) == [round, 0]) }
        }
        let record = try #require(try store.record(of: JobSeq(1)))
        #expect(record.state == .failed)
        #expect(record.outcome?.error?.code == .quarantined)
        #expect(record.outcome?.attempts == 3)
        #expect(try store.list(list)?.counts.queued == 1)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `an attempt that ended, well or badly, clears a job of its crashes`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a")])
        for _ in 1...5 {
            try store.apply(.active(JobSeq(1), attempts: 1, startedAt: t0))
            #expect(try crash(store).quarantined == 0)
            try store.apply(
                .active(JobSeq(1), attempts: 2, startedAt: t0),
                .requeued(JobSeq(1), attempts: 2, fetchedBytes: 0, waited: 0, resume: nil))
            #expect(try store.queuedJobs(list).map(\.crashes) == [0])
        }
        try store.close()
    }

    @Test func `a long download that gets on between kills is not quarantined`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a")])
        for round in 1...5 {
            try store.apply(.active(JobSeq(1), attempts: 1, startedAt: t0))
            let point = ResumePoint(
                url: "https://example.org/a", bytes: Int64(round), total: 9, etag: "\"x\"", lastModified: nil,
                device: 1, inode: 2, part: "a.part")
            try store.apply(.checkpoint(JobSeq(1), fetchedBytes: Int64(round), resume: point))
            #expect(try crash(store).quarantined == 0)
            #expect(try store.queuedJobs(list).map(\.crashes) == [1])
        }
        try store.close()
    }

    @Test func `a stop that is no crash puts jobs back and counts nothing`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a")])
        for _ in 1...5 {
            try store.apply(.active(JobSeq(1), attempts: 1, startedAt: t0))
            #expect(try crash(store, counted: false).requeued == 1)
        }
        #expect(try store.queuedJobs(list).map(\.crashes) == [0])
        try store.close()
    }

    @Test func `the note of a run is there until a clean stop takes it away`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        #expect(try store.runNote() == nil)
        try store.group { () throws(LedgerError) in try store.noteRun("boot") }
        #expect(try store.runNote() == "boot")
        try store.group { () throws(LedgerError) in try store.noteRun(nil) }
        #expect(try store.runNote() == nil)
        try store.close()
    }
}
