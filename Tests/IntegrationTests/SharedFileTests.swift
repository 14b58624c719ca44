// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// One large file from several mirrors at once, from the list to the output.
@Suite(.serialized) struct SharedFileTests {
    private func sha256(_ bytes: [UInt8]) throws -> String {
        let file = try TempDirectory()
        let path = try file.file("f", bytes)
        return String(try ProgramRun.run("/usr/bin/sha256sum", [path]).output.prefix(64))
    }
    private func serving(
        _ address: String, _ body: [UInt8], etag: String, every pace: Duration = .milliseconds(20)
    ) throws -> ScriptedServer {
        let server = try ScriptedServer(address: address)
        server.route("/big") { request in
            var reply = ScriptedFile(body, etag: etag).reply(to: request)
            reply.pace = (bytes: 64 * 1024, every: pace)
            return reply
        }
        return server
    }
    private func nginx(_ rate: String, _ address: String, _ body: [UInt8]) throws -> Nginx {
        var setup = Nginx.Setup()
        setup.slowRate = rate
        setup.addresses = [address]
        let nginx = try Nginx(setup)
        try nginx.add("big", body)
        return nginx
    }
    private func sent(_ nginx: Nginx) throws -> Int { try nginx.log().reduce(0) { $0 + $1.bytes } }

    @Test func `two real servers bring one file, and the faster brings more`() throws {
        let body = sample(40, 16 << 20)
        let slow = try nginx("1m", "127.0.0.1", body)
        let fast = try nginx("3m", "127.0.0.2", body)
        let daemon = try RunningDaemon.start()
        let line = "\(slow.url("slow/big"))\t\(fast.url("slow/big"))\n"
        let ended = try daemon.finish(
            "m.txt",
            line + " split=2\n max-connection-per-server=1\n checksum=sha-256=\(try sha256(body))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("big", body)
        let shares = try (sent(slow), sent(fast))
        #expect(shares.0 > 1 << 20 && shares.1 > shares.0, "\(shares)")
        #expect(try slow.log().allSatisfy { $0.status != 429 } && ended.results.first?.attempts == 1)
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `nobody asks: a mirror helps a slow server all the same`() throws {
        let body = sample(41, 12 << 20)
        let one = try serving("127.0.0.1", body, etag: "\"same\"", every: .milliseconds(60))
        let two = try serving("127.0.0.2", body, etag: "\"same\"", every: .milliseconds(60))
        let daemon = try RunningDaemon.start(["hosts": ["default": ["connections": 1]]])
        let ended = try daemon.finish("m.txt", "\(one.url("big"))\t\(two.url("big"))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("big", body)
        #expect(one.sentBodyBytes > 2 << 20 && two.sentBodyBytes > 2 << 20)
        // Each host's cap.
        #expect(one.count("/big") >= 1 && two.requests("/big").allSatisfy { $0.range != nil })
    }

    @Test func `a mirror with another file of the same length spoils it: the first brings all of it`() throws
    {
        let body = sample(42, 8 << 20)
        let first = try serving("127.0.0.1", body, etag: "\"a\"")
        let second = try serving("127.0.0.2", sample(43, 8 << 20), etag: "\"b\"")
        let daemon = try RunningDaemon.start(["retry": ["base_delay": "10m", "max_delay": "1h"]])
        let line = "\(first.url("big"))\t\(second.url("big"))\n split=2\n"
        let ended = try daemon.finish("m.txt", line + " checksum=sha-256=\(try sha256(body))\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("big", body)
        let plain = first.requests("/big").filter { $0.range == nil }
        #expect(plain.count == 2 && second.count("/big") >= 1)
        // The second time nothing is asked of the other.
        let again = try #require(plain.last).arrived
        #expect(second.requests("/big").allSatisfy { $0.arrived < again })
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `a mirror with another length has no share, and one without the file neither`() throws {
        let body = sample(44, 8 << 20)
        let first = try serving("127.0.0.1", body, etag: "\"a\"")
        let long = try serving("127.0.0.2", sample(45, 9 << 20), etag: "\"a\"")
        let missing = try ScriptedServer(address: "127.0.0.3")
        let daemon = try RunningDaemon.start(["retry": ["base_delay": "10m", "max_delay": "1h"]])
        let urls = [first, long, missing].map { $0.url("big") }.joined(separator: "\t")
        let ended = try daemon.finish("m.txt", "\(urls)\n split=6\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("big", body)
        #expect(ended.results.first?.attempts == 1)
        #expect(missing.count("/big") == 1 && (1...2).contains(long.count("/big")))
    }

    @Test func `after a kill what two have brought is kept, and the file ends whole`() throws {
        let body = sample(46, 8 << 20)
        let first = try serving("127.0.0.1", body, etag: "\"a\"", every: .milliseconds(50))
        let second = try serving("127.0.0.2", body, etag: "\"b\"", every: .milliseconds(50))
        let daemon = try RunningDaemon.start([
            "segments": ["checkpoint_bytes": "512KiB", "checkpoint_interval": "250ms"],
            "retry": ["base_delay": "50ms"],
        ])
        let line = "\(first.url("big"))\t\(second.url("big"))\n split=4\n"
        try daemon.drop("m.txt", line + " checksum=sha-256=\(try sha256(body))\n")
        let shared = "SELECT coalesce(json_extract(resume, '$.isShared'), 0) FROM job"
        try eventually("a checkpoint of both is on the disk", context: { daemon.account }) {
            let run = try ProgramRun.run(
                try ProgramRun.find("sqlite3"), ["-readonly", daemon.ledger, shared])
            return run.output.hasPrefix("1")
        }
        try daemon.kill()
        for server in [first, second] { server.forgetRequests() }
        try daemon.start()
        let ended = try daemon.waitFor("m.txt")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("big", body)
        #expect(first.requests("/big").allSatisfy { $0.range != nil })
        #expect((ended.results.first?.resumedBytes ?? 0) > 0)
        #expect(daemon.partFiles.isEmpty)
        try daemon.terminate()
        #expect(try daemon.dld("fsck", "--strict").status == 0)
    }
}
