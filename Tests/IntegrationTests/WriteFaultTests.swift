// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import TestKit
import Testing

/// Writes that take a part, and disks that break again and again: rows L4 and L5.
@Suite(.serialized) struct WriteFaultTests {
    private static func skipped(_ name: String) -> Bool {
        skip(name, unless: Injection.isPossible, "strace needs root")
    }

    @Test func `L5 a write that takes only a part is gone on with, and no byte is lost`() throws {
        if Self.skipped("L5 short write") { return }
        let server = try ScriptedServer()
        let body = bulk(51, 3 << 20)
        server.route("/f") { request in
            var reply = ScriptedFile(body, etag: "\"e\"").reply(to: request)
            // No length: the daemon cannot ask for the room ahead.
            if request.range == nil { reply.length = .chunked(65_536) }
            return reply
        }
        // Room that is no multiple of anything that is written at once: the last write before ENOSPC is short.
        let mounted = try MountedDaemon(
            ["limits": ["min_free": 0]],
            mounts: "mount -t tmpfs -o size=2100k,mode=755 tmpfs $T/output")
        try mounted.start()
        let daemon = mounted.daemon
        let trace = try Injection([], tracing: ["pwrite64"], into: daemon, threads: "dld-xfer")
        try daemon.drop("l.txt", "\(server.url("f"))\n checksum=sha-256=\(try sha256(body))\n")
        try eventually(within: .seconds(20), "paused", context: { daemon.account }) {
            try daemon.status().verdict.hasPrefix("paused: ")
        }
        try mounted.shell("mount -o remount,size=64m $T/output")
        let ended = try daemon.waitFor("l.txt")
        try trace.stop()
        let short = try trace.calls().filter { $0.returned > 0 && $0.returned < $0.asked }
        #expect(!short.isEmpty, "no write was short")
        #expect(ended.folder == "done" && ended.results.map(\.attempts) == [1])
        let found = try FileTree.read(try mounted.inside("output/f"))
        #expect(found == body)
    }

    @Test func `L5 bytes that a write said to take and lost are found by the checksum of the list`() throws {
        if Self.skipped("L5 lost bytes") { return }
        let server = try ScriptedServer()
        let body = bulk(1, 300_000)
        server.route("/f", ScriptedFile(body, etag: "\"e\""))
        let daemon = try RunningDaemon.start(quickRetries)
        // strace writes nothing and says 3: the rest lands where it belongs, three bytes are a hole.
        let injection = try Injection(["pwrite64:retval=3:when=1"], into: daemon, threads: "dld-xfer")
        try daemon.drop("lost.txt", "\(server.url("f"))\n checksum=sha-256=\(try sha256(body))\n")
        let ended = try daemon.waitFor("lost.txt")
        try injection.stop()
        // Found, thrown away and fetched once more from zero, from a disk that keeps what it takes.
        #expect(ended.folder == "done" && ended.results.map(\.attempts) == [2])
        #expect(ended.results[0].resumedBytes == 0 && server.count("/f") == 2)
        try daemon.expectFile("f", body)
    }

    @Test func `L4 EIO at every fsync pauses the disk after three files, and all are done once it is well`()
        throws
    {
        if Self.skipped("L4 again and again") { return }
        let server = try ScriptedServer()
        let bodies = (0..<6).map { bulk(60 + $0, 200_000 + $0) }
        for (number, body) in bodies.enumerated() {
            server.route("/f\(number)", ScriptedFile(body, etag: "\"e\(number)\""))
        }
        // One at a time, so that the count is exact.
        let daemon = try RunningDaemon.start(["workers": 1, "transfers_per_worker": 1])
        let injection = try Injection(
            ["fsync:error=EIO", "syncfs:error=EIO", "fdatasync:error=EIO"], into: daemon,
            threads: "dld-publish")
        try daemon.drop("l.txt", bodies.indices.map { server.url("f\($0)") }.joined(separator: "\n") + "\n")
        try eventually(within: .seconds(20), "paused", context: { daemon.account }) {
            let status = try daemon.status()
            return status.verdict.hasPrefix("paused: ") && status.verdict.contains("Input/output error")
        }
        let metrics = try UnixHTTP.get(daemon.socket, "/metrics").body
        #expect(metrics.contains("dld_disk_paused{role=\"output\""))
        #expect(daemon.published.isEmpty)
        // Each broken part was thrown away: nothing of it is asked to go on from.
        #expect(server.requests.allSatisfy { $0.range == nil })
        // Each file once at most, and once more the two that were refused before the third paused the disk.
        #expect((3...8).contains(server.requests.count), "\(server.requests.count) requests")
        try injection.stop()
        let ended = try daemon.waitFor("l.txt", within: .seconds(90))
        #expect(ended.folder == "done" && ended.results.allSatisfy { $0.attempts == 1 })
        for (number, body) in bodies.enumerated() { try daemon.expectFile("f\(number)", body) }
        #expect(daemon.partFiles.isEmpty)
    }
}
