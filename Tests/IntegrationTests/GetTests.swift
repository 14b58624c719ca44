// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// `dld get` without a daemon.
@Suite struct GetTests {
    /// A place to download into and a home of its own.
    private struct Seat {
        let place: TempDirectory
        let home: TempDirectory
        private let state: String
        init(state: String = "state") throws {
            place = try TempDirectory()
            home = try TempDirectory()
            self.state = state
        }
        var environment: [String: String?] {
            [
                "HOME": home.path, "XDG_STATE_HOME": home.sub(state), "http_proxy": nil, "https_proxy": nil,
                "all_proxy": nil, "no_proxy": nil, "HTTP_PROXY": nil, "HTTPS_PROXY": nil, "ALL_PROXY": nil,
                "NO_PROXY": nil,
            ]
        }
        var files: [String] { FileTree.files(below: place.path) }
        func get(
            _ arguments: String..., input: String = "", environment extra: [String: String?] = [:],
            within limit: Duration = .seconds(60)
        ) throws -> ProgramRun {
            try ProgramRun.run(
                "dld", ["get"] + arguments, environment: environment.merging(extra) { $1 },
                directory: place.path,
                input: input, within: limit)
        }
    }

    private func answering() throws -> ScriptedServer {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.target.utf8) }
        return server
    }

    @Test func `several URLs become several files and leave no state behind`() throws {
        let server = try answering()
        let seat = try Seat()
        let run = try seat.get(server.url("a"), server.url("b"), server.url("d/c.bin"), "-d", "sub")
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        #expect(seat.files == ["sub/a", "sub/b", "sub/c.bin"])
        #expect(try FileTree.text(seat.place.sub("sub/c.bin")) == "/d/c.bin")
        #expect(!FileTree.exists(seat.place.sub("sub/.dld")))
        #expect(FileTree.files(below: seat.home.path).isEmpty)
    }

    @Test func `a file on a mount below leaves nothing of dld behind, there or here`() throws {
        if skip("get on a mount", unless: MountedDaemon.isPossible, "mounts need root") { return }
        let server = try answering()
        let seat = try Seat()
        let list = try seat.home.file("l.txt", "\(server.url("x"))\n dir=big\n\(server.url("y"))\n")
        let script = """
            set -e; mkdir -p \(seat.place.path)/big; mount -t tmpfs -o size=64m tmpfs \(seat.place.path)/big
            "$@"; status=$?; find . -mindepth 1 | sort; exit $status
            """
        let run = try ProgramRun.run(
            try ProgramRun.find("unshare"),
            [
                "--mount", "--propagation", "private", "bash", "-c", script, "bash",
                try BuildProducts.path("dld"), "get", "-i", list,
            ], environment: seat.environment, directory: seat.place.path)
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        #expect(run.output == "./big\n./big/x\n./y\n", Comment(rawValue: run.transcript))
        #expect(FileTree.files(below: seat.home.sub("state")).isEmpty)
    }

    @Test func `a corrupt ledger is told with a command that helps, and the same call then works`() throws {
        let server = try ScriptedServer()
        server.route("/f", ScriptedReply(404), ScriptedReply(body: "now".utf8))
        // A quote in the path: the command must stand it.
        let seat = try Seat(state: "it's state")
        #expect(try seat.get(server.url("f")).status == 1)
        let ledger = try #require(
            FileTree.files(below: seat.home.path).first { $0.hasSuffix("ledger.db") }.map(seat.home.sub))
        try FileTree.write(Array(repeating: 0xEE, count: 8192), to: ledger)
        let told = try seat.get(server.url("f"))
        #expect(told.status == 65 && !told.errors.contains("fsck"), Comment(rawValue: told.transcript))
        let command = try #require(told.errors.split(separator: "\n").first { $0.contains("rm -r ") })
        let mending = command.drop { $0 != ":" }.dropFirst().prefix { $0 != "(" }
        let mended = try ProgramRun.run("/bin/sh", ["-ec", String(mending)])
        #expect(mended.status == 0, Comment(rawValue: mended.transcript))
        let again = try seat.get(server.url("f"))
        #expect(again.status == 0, Comment(rawValue: again.transcript))
        #expect(try FileTree.text(seat.place.sub("f")) == "now")
    }

    @Test func `a wrong checksum is told, exits with 1 and leaves no file`() throws {
        let server = try answering()
        let seat = try Seat()
        let zeros = String(repeating: "0", count: 64)
        let run = try seat.get(server.url("x"), "--checksum", "sha-256=\(zeros)")
        #expect(run.status == 1, Comment(rawValue: run.transcript))
        #expect(run.errors.contains("digest_mismatch"), Comment(rawValue: run.transcript))
        #expect(seat.files.isEmpty)
        let sha256 = try ProgramRun.run("/usr/bin/sha256sum", [], input: "/x").output.prefix(64)
        #expect(try seat.get(server.url("x"), "-o", "y", "--checksum", "sha256:\(sha256)").status == 0)
        #expect(seat.files == ["y"])
    }

    @Test func `a list from a file or standard input with mirrors is worked off`() throws {
        let dead = try FreePort.Refusing("127.0.0.6")
        let server = try answering()
        let seat = try Seat()
        let list =
            "http://127.0.0.6:\(dead.port)/m\t\(server.url("m"))\n  max-tries=3\n  retry-wait=0\n\(server.url("n"))\n  out=o\n"
        let file = try seat.home.file("list.txt", list)
        let run = try seat.get("-i", file)
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        #expect(seat.files == ["m", "o"])
        let piped = try seat.get("-i", "-", "-d", "in", input: "\(server.url("p"))\n")
        #expect(piped.status == 0, Comment(rawValue: piped.transcript))
        #expect(FileTree.exists(seat.place.sub("in/p")))
    }

    @Test func `entries that are no good are counted, and each is told with its one line`() throws {
        let server = try answering()
        let seat = try Seat()
        let list = try seat.home.file(
            "list.txt", "\(server.url("a"))\n\(server.url("b"))\n  split=zz\nnowhere\n")
        let run = try seat.get("-i", list)
        #expect(run.status == 1 && seat.files == ["a"], Comment(rawValue: run.transcript))
        #expect(run.errors.contains("1 of 3 files, 2 B, 2 failed\n"), Comment(rawValue: run.transcript))
        let told = run.errors.split(separator: "\n").filter { $0.contains("line ") }
        #expect(told.count == 2 && told.first?.hasPrefix("dld: line 3: split: ") ?? false, "\(told)")
        #expect(told.last?.hasPrefix("dld: line 4: nowhere: ") ?? false, "\(told)")
    }

    @Test func `--header reaches the server for URLs and for lists`() throws {
        let server = try answering()
        let seat = try Seat()
        #expect(try seat.get(server.url("a"), "--header", "X-Mine: yes").status == 0)
        #expect(server.requests.last?.header("x-mine") == "yes")
        let list = try seat.home.file("list.txt", "\(server.url("b"))\n")
        #expect(try seat.get("-i", list, "--header", "X-Mine: list").status == 0)
        #expect(server.requests("/b").last?.header("x-mine") == "list")
        let json = try seat.home.file("list.jsonl", "{\"url\": \"\(server.url("c"))\"}\n")
        // A field that would be dropped in silence is refused in words.
        #expect(try seat.get("-i", json, "--header", "X-Mine: json").status == 64)
        #expect(server.count("/c") == 0)
    }

    @Test func `an interrupted call goes on when it is repeated`() throws {
        let body = bulk(5, 700_000)
        let server = try ScriptedServer()
        server.route("/small", ScriptedFile("small".utf8))
        server.route("/part") { request in
            var reply = ScriptedFile(body, etag: "\"strong\"").reply(to: request)
            if request.range == nil { reply.ending = .stall(after: 600_000) }
            return reply
        }
        let seat = try Seat()
        let child = try ChildProcess(
            BuildProducts.path("dld"), ["get", server.url("small"), server.url("part")],
            environment: seat.environment, directory: seat.place.path)
        try eventually("a good piece is on the disk", context: { child.transcript }) {
            let parts = FileTree.files(below: seat.place.sub(".dld"))
            return FileTree.exists(seat.place.sub("small"))
                && parts.contains { (FileTree.status(seat.place.sub(".dld/\($0)"))?.st_size ?? 0) >= 262_144 }
        }
        child.kill(.interrupt)
        #expect(try child.wait() == .exited(130))
        #expect(child.errors.contains("again"))
        let run = try seat.get(server.url("small"), server.url("part"))
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        #expect(seat.files == ["part", "small"])
        #expect(try FileTree.read(seat.place.sub("part")) == body)
        #expect(server.count("/small") == 1)
        #expect((server.requests("/part").last?.range?.first ?? 0) > 0)
        #expect(FileTree.files(below: seat.home.path).isEmpty)
    }

    @Test func `a dead host and a missing file end with 1 and words`() throws {
        let dead = try FreePort.Refusing("127.0.0.7")
        let server = try ScriptedServer()
        let seat = try Seat()
        let list = try seat.home.file(
            "list.txt", "http://127.0.0.7:\(dead.port)/x\n  max-tries=1\n\(server.url("missing"))\n")
        let run = try seat.get("-i", list, within: .seconds(20))
        #expect(run.status == 1, Comment(rawValue: run.transcript))
        #expect(run.errors.contains("http_404"), Comment(rawValue: run.transcript))
        #expect(run.errors.contains("connect"), Comment(rawValue: run.transcript))
        #expect(seat.files.isEmpty)
    }

    @Test func `the environment's proxy is used, and no_proxy is heeded`() throws {
        let proxy = try ScriptedServer()
        proxy.routeAll { _ in ScriptedReply(body: "by proxy".utf8) }
        let server = try answering()
        let seat = try Seat()
        let run = try seat.get(server.url("p"), environment: ["http_proxy": proxy.url("")])
        #expect(run.status == 0, Comment(rawValue: run.transcript))
        #expect(try FileTree.text(seat.place.sub("p")) == "by proxy")
        #expect(proxy.requests.first?.target == server.url("p"))
        let direct = try seat.get(
            server.url("q"), environment: ["http_proxy": proxy.url(""), "no_proxy": "127.0.0.1"])
        #expect(direct.status == 0)
        #expect(try FileTree.text(seat.place.sub("q")) == "/q")
    }

    @Test func `wrong use is 64 and starts nothing`() throws {
        let seat = try Seat()
        #expect(try seat.get().status == 64)
        #expect(try seat.get("http://127.0.0.1/a", "http://127.0.0.1/b", "-o", "x").status == 64)
        #expect(try seat.get("http://127.0.0.1/a", "--checksum", "sha-256=zz").status == 64)
        #expect(try seat.get("http://127.0.0.1/a", "--header", "no colon").status == 64)
        #expect(try seat.get("-i", "/nowhere/list.txt").status == 74)
        #expect(seat.files.isEmpty)
    }
}

/// `sumd` by hand.
@Suite struct SumdTests {
    @Test func `sum, compare and digest tell what each took and that totals agree`() throws {
        let sum = try ProgramRun.run("sumd", ["sum", "10..1000000", "--repeat", "3", "--processes", "2"])
        #expect(sum.status == 0, Comment(rawValue: sum.transcript))
        #expect(sum.output.contains("500000499955"))
        #expect(sum.output.contains("totals agree"))
        let compare = try ProgramRun.run(
            "sumd", ["compare", "0..200000", "--repeat", "3", "--processes", "2"])
        #expect(compare.status == 0, Comment(rawValue: compare.transcript))
        #expect(compare.output.contains("20000100000") && compare.output.contains("totals agree"))
        let directory = try TempDirectory()
        let files = try (0..<3).map { try directory.file("f \($0)", bulk($0, 100_000)) }
        let ours = try ProgramRun.run("sumd", ["digest"] + files)
        #expect(ours.status == 0, Comment(rawValue: ours.transcript))
        #expect(ours.output == (try ProgramRun.run("/usr/bin/sha256sum", files).output))
        #expect(try ProgramRun.run("sumd", ["digest", "/nowhere"]).status == 1)
        #expect(try ProgramRun.run("sumd", ["sum", "5..1"]).status == 64)
        let through = try ProgramRun.run("dld", ["sumd", "sum", "0..100"])
        #expect(through.output.contains("5050"), Comment(rawValue: through.transcript))
    }
}
