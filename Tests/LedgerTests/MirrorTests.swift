// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Ledger

/// Jobs with several URLs lie in the lane of the host that they try next.
@Suite struct MirrorTests {
    private let hosts = ["a.example", "b.example"]

    private func mirrored(_ seq: Int64, _ hosts: [String]) -> AdmittedEntry {
        AdmittedEntry(
            seq: JobSeq(seq), line: Int(seq),
            kind: .download(
                urls: hosts.map { url("https://\($0)/f\(seq)", host: $0) },
                path: OutputPath(trusted: "f\(seq)")), options: .none)
    }
    private func host(_ store: LedgerStore, _ name: String) throws -> HostRow {
        try #require(try store.host(HostKey(name)))
    }
    private func dropped(_ mirror: Int, next: Int) -> MirrorRecord {
        var record = MirrorRecord()
        record.failures = [.init(mirror: mirror, code: "http_404", message: "404", isFinal: true)]
        record.next = next
        return record
    }

    @Test func `a job follows the host that it tries next, with all its counts, over a restart`() throws {
        let scratch = try Scratch()
        var store = try scratch.open()
        let list = try store.running([mirrored(1, hosts), download(2, "x", host: "a.example")])
        let before = try #require(try store.queuedJobs(list).first)
        #expect(before.mirrors == MirrorRecord() && before.laneHost == HostKey("a.example"))
        let record = dropped(0, next: 1)
        try store.apply(
            .active(JobSeq(1), attempts: 1, startedAt: t0),
            .mirrored(JobSeq(1), host: HostKey("b.example"), record: record),
            .requeued(JobSeq(1), attempts: 1, fetchedBytes: 0, waited: 0, resume: nil))
        let lane = LaneKey(list: list, host: try host(store, "b.example").id)
        #expect(store.takeJoinedLanes() == [lane] && store.takeJoinedLanes().isEmpty)
        try store.close()
        store = try scratch.open()
        let jobs = try store.queued(in: lane, after: .start, limit: 10)
        let job = try #require(jobs.first)
        #expect(jobs.count == 1 && job.seq == JobSeq(1) && job.mirrors == record)
        #expect(job.laneHost == HostKey("b.example"))
        guard case .download(let urls, _) = job.work else { return }
        #expect(urls.map(\.host.rawValue) == hosts)
        #expect(try host(store, "a.example").counts.queued == 1)
        #expect(try host(store, "b.example").counts.queued == 1)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `a host that is given up passes on what has another, and fails it where both are`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running(
            [download(1, "x", host: "a.example")] + (2...4).map { mirrored($0, hosts) })
        try store.apply(
            .active(JobSeq(2), attempts: 1, startedAt: t0),
            .waiting(
                JobSeq(2), due: at(9999), attempts: 1, fetchedBytes: 0, waited: 0,
                error: JobError(.connect, "refused"), resume: nil))
        func giveUp(_ name: String) throws -> Slice {
            let id = try host(store, name).id
            return try store.group { () throws(LedgerError) in
                try store.giveUpSlice(
                    host: id, error: JobError(.hostUnavailable, "\(name) gave nothing"), limit: 100,
                    now: at(10))
            }
        }
        let first = try giveUp("a.example")
        #expect(first.changed == 4 && first.passedOn == 3 && first.isComplete)
        #expect(try store.list(list)?.counts.failed == 1)
        #expect(try host(store, "b.example").counts.queued == 3)
        let second = try giveUp("b.example")
        #expect(second.changed == 3 && second.passedOn == 0)
        let records = try store.results(of: list, after: nil, limit: 10).records
        let message = try #require(records.first { $0.line == 2 }?.outcome?.error?.message)
        #expect(message.contains("a.example: a.example gave nothing; b.example: b.example gave nothing"))
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `a job that is begun anew forgets what its mirrors had shown`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([mirrored(1, hosts), download(2, "x")])
        var outcome = Outcome(state: .failed, endedAt: at(1))
        outcome.error = JobError(.http(404), "404")
        try store.apply(
            .active(JobSeq(1), attempts: 1, startedAt: t0),
            .mirrored(JobSeq(1), host: HostKey("b.example"), record: dropped(0, next: 1)),
            .ended(JobSeq(1), outcome))
        _ = try store.group { () throws(LedgerError) in try store.retry(JobSeq(1), now: at(2)) }
        let job = try #require(try store.queuedJobs(list).first { $0.seq == JobSeq(1) })
        #expect(job.mirrors?.failures.isEmpty == true && job.mirrors?.next == 1)
        #expect(try store.audit().isEmpty)
        try store.close()
    }
}
