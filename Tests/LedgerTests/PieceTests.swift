// SPDX-License-Identifier: Apache-2.0

import JobModel
import TestKit
import Testing

@testable import Ledger

@Suite struct PieceTests {
    private func hashes(_ seed: Int, count: Int = 3) throws -> PieceHashes {
        let bytes = (0..<(20 * count)).map { UInt8(truncatingIfNeeded: $0 &+ seed) }
        return try #require(PieceHashes(algorithm: .sha1, length: 262_144, bytes: bytes))
    }
    private func entry(_ seq: Int64, _ pieces: PieceHashes?) -> AdmittedEntry {
        var options = JobOptions()
        options.pieces = pieces?.layout
        let url = DownloadURL(text: "http://a/\(seq)", scheme: "http", host: HostKey("a"))
        var entry = AdmittedEntry(
            seq: JobSeq(seq), line: Int(seq),
            kind: .download(urls: [url], path: OutputPath(trusted: "f\(seq)")), options: SharedOptions(options))
        entry.pieces = pieces
        return entry
    }

    @Test func `digests of pieces lie beside their job until it is done, and come along for a retry`() throws
    {
        let scratch = try Scratch()
        let store = try scratch.open()
        let list = try store.running([entry(1, try hashes(1)), entry(2, nil), entry(3, try hashes(3))])
        let job = try #require(try store.queuedJobs(list).first)
        #expect(job.options.pieces == PieceLayout(algorithm: .sha1, length: 262_144, count: 3))
        #expect(try store.pieces(of: JobSeq(1)) == hashes(1))
        #expect(try store.pieces(of: JobSeq(2)) == nil)
        try store.apply(
            .ended(JobSeq(1), done("f1")), .ended(JobSeq(2), failed()), .ended(JobSeq(3), failed()))
        let page = try store.results(of: list, after: nil, limit: 500)
        #expect(page.records.map(\.pieces) == [nil, nil, try hashes(3)] && page.next == nil)
        try store.group { () throws(LedgerError) in try store.dropPieces(of: JobSeq(1)) }
        #expect(try store.pieces(of: JobSeq(1)) == nil)
        #expect(try store.pieces(of: JobSeq(3)) == hashes(3))
        try store.close()
    }

    @Test func `a page of results ends where its digests would be too many at a time`() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        let many = PieceHashes.limit / 20
        let list = try store.running(try (1...12).map { entry($0, try hashes(Int($0), count: many)) })
        for seq in 1...12 { try store.apply(.ended(JobSeq(Int64(seq)), failed())) }
        var lines: [Int] = []
        var pages = 0
        var after: JobSeq?
        repeat {
            let page = try store.results(of: list, after: after, limit: 500)
            lines += page.records.map(\.line)
            #expect(page.records.allSatisfy { $0.pieces != nil })
            after = page.next
            pages += 1
        } while after != nil
        #expect(lines == Array(1...12) && pages == 3)
        try store.close()
    }
}
