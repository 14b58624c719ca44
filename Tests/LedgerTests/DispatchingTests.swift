// SPDX-License-Identifier: Apache-2.0

import GRDB
import JobModel
import Testing

@testable import Ledger

@Suite struct DispatchingTests {
    @Test func `lanes come by host, and jobs of a lane by priority, then by line`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([
            download(1, "a"), download(2, "b", priority: 5), download(3, "c", host: "z.net"),
            download(4, "d"),
        ])
        let lanes = try store.lanes(of: list, after: nil, limit: 10, now: t0)
        #expect(lanes.map(\.queued) == [3, 1])
        #expect(lanes.map(\.host.rawValue) == ["example.org", "z.net"])
        #expect(
            try store.lanes(of: list, after: lanes[0].key.host, limit: 10, now: t0).map(\.key) == [
                lanes[1].key
            ])
        let first = try store.queued(in: lanes[0].key, after: .start, limit: 2)
        #expect(first.map(\.seq.rawValue) == [2, 1])
        let cursor = LaneCursor(rank: first[1].rank, seq: first[1].seq)
        #expect(try store.queued(in: lanes[0].key, after: cursor, limit: 2).map(\.seq.rawValue) == [4])
        try store.close()
    }

    @Test func `a paused list and a held host yield no lanes`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a"), download(2, "b", host: "z.net")])
        let lanes = try store.lanes(of: list, after: nil, limit: 10, now: t0)
        try store.group { () throws(LedgerError) in
            try store.hold(host: lanes[0].key.host, until: at(1000), reason: "429")
        }
        #expect(try store.lanes(of: list, after: nil, limit: 10, now: t0).map(\.host.rawValue) == ["z.net"])
        #expect(try store.nextHoldEnd(after: t0) == at(1000))
        let held = try store.lanes(of: list, after: nil, limit: 1, now: t0, includesHeld: true)
        #expect(held[0].heldUntil == at(1000))
        #expect(held[0].holdReason == "429")
        #expect(try store.lanes(of: list, after: nil, limit: 10, now: at(1000)).count == 2)
        try store.group { () throws(LedgerError) in try store.set(list: list, paused: true) }
        #expect(try store.lanes(of: list, after: nil, limit: 10, now: at(1000)).isEmpty)
        #expect(try store.list(list)?.isPaused == true)
        try store.close()
    }

    @Test func `a waiting job goes on when it is due, with the time it waited`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a"), download(2, "b")])
        let resume = ResumePoint(
            url: "https://example.org/a", bytes: 5, total: 10, etag: "\"x\"", lastModified: nil, device: .max,
            inode: 3, part: "p")
        try store.apply(.active(JobSeq(1), attempts: 1, startedAt: t0))
        try store.apply(
            .waiting(
                JobSeq(1), due: at(500), attempts: 1, fetchedBytes: 5, waited: 7,
                error: JobError(.stalled, "no byte"), resume: resume))
        #expect(try store.nextDue() == at(500))
        func release(_ now: WallTime) throws -> [LaneKey] {
            try store.group { () throws(LedgerError) in try store.releaseDue(now: now, limit: 10) }
        }
        #expect(try release(at(499)).isEmpty)
        #expect(try release(at(600)).count == 1)
        #expect(try store.nextDue() == nil)
        let job = try #require(try store.queuedJobs(list).first)
        #expect(job.resume == resume)
        #expect(job.attempts == 1)
        #expect(job.fetchedBytes == 5)
        #expect(job.waited == 7 + 600 * 1_000_000)
        #expect(job.startedAt == t0)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `changes of unknown and ended jobs are ignored and reported`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a")])
        try store.apply(.ended(JobSeq(1), done("a", bytes: 11)))
        let ignored = try store.apply(
            .ended(JobSeq(1), failed()), .active(JobSeq(1), attempts: 2, startedAt: t0),
            .active(JobSeq(77), attempts: 1, startedAt: t0))
        #expect(ignored == [JobSeq(1), JobSeq(1), JobSeq(77)])
        let row = try #require(try store.list(list))
        #expect(row.counts.done == 1)
        #expect(row.bytes == 11)
        #expect(try store.endedLists().map(\.id) == [list])
        try store.group { () throws(LedgerError) in try store.close(list, finalName: "a.txt", now: at(9)) }
        #expect(try store.endedLists().isEmpty)
        #expect(try store.list(list)?.state == .closed)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `what changed is told once`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([download(1, "a")])
        #expect(try store.takeChangedLists().map(\.id) == [list])
        #expect(try store.takeChangedHosts().map(\.counts.queued) == [1])
        #expect(try store.takeChangedLists().isEmpty)
        try store.apply(.active(JobSeq(1), attempts: 1, startedAt: t0))
        #expect(try store.takeChangedLists().map(\.counts.active) == [1])
        #expect(try store.takeChangedHosts().map(\.host.rawValue) == ["example.org"])
        #expect(try store.totals().active == 1)
        try store.close()
    }

    @Test func `pages of the queue and of results sort nothing and scan nothing`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let statements = [
            """
            SELECT j.seq FROM job j INDEXED BY job_queued WHERE j.list = 1 AND j.host = 1 \
            AND (j.rank, j.seq) > (1, 1) AND j.state = 0 AND j.gate IS NULL ORDER BY j.rank, j.seq LIMIT 5
            """,
            """
            SELECT j.seq FROM span s CROSS JOIN job j ON j.seq BETWEEN s.first AND s.last \
            LEFT JOIN outcome o ON o.seq = j.seq LEFT JOIN host h ON h.id = j.host \
            WHERE s.list = 1 AND s.last > 1 AND j.seq > 1 ORDER BY s.first, j.seq LIMIT 5
            """,
            """
            SELECT l.list FROM lane l INDEXED BY lane_ready CROSS JOIN host h ON h.id = l.host \
            WHERE l.list = 1 AND l.host > 1 AND l.n_queued > 0 ORDER BY l.host LIMIT 5
            """,
            "SELECT seq FROM job INDEXED BY job_due WHERE state = 2 AND due <= 5 ORDER BY due LIMIT 5",
            """
            SELECT j.seq FROM job j INDEXED BY job_held WHERE j.state IN (2, 4) AND j.list = 1 AND j.state \
            = 4 \
            AND j.seq > 1 ORDER BY j.seq LIMIT 5
            """,
            """
            SELECT j.seq FROM job j INDEXED BY job_live WHERE j.state BETWEEN 1 AND 4 AND j.state = 3 \
            AND j.seq > 1 ORDER BY j.seq LIMIT 5
            """,
        ]
        for statement in statements {
            let plan = try store.read { db in
                try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN " + statement).map {
                    $0["detail"] as String? ?? ""
                }
            }
            #expect(!plan.contains { $0.contains("SCAN") || $0.contains("TEMP B-TREE") }, "\(plan)")
        }
        try store.close()
    }
}
