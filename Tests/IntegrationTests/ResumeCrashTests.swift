// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// A crash costs a running file at most what came since its last checkpoint.
///
/// Two kills a test: at the third a job that was active in all of them is quarantined.
@Suite(.serialized) struct ResumeCrashTests {
    private static let step = 256 * 1024
    private static let config: ConfigValue = [
        "segments": ["checkpoint_bytes": "256KiB", "checkpoint_interval": "250ms"],
        "retry": ["base_delay": "50ms"],
    ]

    /// Bytes of the file that the ledger knows to be on the disk.
    private func checkpoint(_ daemon: RunningDaemon) throws -> Int {
        let sql = "SELECT coalesce(max(json_extract(resume, '$.bytes')), 0) FROM job"
        let run = try ProgramRun.run(try ProgramRun.find("sqlite3"), ["-readonly", daemon.ledger, sql])
        return Int(run.output.split(separator: "\n").first ?? "0") ?? 0
    }

    @Test func `after each kill only what came since the checkpoint is sent again`() throws {
        let body = sample(3, 4_000_000)
        let server = try ScriptedServer()
        server.route("/big") { request in
            var reply = ScriptedFile(body, etag: "\"v1\"").reply(to: request)
            reply.pace = (bytes: 64 * 1024, every: .milliseconds(25))
            return reply
        }
        let daemon = try RunningDaemon.start(Self.config)
        try daemon.drop("big.txt", "\(server.url("big"))\n")
        var known: [Int] = []
        for round in 1...2 {
            try eventually("checkpoint \(round)", context: { daemon.account }) {
                try checkpoint(daemon) >= (known.last ?? 0) + 2 * Self.step
            }
            try daemon.kill()
            known.append(try checkpoint(daemon))
            try daemon.start()
        }
        let ended = try daemon.waitFor("big.txt")
        #expect(ended.folder == "done")
        try daemon.expectFile("big", body)
        let asked = server.requests("/big").map { $0.range?.first ?? 0 }
        #expect(asked == [0] + known)
        let result = try #require(ended.results.first)
        #expect(result.resumedBytes == known.last)
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `a server with two versions is never believed to have one, over kills`() throws {
        let old = sample(1, 3_000_000)
        let new = sample(2, 3_000_000)
        let server = try ScriptedServer()
        // Two backends take turns: each request meets the other version.
        server.route("/v") { request in
            let isOld = request.number % 2 == 1
            var reply = ScriptedFile(isOld ? old : new, etag: isOld ? "\"v1\"" : "\"v2\"").reply(to: request)
            if request.number < 3 { reply.pace = (bytes: 64 * 1024, every: .milliseconds(25)) }
            return reply
        }
        let daemon = try RunningDaemon.start(Self.config)
        try daemon.drop("v.txt", "\(server.url("v"))\n")
        for round in 1...2 {
            try eventually("request \(round)", context: { daemon.account }) {
                // Odd rounds are killed after a checkpoint, even ones right in the first bytes.
                try server.count("/v") >= round && (round % 2 == 0 || checkpoint(daemon) >= Self.step)
            }
            try daemon.kill()
            try daemon.start()
        }
        #expect(try daemon.waitFor("v.txt").folder == "done")
        let file = try FileTree.read("\(daemon.output)/v")
        #expect(file == old || file == new)
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `a failed job's part serves the list that tries again`() throws {
        let body = sample(5, 900_000)
        let server = try ScriptedServer()
        server.route("/part") { request in
            var reply = ScriptedFile(body, etag: "\"v1\"").reply(to: request)
            if request.range == nil { reply.ending = .reset(after: 600_000) }
            return reply
        }
        let daemon = try RunningDaemon.start(["retry": ["max_attempts": 1]])
        let failed = try daemon.finish("part.txt", "\(server.url("part"))\n")
        #expect(failed.folder == "failed")
        #expect(daemon.partFiles.count == 1)
        // Killed before the list is closed in the ledger, a restart would write the retry list again.
        #expect(try daemon.dlctl("wait", "part.txt").status == 1)
        // It stays over a restart.
        try daemon.restart(killing: true)
        #expect(daemon.partFiles.count == 1)
        try FileTree.rename("\(daemon.spool)/failed/part.failed.jsonl", "\(daemon.spool)/part.failed.jsonl")
        let ended = try daemon.waitFor("part.failed.jsonl")
        #expect(ended.folder == "done")
        try daemon.expectFile("part", body)
        let result = try #require(ended.results.first)
        let range = try #require(server.requests("/part").last?.range?.first)
        #expect(range > 0)
        #expect(result.resumedBytes == range)
        #expect(result.fetchedBytes == body.count - range)
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `kept parts go when their time is over`() throws {
        let server = try ScriptedServer()
        var reply = ScriptedFile(sample(5, 900_000), etag: "\"v1\"").reply(to: ScriptedRequest.plain)
        reply.ending = .reset(after: 600_000)
        server.route("/part", reply)
        let daemon = try RunningDaemon.start(["retry": ["max_attempts": 1]])
        #expect(try daemon.finish("part.txt", "\(server.url("part"))\n").folder == "failed")
        #expect(daemon.partFiles.count == 1)
        try daemon.configure(["retention": ["parts": "1ms"]])
        try daemon.restart()
        try eventually("the part is gone", context: { daemon.account }) { daemon.partFiles.isEmpty }
    }

    @Test func `a host that lies about ranges is not asked for one again, also after a restart`() throws {
        let body = sample(6, 500_000)
        let server = try ScriptedServer()
        server.routeAll { request in
            var reply = ScriptedFile(body, etag: "\"v1\"").reply(to: request)
            if request.range != nil {
                reply.headers = [("ETag", "\"v1\""), ("Content-Range", "bytes 0-9/500000")]
                reply.body = Array(body[..<10])
            } else if server.count(request.path) == 1 {
                reply.ending = .reset(after: 300_000)
            }
            return reply
        }
        let daemon = try RunningDaemon.start(Self.config)
        let first = try daemon.finish("one.txt", "\(server.url("one"))\n")
        #expect(first.folder == "done")
        #expect(first.results.first?.attempts == 2)
        try daemon.expectFile("one", body)
        try daemon.restart(killing: true)
        #expect(try daemon.finish("two.txt", "\(server.url("two"))\n").folder == "done")
        try daemon.expectFile("two", body)
        #expect(server.requests("/one").map { $0.range != nil } == [false, true, false])
        #expect(server.requests("/two").map { $0.range != nil } == [false, false])
    }
}
