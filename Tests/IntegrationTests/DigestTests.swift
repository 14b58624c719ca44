// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// Digests of files: wrong ones, ones for every file, and where they are written.
@Suite struct DigestTests {
    private func sha256(_ text: String) throws -> String {
        String(try ProgramRun.run("/usr/bin/sha256sum", [], input: text).output.prefix(64))
    }

    @Test func `a wrong digest is fetched once more from the next mirror, and then it is done`() throws {
        let bad = try ScriptedServer()
        bad.routeAll { _ in ScriptedReply(body: "bad".utf8) }
        let good = try ScriptedServer()
        good.routeAll { _ in ScriptedReply(body: "good".utf8) }
        let daemon = try RunningDaemon.start()
        let ended = try daemon.finish(
            "m.txt", "\(bad.url("f"))\t\(good.url("f"))\n checksum=sha-256=\(try sha256("good"))\n")
        #expect(ended.results.map(\.state) == ["done"], Comment(rawValue: daemon.account))
        #expect(ended.results[0].attempts == 2)
        #expect(bad.count("/f") == 1 && good.count("/f") == 1)
        try daemon.expectFile("f", Array("good".utf8))
    }

    @Test func `a digest that stays wrong fails with both values, and what came is kept where asked for`()
        throws
    {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "bad".utf8) }
        let daemon = try RunningDaemon.start(["digest": ["keep_bad": true]])
        let ended = try daemon.finish(
            "w.txt", "\(server.url("f"))\n checksum=sha-256=\(try sha256("good"))\n")
        let result = try #require(ended.results.first)
        #expect(result.error?.code == "digest_mismatch")
        let message = try #require(result.error?.message)
        #expect(try message.contains("expected sha256:\(sha256("good"))"), "\(message)")
        #expect(try message.contains("received sha256:\(sha256("bad"))"), "\(message)")
        #expect(server.count("/f") == 2)
        #expect(daemon.published.isEmpty)
        let kept = "\(daemon.output)/.dld/quarantine/\(try #require(result.job)).f"
        try eventually("the bad file is kept", context: { daemon.account }) { FileTree.exists(kept) }
        #expect(try FileTree.text(kept) == "bad")
        #expect(daemon.mode("output/.dld/quarantine") == 0o700)
        try daemon.terminate()
        let run = try daemon.dld("fsck", "--strict")
        #expect(run.status == 0, "\(run.transcript)")
        #expect(run.output.contains("1 files with a wrong digest, 3 bytes"), "\(run.transcript)")
        // Ten days ago it would have gone: retention.parts is a week.
        _ = try ProgramRun.run("/usr/bin/touch", ["-d", "10 days ago", kept])
        #expect(try daemon.dld("fsck", "--strict").output.contains("older than retention.parts"))
        try daemon.start()
        try eventually("it goes by its age", context: { daemon.account }) { !FileTree.exists(kept) }
    }

    @Test func `a digest for every file is in results, ledger and sidecar, and sha256sum agrees`() throws {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let daemon = try RunningDaemon.start(["digest": ["always": "sha-256", "write": "sidecar"]])
        let ended = try daemon.finish(
            "a.txt", "\(server.url("one"))\n\(server.url("two"))\n  out=d/two words\n")
        #expect(
            ended.results.map(\.digest) == [
                "sha256:\(try sha256("/one"))", "sha256:\(try sha256("/two"))",
            ])
        #expect(daemon.published == ["d/two words", "d/two words.sha256", "one", "one.sha256"])
        for folder in ["", "/d"] {
            let names = FileTree.files(below: daemon.output + folder).filter {
                $0.hasSuffix(".sha256") && !$0.contains("/")
            }
            let run = try ProgramRun.run(
                "/usr/bin/sha256sum", ["--check", "--strict"] + names, directory: daemon.output + folder)
            #expect(run.status == 0, Comment(rawValue: run.transcript))
        }
        let known = try ProgramRun.run(
            "/usr/bin/sqlite3",
            [
                "-readonly", daemon.ledger,
                "SELECT group_concat(digest) FROM (SELECT digest FROM file ORDER BY path)",
            ])
        #expect(
            try known.output.contains("sha256:\(sha256("/two")),sha256:\(sha256("/one"))"), "\(known.output)")
        #expect(FileTree.files(below: "\(daemon.output)/.dld").allSatisfy { !$0.contains("digest") })
    }
}
