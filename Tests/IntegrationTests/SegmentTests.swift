// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// One large file over several connections, from the list to the output.
@Suite(.serialized) struct SegmentTests {
    /// What the ledger knows to be on the disk: the bytes in front, and those beyond.
    private func map(_ daemon: RunningDaemon) throws -> [(start: Int, end: Int)] {
        let sql = """
            SELECT coalesce(json_extract(resume, '$.bytes'), 0) || ' ' || \
            coalesce((SELECT group_concat(json_extract(value, '$[0]') || ' ' || json_extract(value, '$[1]'), ' ') \
            FROM json_each(resume, '$.ranges')), '') FROM job
            """
        let run = try ProgramRun.run(try ProgramRun.find("sqlite3"), ["-readonly", daemon.ledger, sql])
        let numbers = run.output.split(whereSeparator: { $0 == " " || $0 == "\n" }).compactMap { Int($0) }
        guard let first = numbers.first, first > 0 else { return [] }
        return [(0, first)]
            + stride(from: 1, to: numbers.count - 1, by: 2).map { (numbers[$0], numbers[$0 + 1]) }
    }

    @Test func `eight connections of a real server bring a file, each a range of its own`() throws {
        var setup = Nginx.Setup()
        setup.slowRate = "1m"
        let nginx = try Nginx(setup)
        // nginx gives each connection a second's worth at once. On a loaded machine that is what is measured first, and
        // half of this would seem to be there too soon for eight.
        let body = sample(4, 32 << 20)
        try FileTree.write(body, to: "\(nginx.root)/big")
        let daemon = try RunningDaemon.start(["hosts": ["default": ["connections": 8]]])
        let ended = try daemon.finish("big.txt", "\(nginx.url("slow/big"))\n split=8\n")
        #expect(ended.folder == "done")
        try daemon.expectFile("big", body)
        let log = try nginx.log()
        #expect(Set(log.map(\.connection)).count >= 8)
        let ranges = log.filter { !$0.range.isEmpty }
        #expect(ranges.count >= 7 && ranges.allSatisfy { $0.status == 206 && !$0.ifRange.isEmpty })
        let result = try #require(ended.results.first)
        #expect(result.attempts == 1 && (result.fetchedBytes ?? .max) < 38 << 20)
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `nobody asks: a slow connection gets company, and a digest has the last word`() throws {
        var setup = Nginx.Setup()
        setup.slowRate = "1m"
        let nginx = try Nginx(setup)
        let body = sample(5, 12 << 20)
        try FileTree.write(body, to: "\(nginx.root)/big")
        let daemon = try RunningDaemon.start(["digest": ["always": "sha-256"]])
        let ended = try daemon.finish("big.txt", "\(nginx.url("slow/big"))\n")
        #expect(ended.folder == "done")
        try daemon.expectFile("big", body)
        #expect(Set(try nginx.log().map(\.connection)).count > 1)
    }

    @Test func `on HTTP 2 each segment has a connection of its own`() throws {
        var setup = Nginx.Setup()
        setup.hasTLS = true
        setup.slowRate = "1m"
        let nginx = try Nginx(setup)
        let body = sample(6, 8 << 20)
        try FileTree.write(body, to: "\(nginx.root)/big")
        let daemon = try RunningDaemon.start(["network": ["ca_file": .text(try #require(nginx.caFile))]])
        #expect(
            try daemon.finish("big.txt", "\(nginx.url("slow/big", tls: true))\n split=4\n").folder == "done")
        try daemon.expectFile("big", body)
        // Its line is written once its connection is closed: libcurl leaves the stream that was cut as it is.
        try daemon.terminate()
        try eventually("the first request is logged", context: { daemon.account }) {
            try nginx.log().contains { $0.range.isEmpty && $0.protocol == "HTTP/2.0" }
        }
        let log = try nginx.log()
        let segments = log.filter { !$0.range.isEmpty }
        #expect(segments.count >= 3 && segments.allSatisfy { $0.protocol == "HTTP/1.1" })
        #expect(Set(segments.map(\.connection)).count >= 3)
    }

    @Test func `after a kill only what is missing is asked for, range by range`() throws {
        let body = sample(7, 8 << 20)
        let server = try ScriptedServer()
        server.route("/big") { request in
            var reply = ScriptedFile(body, etag: "\"v1\"").reply(to: request)
            reply.pace = (bytes: 64 * 1024, every: .milliseconds(50))
            return reply
        }
        let daemon = try RunningDaemon.start([
            "segments": ["checkpoint_bytes": "512KiB", "checkpoint_interval": "250ms"],
            "retry": ["base_delay": "50ms"],
        ])
        try daemon.drop("big.txt", "\(server.url("big"))\n split=4\n")
        try eventually("four ranges are on the disk", context: { daemon.account }) {
            let known = try map(daemon)
            return known.count == 4 && known.allSatisfy { $0.end - $0.start >= 256 * 1024 }
        }
        try daemon.kill()
        let known = try map(daemon)
        server.forgetRequests()
        try daemon.start()
        let ended = try daemon.waitFor("big.txt")
        #expect(ended.folder == "done")
        try daemon.expectFile("big", body)
        let asked = server.requests("/big").compactMap(\.range)
        #expect(asked.count == server.count("/big") && !asked.isEmpty)
        // Each gap from where it begins, and nothing that was there.
        for (index, range) in known.enumerated() {
            let next = index + 1 < known.count ? known[index + 1].start : body.count
            if next > range.end { #expect(asked.contains { $0.first == range.end }) }
        }
        for ask in asked {
            let last = ask.last ?? body.count - 1
            #expect(!known.contains { ask.first < $0.end && $0.start <= last })
        }
        let result = try #require(ended.results.first)
        #expect(result.resumedBytes == known.reduce(0) { $0 + $1.end - $1.start })
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `segments go to where a redirect led`() throws {
        let body = sample(8, 4 << 20)
        let server = try ScriptedServer()
        server.route("/from", ScriptedReply(302, headers: [("Location", "/to/big")]))
        server.route("/to/big") { request in
            var reply = ScriptedFile(body, etag: "\"v1\"").reply(to: request)
            reply.pace = (bytes: 64 * 1024, every: .milliseconds(20))
            return reply
        }
        let daemon = try RunningDaemon.start()
        #expect(try daemon.finish("r.txt", "\(server.url("from"))\n split=2\n").folder == "done")
        try daemon.expectFile("from", body)
        #expect(server.count("/from") == 1 && server.count("/to/big") >= 2)
    }
}
