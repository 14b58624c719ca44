// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// Under which name a file is published, and what happens where that name is taken.
@Suite struct NamingTests {
    private func answering() throws -> ScriptedServer {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.target.utf8) }
        return server
    }

    @Test func `files of one name get numbers before the extension`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start()
        let urls = (0..<12).map { server.url("d\($0)/f.tar.gz") }.joined(separator: "\n")
        let ended = try daemon.finish("same.txt", urls)
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        let expected = ["f.tar.gz"] + (1..<12).map { "f.tar.\($0).gz" }
        #expect(Set(daemon.published) == Set(expected))
        for (number, result) in ended.results.enumerated() {
            try daemon.expectFile(result.path ?? "", Array("/d\(number)/f.tar.gz".utf8))
        }
    }

    @Test func `the same URL twice in a list is fetched once and told as a duplicate`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start(quickRetries)
        let url = server.url("twice.bin")
        let ended = try daemon.finish("twice.txt", "\(url)\n\(server.url("else"))\n\(url)\n\(url)\n")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.map(\.flags) == [[], [], ["duplicate"], ["duplicate"]])
        #expect(ended.results.map(\.state) == ["done", "done", "done", "done"])
        #expect(server.count("/twice.bin") == 1)
        #expect(daemon.published == ["else", "twice.bin"])
    }

    @Test func `a duplicate of what fails fails with it`() throws {
        let server = try ScriptedServer()
        let daemon = try RunningDaemon.start(quickRetries)
        let url = server.url("missing")
        let ended = try daemon.finish("both.txt", "\(url)\n\(url)\n")
        #expect(ended.results.map(\.error?.code) == ["http_404", "http_404"])
        #expect(ended.results.map(\.flags) == [[], ["duplicate"]])
        #expect(server.count("/missing") == 1)
    }

    @Test func `aria2's three options choose what a taken name means`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start()
        for name in ["over", "refuse", "plain"] { try FileTree.write("old", to: "\(daemon.output)/\(name)") }
        let ended = try daemon.finish(
            "aria.txt",
            """
            \(server.url("over"))
              allow-overwrite=true
            \(server.url("refuse"))
              auto-file-renaming=false
            \(server.url("plain"))
            """)
        #expect(ended.results.map(\.state) == ["done", "failed", "done"])
        #expect(ended.results[1].error?.code == "exists")
        #expect(server.count("/refuse") == 0)
        try daemon.expectFile("over", Array("/over".utf8))
        try daemon.expectFile("refuse", Array("old".utf8))
        try daemon.expectFile("plain", Array("old".utf8))
        try daemon.expectFile("plain.1", Array("/plain".utf8))
    }

    @Test func `conditional-get asks nginx with the file's own time and keeps what is unchanged`() throws {
        let nginx = try Nginx()
        try nginx.add("c.bin", bulk(1, 5000))
        let daemon = try RunningDaemon.start()
        let entry = "\(nginx.url("c.bin"))\n  conditional-get=true\n  remote-time=true\n"
        let first = try daemon.finish("first.txt", entry)
        #expect(first.results[0].flags == [])
        let second = try daemon.finish("second.txt", entry)
        #expect(second.results[0].flags == ["unchanged"])
        #expect(second.results[0].state == "done")
        #expect(try nginx.log().map(\.status) == [200, 304])
        try nginx.add("c.bin", bulk(2, 6000))
        let third = try daemon.finish("third.txt", entry)
        #expect(third.folder == "done")
        try daemon.expectFile("c.bin", bulk(2, 6000))
        #expect(daemon.published == ["c.bin"])
        let origin = try #require(FileTree.status("\(nginx.root)/c.bin"))
        #expect(FileTree.status("\(daemon.output)/c.bin")?.st_mtim.tv_sec == origin.st_mtim.tv_sec)
    }

    @Test func `under update a file with the right checksum is not even asked for`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start()
        try FileTree.write("same", to: "\(daemon.output)/u.bin")
        let sha256 = try ProgramRun.run("/usr/bin/sha256sum", [], input: "same").output.prefix(64)
        let ended = try daemon.finish(
            "u.jsonl",
            "{\"url\": \"\(server.url("u.bin"))\", \"exists\": \"update\", \"checksum\": \"sha256:\(sha256)\"}\n"
        )
        #expect(ended.results.map(\.flags) == [["unchanged"]], Comment(rawValue: daemon.account))
        #expect(server.requests.isEmpty)
    }

    @Test func `out, dir and both together say where a file goes`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start()
        let ended = try daemon.finish(
            "where.txt",
            """
            \(server.url("a"))
              out=x/y/a.bin
            \(server.url("b"))
              dir=sub
            \(server.url("c"))
              dir=sub
              out=c.bin
            \(server.url("d"))
              dir=\(daemon.output)/abs
            \(server.url("e"))
              dir=/etc
            \(server.url("f"))
              out=../f
            \(server.url("g"))
              dir=x/../../up
            """)
        #expect(ended.results.prefix(4).map(\.state) == ["done", "done", "done", "done"])
        for result in ended.results.dropFirst(4) { #expect(result.state == "failed", "\(result)") }
        #expect(ended.results[4].error?.code == "outside_output")
        #expect(daemon.published == ["abs/d", "sub/b", "sub/c.bin", "x/y/a.bin"])
        for path in ["/e", "/g", "/f"] { #expect(server.count(path) == 0) }
    }

    @Test func `host_path keeps host, directories and query`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start(["output": ["layout": "host_path"]])
        let ended = try daemon.finish(
            "tree.txt", "\(server.url("a/b/c.txt?v=1"))\n\(server.url(""))\n\(server.url("f"))\n")
        let host = "127.0.0.1:\(server.port)"
        #expect(ended.results.map(\.path) == ["\(host)/a/b/c.txt?v=1", "\(host)/index", "\(host)/f"])
        // A file where a directory is needed.
        let later = try daemon.finish("later.txt", "\(server.url("f/g"))\n")
        #expect(later.results.map(\.error?.code) == ["path_conflict"])
    }

    @Test func `a layout template is filled in for every job`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start(["output": ["layout": "{host}/{list}/{line}-{stem}{ext}"]])
        let ended = try daemon.finish("t.txt", "# one\n\(server.url("p/q/name.iso?x"))\n")
        #expect(ended.results.map(\.path) == ["127.0.0.1/1/2-name.iso"], Comment(rawValue: daemon.account))
        try daemon.configure(["output": ["layout": "{nonsense}"]])
        let check = try daemon.dld("check")
        #expect(check.status == 78)
        #expect((check.output + check.errors).contains("output.layout"), Comment(rawValue: check.transcript))
    }

    @Test func `names are made safe and stay inside the output`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start()
        let long = String(repeating: "n", count: 400) + ".iso"
        let targets = ["%2e%2e", "x%2f..%2fy", "a%00b", "tab%09tab", "%ff%fe", long, "%e2%82%ac uro", ".dld"]
        let ended = try daemon.finish("odd.txt", targets.map { server.url($0) }.joined(separator: "\n"))
        for result in ended.results {
            #expect(result.state == "done", "\(result)")
            let path = try #require(result.path)
            #expect(!path.contains("/") && path != ".." && path.utf8.count <= 255, "\(path)")
            #expect(path.unicodeScalars.allSatisfy { $0.value >= 32 }, "\(path)")
        }
        #expect(daemon.published.count == targets.count, "\(daemon.published)")
        #expect(daemon.published.contains("€ uro"))
        #expect(ended.results[5].path?.hasSuffix(".iso") == true)
    }

    @Test func `a symbolic link in the output is not followed out of it`() throws {
        let server = try answering()
        let daemon = try RunningDaemon.start(quickRetries)
        let outside = try daemon.directory.directory("outside")
        symlinkOrFail(outside, "\(daemon.output)/link")
        let ended = try daemon.finish("link.txt", "\(server.url("a"))\n  out=link/a\n")
        #expect(ended.folder == "failed")
        #expect(FileTree.names(outside).isEmpty)
    }
}
