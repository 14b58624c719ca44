// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import TestKit
import Testing

/// Lists of digests: `checksums=`, from a server and from a file.
@Suite(.serialized) struct ChecksumsTests {
    /// What `sha256sum` prints for these files of a directory.
    private func sums(_ directory: String, _ names: [String]) throws -> [String] {
        let run = try ProgramRun.run("/usr/bin/sha256sum", names, directory: directory)
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        return run.output.split(separator: "\n").map { String($0) }
    }
    private func turned(_ line: String) -> String { (line.hasPrefix("0") ? "1" : "0") + line.dropFirst() }

    @Test
    func
        `of 1,000 files with a list of digests 10 are wrong: they fail with both digests, the others are done`()
        throws
    {
        let nginx = try Nginx()
        let names = (0..<1000).map { "f\($0).bin" }
        for (index, name) in names.enumerated() {
            try nginx.add("pub/\(name)", sample(index + 1, 200 + index))
        }
        let right = try sums("\(nginx.root)/pub", names)
        let wrong = Set(stride(from: 7, to: 1000, by: 100))
        let given = right.enumerated().map { wrong.contains($0) ? turned($1) : $1 }
        try nginx.add("pub/SHA256SUMS", (given.joined(separator: "\n") + "\n").utf8)
        let daemon = try RunningDaemon.start()
        let list =
            "  checksums=\(nginx.url("pub/SHA256SUMS"))\n"
            + names.map { nginx.url("pub/\($0)") }.joined(separator: "\n") + "\n"
        let ended = try daemon.finish("mirror.txt", list, within: .seconds(120))
        #expect(ended.folder == "failed")
        #expect(ended.results.count == 1000)
        #expect(ended.results.filter { $0.state == "done" }.count == 990, Comment(rawValue: daemon.account))
        let failed = ended.results.enumerated().filter { $1.state == "failed" }
        #expect(Set(failed.map(\.offset)) == wrong)
        for (index, result) in failed {
            #expect(result.error?.code == "digest_mismatch")
            let message = result.error?.message ?? ""
            #expect(message.contains("expected sha256:\(given[index].prefix(64))"), "\(message)")
            #expect(message.contains("received sha256:\(right[index].prefix(64))"), "\(message)")
        }
        for (index, result) in ended.results.enumerated() where !wrong.contains(index) {
            #expect(result.digest == "sha256:\(right[index].prefix(64))")
        }
        #expect(daemon.published.count == 990)
        let log = try nginx.log()
        #expect(log.filter { $0.uri == "/pub/SHA256SUMS" }.count == 1)
        // Each wrong one was given a second look.
        #expect(log.count == 1 + 1000 + 10)
        let counts = try ProgramRun.run(
            "/usr/bin/sqlite3",
            ["-readonly", daemon.ledger, "SELECT done, failed FROM lists WHERE name = 'mirror.txt'"])
        #expect(counts.output == "990|10\n", "\(counts.transcript)")
    }

    @Test func `with update what is there already asks no server, and what is not is fetched`() throws {
        let nginx = try Nginx()
        let names = (0..<300).map { "f\($0)" }
        for (index, name) in names.enumerated() { try nginx.add(name, sample(index + 1, 5000)) }
        let daemon = try RunningDaemon.start(["output": ["exists": "update"]])
        let text = try sums(nginx.root, names).joined(separator: "\n") + "\n"
        try FileTree.write(text, to: "\(daemon.output)/SHA256SUMS")
        let list =
            "  checksums=SHA256SUMS\n" + names.map { nginx.url($0) }.joined(separator: "\n") + "\n"
        #expect(try daemon.finish("first.txt", list).folder == "done", Comment(rawValue: daemon.account))
        #expect(try nginx.log().count == 300)
        // Changed by hand, and gone.
        try FileTree.write("bad", to: "\(daemon.output)/f3")
        FileTree.remove("\(daemon.output)/f5")
        let second = try daemon.finish("second.txt", list)
        #expect(second.results.filter { $0.flags == ["unchanged"] && $0.bytes == 5000 }.count == 298)
        #expect(try nginx.log().count == 302)
        try daemon.expectFile("f3", sample(4, 5000))
        nginx.stop()
        let third = try daemon.finish("third.txt", list)
        #expect(third.folder == "done", Comment(rawValue: daemon.account))
        #expect(
            third.results.allSatisfy { $0.flags == ["unchanged"] && $0.digest?.hasPrefix("sha256:") == true })
        try daemon.terminate()
        #expect(try daemon.dld("fsck", "--strict", "--digest").status == 0)
    }

    @Test func `an entry that is not named fails unasked, and a name without an entry is told`() throws {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let sha = try ProgramRun.run("/usr/bin/sha256sum", [], input: "/p/a").output.prefix(64)
        let zeros = String(repeating: "0", count: 64)
        server.route(
            "/p/SUMS", ScriptedReply(body: "# of today\nSHA256 (./a) = \(sha)\n\(zeros) *left over\n".utf8))
        let daemon = try RunningDaemon.start()
        let ended = try daemon.finish(
            "l.jsonl",
            """
            {"defaults": {"checksums": "\(server.url("p/SUMS"))"}}
            {"url": "\(server.url("p/a"))"}
            {"url": "\(server.url("p/b"))"}
            {"url": "\(server.url("p/c"))", "checksums": "none"}
            """)
        #expect(ended.results.map(\.state) == ["done", "failed", "done"])
        #expect(ended.results[1].error?.code == "digest_missing")
        #expect(ended.results[1].error?.message == "p/b is not named in \(server.url("p/SUMS"))")
        #expect(server.count("/p/b") == 0)
        try eventually("the name is told", context: { daemon.account }) {
            daemon.account.contains("1 names of \(server.url("p/SUMS")) match no entry: left over")
        }
    }

    @Test
    func `a list of digests that cannot be had fails its entries alone, and the retry list brings it again`()
        throws
    {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let sha = try ProgramRun.run("/usr/bin/sha256sum", [], input: "/a").output.prefix(64)
        let good = ScriptedReply(body: "\(sha)  a\n".utf8)
        server.route("/gone", ScriptedReply(404), good)
        server.route("/other", good)
        server.route("/page", ScriptedReply(body: "<html>not found</html>\n".utf8))
        server.route("/large", ScriptedReply(body: [UInt8](repeating: 0x41, count: 5000)))
        let daemon = try RunningDaemon.start(
            quickRetries.merged(with: [
                "limits": ["max_checksums_size": "4KiB"], "output": ["exists": "overwrite"],
            ]))
        let zeros = String(repeating: "0", count: 64)
        let ended = try daemon.finish(
            "l.txt",
            """
            \(server.url("a"))
              checksums=\(server.url("gone"))
            \(server.url("b"))
            \(server.url("c"))
              checksums=\(server.url("page"))
            \(server.url("d"))
              checksums=\(server.url("large"))
            \(server.url("e"))
              checksums=\(server.url("other"))
              checksums-digest=sha-256=\(zeros)
            \(server.url("f"))
              checksums=/etc/passwd
            """)
        #expect(ended.results.map(\.state) == ["failed", "done", "failed", "failed", "failed", "failed"])
        #expect(
            ended.results.map { $0.error?.code } == [
                "digest_missing", nil, "digest_missing", "digest_missing", "digest_missing", "outside_output",
            ])
        let messages = ended.results.map { $0.error?.message ?? "" }
        #expect(messages[0].contains("http_404"), "\(messages)")
        #expect(messages[2].contains("no line of \(server.url("page")) is a digest"), "\(messages)")
        #expect(messages[3].contains("too_large"), "\(messages)")
        #expect(messages[4].contains("expected sha256:0000"), "\(messages)")
        #expect(server.count("/a") == 0 && server.count("/e") == 0)
        try FileTree.rename("\(daemon.spool)/failed/l.failed.jsonl", "\(daemon.spool)/l.failed.jsonl")
        let again = try daemon.waitFor("l.failed.jsonl")
        #expect(again.results.first?.state == "done", Comment(rawValue: daemon.account))
        #expect(again.results.first?.digest == "sha256:\(sha)")
    }

    @Test func `entries that wait for their list of digests survive kills, and others do not wait with them`()
        throws
    {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let gate = Latch()
        let names = (0..<50).map { "f\($0)" }
        let directory = try TempDirectory()
        for name in names { try FileTree.write("/\(name)", to: directory.sub(name)) }
        let text = try sums(directory.path, names).joined(separator: "\n")
        server.routeAll { request in
            guard request.path == "/S" else { return ScriptedReply(body: request.path.utf8) }
            gate.wait(atMost: .seconds(60))
            return ScriptedReply(body: text.utf8)
        }
        let daemon = try RunningDaemon.start()
        defer { gate.open() }
        try daemon.drop(
            "l.txt",
            names.map { "\(server.url($0))\n  checksums=\(server.url("S"))\n" }.joined()
                + "\(server.url("free"))\n")
        try eventually("the free one is done", context: { daemon.account }) {
            try daemon.status().lists.first?.done == 1 && server.count("/S") == 1
        }
        #expect(names.allSatisfy { server.count("/\($0)") == 0 })
        let queued = try UnixHTTP.get(daemon.socket, "/v1/jobs?state=queued&limit=3")
        #expect(queued.body.contains("\"checksums\""), "\(queued.body)")
        try daemon.restart(killing: true)
        try eventually("it is asked for again", context: { daemon.account }) { server.count("/S") == 2 }
        #expect(try daemon.status().lists.first?.jobs.queued == 50)
        gate.open()
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.count == 51)
        #expect(ended.results.filter { $0.digest != nil }.count == 50)
        try daemon.terminate()
        #expect(try daemon.dld("fsck", "--strict").status == 0)
    }

    @Test func `a list that is paused stops fetching its list of digests, over a kill, until it is resumed`()
        throws
    {
        let server = try ScriptedServer()
        let gate = Latch()
        defer { gate.open() }
        let directory = try TempDirectory()
        try FileTree.write("/a", to: directory.sub("a"))
        let text = try sums(directory.path, ["a"]).joined() + "\n"
        server.routeAll { request in
            guard request.path == "/S" else { return ScriptedReply(body: request.path.utf8) }
            gate.wait(atMost: .seconds(60))
            return ScriptedReply(body: text.utf8)
        }
        let daemon = try RunningDaemon.start()
        try daemon.drop("l.txt", "\(server.url("a"))\n  checksums=\(server.url("S"))\n")
        try eventually("the list is asked for", context: { daemon.account }) { server.count("/S") == 1 }
        let paused = try daemon.dlctl("pause", "l.txt")
        #expect(paused.status == 0, Comment(rawValue: paused.transcript))
        try eventually("it is let go of", context: { daemon.account }) {
            let state = try ProgramRun.run(
                "/usr/bin/sqlite3", ["-readonly", daemon.ledger, "SELECT state FROM job WHERE seq = -1"])
            return state.output == "\(JobState.paused.rawValue)\n"
        }
        gate.open()
        try daemon.restart(killing: true)
        // The same host has done another's work by then.
        #expect(try daemon.finish("other.txt", "\(server.url("b"))\n").folder == "done")
        #expect(server.count("/S") == 1 && server.count("/a") == 0)
        #expect(try daemon.dlctl("resume", "l.txt").status == 0)
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.map { $0.digest != nil } == [true] && server.count("/S") == 2)
    }

    @Test func `hundreds of entries, each with a list of digests of its own`() throws {
        let nginx = try Nginx()
        let names = (0..<300).map { "d\($0)" }
        for (index, name) in names.enumerated() { try nginx.add("\(name)/a.iso", sample(index + 1, 300)) }
        let lines = try sums(nginx.root, names.map { "\($0)/a.iso" })
        for (name, line) in zip(names, lines) {
            // Some have the digest alone.
            let text = name.hasSuffix("7") ? String(line.prefix(64)) : "\(line.prefix(64))  a.iso\n"
            try nginx.add("\(name)/a.iso.sha256", text.utf8)
        }
        let daemon = try RunningDaemon.start(["output": ["layout": "{dirs}/{name}"]])
        let list = names.map {
            "\(nginx.url("\($0)/a.iso"))\n  checksums=\(nginx.url("\($0)/a.iso.sha256"))\n"
        }.joined()
        let ended = try daemon.finish("l.txt", list, within: .seconds(120))
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.map(\.digest) == lines.map { "sha256:\($0.prefix(64))" })
        #expect(try nginx.log().count == 600)
        // With the list's end all of it goes.
        try eventually("nothing is left of them") {
            let left = try ProgramRun.run(
                "/usr/bin/sqlite3",
                [
                    daemon.ledger,
                    "SELECT (SELECT count(*) FROM digest_list) + (SELECT count(*) FROM digest_line)",
                ])
            return left.output == "0\n"
        }
    }
}
