// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

private let job = JobID(rawValue: 0xAB)
private let other = JobID(rawValue: 0xCD)

private func checkpoint(_ bytes: Int64) -> Checkpoint {
    Checkpoint(
        resume: ResumePoint(
            url: "u", bytes: bytes, total: 100, etag: "\"e\"", lastModified: nil, device: 1, inode: 2,
            part: "p"),
        fetchedBytes: bytes)
}

@Suite struct PartTests {
    @Test(
        arguments: [
            (nil, "00000000000000ab.part"),
            ("00000000000000ab.part", "00000000000000ab.1.part"),
            ("00000000000000ab.9.part", "00000000000000ab.10.part"),
            ("00000000000000cd.7.part", "00000000000000ab.part"),
            ("no name of a part", "00000000000000ab.part"),
            ("00000000000000ab.4294967295.part", "00000000000000ab.part"),
        ] as [(String?, String)])
    func `a part begun anew never has the name that a resume point holds`(old: String?, name: String) {
        let fresh = PartName(of: job, after: old).description
        #expect(fresh == name)
        #expect(fresh != old)
        #expect(PartName(fresh)?.job == job)
    }

    @Test func `a part begun anew never has the name of one that is being removed`() {
        var bad = PartName(of: job, after: nil)
        for _ in 0..<3 { bad = PartName(of: job, after: bad.description) }
        #expect(PartName(of: job, after: nil, from: bad.next).generation == 4)
        #expect(PartName(of: job, after: bad.description, from: 2).generation == 4)
        #expect(PartName(of: job, after: bad.description, from: 9).generation == 9)
        #expect(PartName("00000000000000ab.4294967295.part")?.next == 0)
    }

    @Test(arguments: [
        "", ".part", "ab.part", "00000000000000ab", "00000000000000ab.x.part", "00000000000000ab.0.part",
        "00000000000000ab.01.part", "00000000000000ab.-1.part", "00000000000000ab.1.2.part",
        "00000000000000ab.99999999999.part", ".00000000000000ab.part", "00000000000000ab.part~",
    ])
    func `what dld did not name is no part`(text: String) {
        #expect(PartName(text) == nil)
    }

    @Test func `one checkpoint is on its way, and of those reached meanwhile the last counts`() {
        var checkpoints = Checkpoints()
        #expect(checkpoints.reached(checkpoint(1), token: 7) == checkpoint(1))
        #expect(checkpoints.reached(checkpoint(2), token: 7) == nil)
        #expect(checkpoints.reached(checkpoint(3), token: 7) == nil)
        var answer = checkpoints.synced(token: 7)
        #expect(answer.stored == checkpoint(1) && answer.sync == checkpoint(3))
        answer = checkpoints.synced(token: 7)
        #expect(answer.stored == checkpoint(3) && answer.sync == nil)
        answer = checkpoints.synced(token: 7)
        #expect(answer.stored == nil && answer.sync == nil)
    }

    @Test func `a checkpoint of an earlier transfer has no effect`() {
        var checkpoints = Checkpoints()
        _ = checkpoints.reached(checkpoint(50), token: 7)
        #expect(checkpoints.reached(checkpoint(1), token: 8) == checkpoint(1))
        #expect(checkpoints.synced(token: 7).stored == nil)
        #expect(checkpoints.synced(token: 8).stored == checkpoint(1))
        _ = checkpoints.reached(checkpoint(2), token: 8)
        checkpoints.forget()
        #expect(checkpoints.synced(token: 8).stored == nil)
    }

    @Test func `only a lie is for the ledger, and only once`() {
        var memory = RangeMemory(liars: [HostKey("old")])
        #expect(!memory.asksRanges(of: HostKey("old")))
        #expect(memory.asksRanges(of: HostKey("h")))
        #expect(memory.note(.fair, of: HostKey("h")) == false)
        #expect(memory.asksRanges(of: HostKey("h")))
        #expect(memory.note(.ignores, of: HostKey("h")) == false)
        #expect(!memory.asksRanges(of: HostKey("h")))
        #expect(memory.note(.lies, of: HostKey("h")) == true)
        #expect(memory.note(.lies, of: HostKey("h")) == false)
        #expect(memory.forget(HostKey("h")) == true)
        #expect(memory.asksRanges(of: HostKey("h")))
        #expect(memory.forget(HostKey("h")) == false)
        for number in 0..<(RangeMemory.limit + 100) { _ = memory.note(.lies, of: HostKey("\(number)")) }
        #expect(!memory.asksRanges(of: HostKey("\(RangeMemory.limit + 99)")))
    }

    @Test(
        arguments: [
            (.truncated, true), (.stalled, true), (.connect, true), (.dns, true), (.http(500), true),
            (.http(404), true), (.hostUnavailable, true), (.jobDeadline, true), (.tls, true),
            (.tooLarge, false), (.badLength, false), (.digestMismatch, false), (.cancelled, false),
            (.headerTooLarge, false), (.disk, false), (.exists, false), (.privateAddress, false),
        ] as [(ErrorCode, Bool)])
    func `a part is kept where a later job may do better`(code: ErrorCode, isKept: Bool) {
        #expect(PartRetention.keeps(JobError(code, "x")) == isKept)
    }
}
