// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Ledger

@Suite struct GivingUpTests {
    private let error = JobError(.hostUnavailable, "dead.example gave nothing usable for 1d")

    private func giveUp(_ store: LedgerStore, _ host: HostID, limit: Int) throws -> [Slice] {
        var slices: [Slice] = []
        repeat {
            slices.append(
                try store.group { () throws(LedgerError) in
                    try store.giveUpSlice(host: host, error: error, limit: limit, now: at(10))
                })
        } while slices.last?.isComplete == false
        return slices
    }

    @Test func `a host's jobs fail in slices, over all lists, and no others`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let first = try store.running(
            (1...30).map {
                download(Int64($0), "f\($0)", host: $0 % 3 == 0 ? "good.example" : "dead.example")
            })
        let second = try store.running(
            (31...40).map { download(Int64($0), "f\($0)", host: "dead.example") }, named: "second.txt")
        try store.apply(
            .active(JobSeq(1), attempts: 1, startedAt: t0),
            .waiting(
                JobSeq(2), due: at(9), attempts: 3, fetchedBytes: 0, waited: 0,
                error: JobError(.connect, "refused"), resume: nil))
        let host = try #require(try store.host(HostKey("dead.example"))?.id)
        let slices = try giveUp(store, host, limit: 12)
        #expect(slices.map(\.changed).reduce(0, +) == 29)
        #expect(slices.dropLast().allSatisfy { $0.changed == 12 })
        let counts = try #require(try store.list(first)?.counts)
        #expect(counts.failed == 19 && counts.queued == 10 && counts.active == 1)
        #expect(try store.list(second)?.counts.failed == 10)
        #expect(try store.host(HostKey("good.example"))?.counts.queued == 10)
        let records = try store.results(of: first, after: nil, limit: 100).records
        let waited = try #require(records.first { $0.line == 2 })
        #expect(waited.outcome?.error == error && waited.outcome?.attempts == 3)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `a paused list waits for nobody, and its jobs stay`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running((1...5).map { download(Int64($0), "f\($0)", host: "dead.example") })
        try store.group { () throws(LedgerError) in try store.set(list: list, paused: true) }
        let host = try #require(try store.host(HostKey("dead.example"))?.id)
        #expect(try giveUp(store, host, limit: 10).map(\.changed) == [0])
        #expect(try store.list(list)?.counts.queued == 5)
        try store.close()
    }

    @Test func `a released host's waiting jobs are queued at once`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running((1...4).map { download(Int64($0), "f\($0)", host: "h.example") })
        for seq in 1...2 as ClosedRange<Int64> {
            try store.apply(
                .active(JobSeq(seq), attempts: 1, startedAt: t0),
                .waiting(
                    JobSeq(seq), due: at(9999), attempts: 1, fetchedBytes: 0, waited: 0,
                    error: JobError(.http(503), "busy"), resume: nil))
        }
        let host = try #require(try store.host(HostKey("h.example"))?.id)
        let lanes = try store.group { () throws(LedgerError) in
            try store.requeueWaiting(host: host, limit: 100, now: at(5))
        }
        #expect(lanes == [LaneKey(list: list, host: host)])
        #expect(try store.list(list)?.counts.queued == 4)
        #expect(try store.audit().isEmpty)
        try store.close()
    }

    @Test func `how long a host was barren is told with its lanes, also after a restart`() throws {
        let scratch = try Scratch()
        var store = try scratch.open()
        let list = try store.running([download(1, "f1", host: "h.example")])
        let host = try #require(try store.host(HostKey("h.example"))?.id)
        try store.group { () throws(LedgerError) in try store.note(barren: .seconds(90), host: host) }
        try store.close()
        store = try scratch.open()
        let lanes = try store.lanes(of: list, after: nil, limit: 10, now: at(1))
        #expect(lanes.map(\.barren) == [.seconds(90)])
        try store.close()
    }

    @Test func `the hold of a host that no list names outlives a restart, until it is lifted`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let key = HostKey("mirror.example")
        func hold(_ until: WallTime?) throws {
            try store.group { () throws(LedgerError) in
                try store.hold(host: key, until: until, reason: "http_429")
            }
        }
        try hold(nil)
        #expect(try store.host(key) == nil)
        try hold(at(5000))
        let held = HeldHost(host: key, until: at(5000), reason: "http_429", barren: .zero)
        #expect(try store.heldHosts(now: t0, limit: 10) == [held])
        #expect(try store.heldHosts(now: at(6000), limit: 10).isEmpty)
        try hold(nil)
        #expect(try store.heldHosts(now: t0, limit: 10).isEmpty)
        try store.close()
    }
}
