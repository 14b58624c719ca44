// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import JobModel
import TestKit
import Testing

/// Disks that fill, fail, go away and come back: rows L1 to L8 and L20.
@Suite(.serialized) struct DiskFaultTests {
    private static func skipped(_ name: String, needsTrace: Bool = false) -> Bool {
        skip(name, unless: MountedDaemon.isPossible, "mounts need root")
            || needsTrace && skip(name, unless: Injection.isPossible, "strace is not installed")
    }
    private func waitForPause(_ daemon: RunningDaemon, _ words: String) throws {
        try eventually(within: .seconds(20), "paused: \(words)", context: { daemon.account }) {
            let status = try daemon.status()
            return status.verdict.hasPrefix("paused: ") && status.verdict.contains(words)
        }
    }
    private func expect(_ mounted: MountedDaemon, _ path: String, _ bytes: [UInt8]) throws {
        let found = try FileTree.read(try mounted.inside("output/" + path))
        #expect(found == bytes, "\(path): \(found.count) of \(bytes.count) bytes")
    }

    @Test func `L1 what would fill the disk waits, smaller files go on, and it ends by itself`() throws {
        if Self.skipped("L1 reserve") { return }
        let server = try ScriptedServer()
        let (big, small) = (bulk(1, 6 << 20), bulk(2, 500_000))
        server.route("/big", ScriptedFile(big, etag: "\"b\""))
        server.route("/small", ScriptedFile(small))
        let mounted = try MountedDaemon(
            ["limits": ["min_free": "1MiB"]],
            mounts: """
                mount -t tmpfs -o size=16m,mode=755 tmpfs $T/output
                mkdir $T/output/.other; head -c 11M /dev/zero > $T/output/.other/ballast
                """)
        try mounted.start()
        let daemon = mounted.daemon
        try daemon.drop("l.txt", "\(server.url("big"))\n\(server.url("small"))\n")
        try eventually("the small one is there", context: { daemon.account }) {
            FileTree.exists(try mounted.inside("output/small"))
        }
        try eventually("the big one waits, and why is told", context: { daemon.account }) {
            let status = try daemon.status()
            return status.waiting.contains { $0.reason == .disk && $0.detail?.contains("do not fit") == true }
                && status.transfersTotal == 0
        }
        #expect(try daemon.status().errors.isEmpty)
        #expect(server.sentBodyBytes < 6 << 20)
        try mounted.shell("rm $T/output/.other/ballast")
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.map(\.attempts) == [1, 1])
        try expect(mounted, "big", big)
        try expect(mounted, "small", small)
    }

    @Test func `L1 transfers that run into a full disk at once are neither lost nor charged`() throws {
        if Self.skipped("L1 at once") { return }
        let server = try ScriptedServer()
        let bodies = (0..<8).map { bulk($0, 2 << 20) }
        for (number, body) in bodies.enumerated() {
            server.route("/f\(number)") { request in
                var reply = ScriptedFile(body, etag: "\"e\(number)\"").reply(to: request)
                // No length: nothing can be asked for ahead.
                reply.length = .chunked(65_536)
                return reply
            }
        }
        let mounted = try MountedDaemon(
            ["limits": ["min_free": 0], "hosts": ["default": ["connections": 8]]],
            mounts: "mount -t tmpfs -o size=6m,mode=755 tmpfs $T/output")
        try mounted.start()
        let daemon = mounted.daemon
        try daemon.drop("l.txt", (0..<8).map { server.url("f\($0)") }.joined(separator: "\n") + "\n")
        try waitForPause(daemon, "No space left on device")
        let metrics = try UnixHTTP.get(daemon.socket, "/metrics").body
        #expect(metrics.contains("dld_disk_paused{role=\"output\""))
        #expect(try UnixHTTP.get(daemon.socket, "/healthz").status == 503)
        try mounted.shell("mount -o remount,size=64m $T/output")
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.map(\.attempts) == Array(repeating: 1, count: 8))
        for (number, body) in bodies.enumerated() { try expect(mounted, "f\(number)", body) }
    }

    @Test func `L3 a quota pauses and charges nothing`() throws {
        if Self.skipped("L3", needsTrace: true) { return }
        let server = try ScriptedServer()
        let body = bulk(3, 300_000)
        server.route("/f", ScriptedFile(body, etag: "\"e\""))
        let daemon = try RunningDaemon.start()
        let injection = try Injection(["pwrite64:error=EDQUOT"], into: daemon, threads: "dld-xfer")
        try daemon.drop("l.txt", "\(server.url("f"))\n")
        try waitForPause(daemon, "quota")
        try injection.stop()
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done" && ended.results.map(\.attempts) == [1])
        try daemon.expectFile("f", body)
    }

    @Test func `L2 no room in fsync or rename is never done, and tried again`() throws {
        if Self.skipped("L2", needsTrace: true) { return }
        let server = try ScriptedServer()
        let body = bulk(4, 300_000)
        for name in ["sync", "name"] { server.route("/\(name)", ScriptedFile(body, etag: "\"e\"")) }
        let daemon = try RunningDaemon.start()
        for (name, call) in [("sync", "fsync"), ("name", "renameat2")] {
            let injection = try Injection(["\(call):error=ENOSPC"], into: daemon, threads: "dld-publish")
            try daemon.drop("\(name).txt", "\(server.url(name))\n")
            try eventually("it is refused", context: { daemon.account }) {
                try daemon.process().transcript.contains("No space left on device")
            }
            #expect(!daemon.published.contains(name))
            try injection.stop()
            let ended = try daemon.waitFor("\(name).txt", within: .seconds(90))
            #expect(ended.folder == "done" && ended.results.map(\.attempts) == [1])
            try daemon.expectFile(name, body)
        }
    }

    @Test func `L4 after EIO in fsync the part goes and is fetched again from zero`() throws {
        if Self.skipped("L4", needsTrace: true) { return }
        let server = try ScriptedServer()
        let body = bulk(5, 300_000)
        server.route("/f", ScriptedFile(body, etag: "\"e\""))
        let daemon = try RunningDaemon.start()
        // The first fsync of each thread fails; a second one of the same file would be believed by the naive.
        let injection = try Injection(["fsync:error=EIO:when=1"], into: daemon, threads: "dld-publish")
        try daemon.drop("l.txt", "\(server.url("f"))\n")
        let ended = try daemon.waitFor("l.txt")
        try injection.stop()
        #expect(ended.folder == "done" && ended.results.map(\.attempts) == [1])
        try daemon.expectFile("f", body)
        #expect(server.count("/f") == 2)
        #expect(server.requests("/f").allSatisfy { $0.range == nil })
    }

    @Test func `L6 a read-only disk pauses until it can be written to`() throws {
        if Self.skipped("L6") { return }
        let server = try ScriptedServer()
        server.route("/f", ScriptedFile(bulk(6, 1000)))
        let mounted = try MountedDaemon(mounts: "mount -t tmpfs -o size=600m,mode=755 tmpfs $T/output")
        try mounted.start()
        try mounted.shell("mount -o remount,ro $T/output")
        try waitForPause(mounted.daemon, "read-only")
        try mounted.daemon.drop("l.txt", "\(server.url("f"))\n")
        try eventually("it waits") { try mounted.daemon.status().jobs.queued == 1 }
        #expect(server.count("/f") == 0)
        try mounted.shell("mount -o remount,rw $T/output")
        let ended = try mounted.daemon.waitFor("l.txt")
        #expect(ended.folder == "done" && ended.results.map(\.attempts) == [1])
    }

    @Test func `L7 without inodes it pauses and goes on when there are some`() throws {
        if Self.skipped("L7") { return }
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(200, body: bulk(7, 100)) }
        let mounted = try MountedDaemon(
            ["limits": ["min_free": 0]],
            mounts: "mount -t tmpfs -o size=64m,nr_inodes=20,mode=755 tmpfs $T/output")
        try mounted.start()
        let daemon = mounted.daemon
        try daemon.drop("l.txt", (0..<40).map { server.url("f\($0)") }.joined(separator: "\n") + "\n")
        try eventually(within: .seconds(20), "paused", context: { daemon.account }) {
            try daemon.status().verdict.hasPrefix("paused: ")
        }
        try mounted.shell("mount -o remount,nr_inodes=2000 $T/output")
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.allSatisfy { $0.attempts == 1 })
    }

    @Test func `an unmounted output pauses, its bare mount point stays empty, and it comes back`() throws {
        if Self.skipped("unmounted output") { return }
        let server = try ScriptedServer()
        let body = bulk(8, 400_000)
        server.route("/f", ScriptedFile(body, etag: "\"e\""), firstStallsAfter: 300_000)
        let mounted = try MountedDaemon(mounts: "mkdir -p $T/disk; mount --bind $T/disk $T/output")
        try mounted.start()
        let daemon = mounted.daemon
        try daemon.drop("l.txt", "\(server.url("f"))\n")
        try eventually("it runs") { server.sentBodyBytes >= 300_000 }
        try mounted.shell("umount -l $T/output")
        try waitForPause(daemon, "output")
        #expect(FileTree.files(below: try mounted.inside("output")) == [])
        try eventually("nothing runs") { try daemon.status().transfersTotal == 0 }
        try mounted.shell("mount --bind $T/disk $T/output")
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done" && ended.results.map(\.attempts) == [1])
        try expect(mounted, "f", body)
    }

    @Test func `L8 an output replaced by a symlink is not written through`() throws {
        let server = try ScriptedServer()
        let body = bulk(9, 400_000)
        server.route("/f", ScriptedFile(body, etag: "\"e\""), firstStallsAfter: 300_000)
        let daemon = try RunningDaemon.start()
        try daemon.drop("l.txt", "\(server.url("f"))\n")
        try eventually("it runs") { server.sentBodyBytes >= 300_000 }
        try FileTree.rename(daemon.output, daemon.directory.sub("moved"))
        try daemon.directory.directory("elsewhere")
        symlinkOrFail(daemon.directory.sub("elsewhere"), daemon.output)
        try waitForPause(daemon, ".dld")
        #expect(FileTree.files(below: daemon.directory.sub("elsewhere")) == [])
        #expect(unlink(daemon.output) == 0)
        try FileTree.rename(daemon.directory.sub("moved"), daemon.output)
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done" && ended.results.map(\.attempts) == [1])
        try daemon.expectFile("f", body)
    }

    @Test func `L8 a directory of parts that became a symlink is neither written nor published through`()
        throws
    {
        let server = try ScriptedServer()
        let body = bulk(10, 400_000)
        server.route("/f", ScriptedFile(body, etag: "\"e\""), firstStallsAfter: 300_000)
        let daemon = try RunningDaemon.start()
        try daemon.drop("l.txt", "\(server.url("f"))\n")
        try eventually("it runs") { server.sentBodyBytes >= 300_000 }
        let identity = try FileTree.text("\(daemon.output)/.dld/id").filter { $0 != "\n" }
        let (parts, moved) = ("\(daemon.output)/.dld/\(identity)", daemon.directory.sub("moved"))
        try FileTree.rename(parts, moved)
        symlinkOrFail(moved, parts)
        try waitForPause(daemon, "symbolic link")
        try eventually("nothing runs") { try daemon.status().transfersTotal == 0 }
        // A start finds the same and sweeps nothing behind the link.
        try FileTree.write("theirs", to: "\(moved)/00000000000000aa.part")
        try daemon.restart(killing: true)
        try waitForPause(daemon, "symbolic link")
        #expect(try FileTree.text("\(moved)/00000000000000aa.part") == "theirs")
        #expect(daemon.published.isEmpty)
        #expect(unlink(parts) == 0)
        try FileTree.rename(moved, parts)
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done")
        try daemon.expectFile("f", body)
    }

    @Test(arguments: [
        "mount --bind $T/disk $T/output/big", "mount -t tmpfs -o size=600m tmpfs $T/output/big",
    ])
    func `a mount below the output has the part from its first byte on, also after a kill`(
        mount: String
    ) throws {
        if Self.skipped("mount below the output") { return }
        let server = try ScriptedServer()
        let body = bulk(10, 400_000)
        server.route("/x.iso", ScriptedFile(body, etag: "\"e\""), firstStallsAfter: 300_000)
        let mounted = try MountedDaemon(
            ["timeouts": ["drain": "100ms"]], mounts: "mkdir -p $T/disk $T/output/big; \(mount)")
        try mounted.start()
        let daemon = mounted.daemon
        try daemon.drop("l.txt", "\(server.url("x.iso"))\n dir=big\n")
        try eventually("it runs", context: { daemon.account }) { server.sentBodyBytes >= 300_000 }
        let folder = try mounted.inside("output/big/.dld")
        let ids = FileTree.names(folder).filter { $0 != "id" }
        #expect(ids.count == 1)
        // What the server has sent may still be in the socket.
        try eventually("the part is there") { FileTree.names("\(folder)/\(ids.first ?? "")").count == 1 }
        #expect(FileTree.status("\(folder)/\(ids.first ?? "")").map { $0.st_mode & 0o777 } == 0o700)
        if mount.contains("tmpfs") {
            // Gone with all it held: waited for, nothing in the bare mount point.
            try mounted.shell("umount -l $T/output/big")
            try eventually(within: .seconds(20), "it waits for the mount", context: { daemon.account }) {
                try daemon.status().waiting.contains { $0.reason == .outputMissing }
            }
            #expect(FileTree.files(below: try mounted.inside("output/big")) == [])
            try mounted.shell(
                "\(mount); cp -a $T/output/.dld $T/output/big/; rm -f $T/output/big/.dld/mounts")
        } else {
            try daemon.kill()
            try mounted.start()
        }
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done", "\(daemon.account)")
        try expect(mounted, "big/x.iso", body)
    }

    @Test func `L20 a full disk of the ledger pauses loudly and loses nothing`() throws {
        if Self.skipped("L20") { return }
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(200, body: bulk(11, 100)) }
        let mounted = try MountedDaemon(mounts: "mount -t tmpfs -o size=4m,mode=700 tmpfs $T/state")
        try mounted.start()
        let daemon = mounted.daemon
        try mounted.shell("head -c 8M /dev/zero > $T/state/ballast || true")
        try daemon.drop("l.txt", (0..<200).map { server.url("f\($0)") }.joined(separator: "\n") + "\n")
        try waitForPause(daemon, "ledger")
        let shown = try daemon.status().disks.first { $0.role == "state" }
        #expect(shown?.paused?.contains("full") == true, "\(String(describing: shown))")
        try mounted.shell("rm $T/state/ballast")
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done" && ended.results.count == 200)
    }

    @Test func `a full spool keeps the list until its results can be written`() throws {
        if Self.skipped("full spool") { return }
        let server = try ScriptedServer()
        let gate = Latch()
        server.routeAll { _ in
            _ = gate.wait(atMost: .seconds(60))
            return ScriptedReply(200, body: bulk(12, 100))
        }
        let mounted = try MountedDaemon(mounts: "mount -t tmpfs -o size=1m,mode=755 tmpfs $T/spool")
        try mounted.start()
        let daemon = mounted.daemon
        try mounted.shell("echo \(server.url("f")) > $T/spool/.l; mv $T/spool/.l $T/spool/l.txt")
        try eventually("it runs", context: { daemon.account }) { try daemon.status().transfersTotal == 1 }
        try mounted.shell("head -c 4M /dev/zero > $T/spool/.ballast || true")
        gate.open()
        try eventually(within: .seconds(20), "it is told", context: { daemon.account }) {
            try daemon.process().transcript.contains("results cannot be written")
        }
        #expect(FileTree.exists(try mounted.inside("spool/accepted/l.txt")))
        try eventually("status shows it", context: { daemon.account }) {
            try daemon.status().disks.contains { $0.role == "spool" && $0.free < 100_000 }
        }
        try mounted.shell("rm $T/spool/.ballast")
        try eventually(within: .seconds(30), "the list is done", context: { daemon.account }) {
            FileTree.exists(try mounted.inside("spool/done/l.txt.results.jsonl"))
        }
    }
}
