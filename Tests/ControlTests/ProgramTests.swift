// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import Glibc
import Locking
import TestKit
import Testing

@Suite struct ProgramTests {
    private func dlctl(
        _ server: RunningServer, _ arguments: String..., input: String = ""
    ) throws -> ProgramRun {
        try ProgramRun.run(
            "dlctl", arguments, environment: ["DLD_SOCKET": server.socket, "NO_COLOR": nil, "TZ": "UTC"],
            input: input)
    }

    @Test func `status shows the verdict first, and the daemon's own JSON on request`() throws {
        let server = try RunningServer()
        server.backend.given.withLock { $0.status = Samples.busy() }
        let view = try dlctl(server, "status")
        #expect(view.status == 0)
        #expect(view.output.hasPrefix("running: 16 transfers and 2 sums"))
        #expect(!view.output.contains("\u{1B}"), "no colour in a pipe")
        let json = try dlctl(server, "status", "--json")
        #expect(try ControlAPI.decode(StatusDocument.self, from: Array(json.output.utf8)) == Samples.busy())
    }

    @Test func `every verb reaches its route`() throws {
        let server = try RunningServer()
        for arguments in [
            ["lists", "--state", "running"], ["jobs", "--list", "hourly.txt", "--limit", "5"], ["hosts"],
            ["show", "5f0c2e9a11d04b7e"], ["show", "hourly.txt"], ["cancel", "4711"],
            ["pause", "hourly.txt"],
            ["resume", "5f0c2e9a11d04b7e"], ["retry", "4711"], ["host", "example.org", "release"], ["reload"],
        ] {
            for json in [[], ["--json"]] {
                func ask() throws -> ProgramRun {
                    try ProgramRun.run(
                        "dlctl", arguments + json + ["--socket", server.socket],
                        environment: ["DLD_SOCKET": "/nowhere"])
                }
                var run = try ask()
                // dlctl waits 5 s, by contract; under the sanitizer the server's thread may not get that far.
                for _ in 1..<max(2, Patience.factor) where run.status == 69 && Patience.factor > 1 {
                    run = try ask()
                }
                #expect(run.status == 0, "\(run.transcript)")
                #expect(run.output.hasPrefix("{") == !json.isEmpty, "\(run.transcript)")
            }
        }
        let asked = [
            "lists running - 100", "jobs - hourly.txt - 5", "hosts - 100", "job 5f0c2e9a11d04b7e",
            "list hourly.txt",
            "cancel list 4711", "pause list hourly.txt", "resume job 5f0c2e9a11d04b7e", "retry list 4711",
            "release example.org", "reload",
        ]
        // A question that was asked again for want of an answer counts once more.
        let questions = server.backend.questions
        #expect(questions.count >= asked.count * 2)
        #expect(
            questions.indices.filter { $0 == 0 || questions[$0] != questions[$0 - 1] }.map { questions[$0] }
                == asked)
        let metrics = try dlctl(server, "metrics")
        #expect(metrics.output == PrometheusText.write(Samples.metrics()))
        #expect(try dlctl(server, "metrics", "--json").output.hasPrefix("[{\"labels\":"))
    }

    @Test func `add prints the id alone, from a file, from standard input and from URLs`() throws {
        let server = try RunningServer()
        let directory = try TempDirectory()
        let file = try directory.file("my list.txt", "https://example.org/1\n")
        let fromFile = try dlctl(server, "add", file)
        #expect(fromFile.output == "4711\n" && fromFile.errors.isEmpty, "\(fromFile.transcript)")
        #expect(try dlctl(server, "add", "-", "--name", "in.jsonl", input: "{}\n").output == "4711\n")
        #expect(try dlctl(server, "add", "--name", "urls.txt", "https://a/1", "sum:5").output == "4711\n")
        let seen = server.backend.seen.withLock { $0 }
        #expect(seen.uploads["my list.txt"] == Array("https://example.org/1\n".utf8))
        #expect(seen.uploads["in.jsonl"] == Array("{}\n".utf8))
        #expect(seen.uploads["urls.txt"] == Array("https://a/1\nsum:5\n".utf8))
        #expect(seen.finished.count == 3)
    }

    @Test func `a producer that is silent for longer than the socket's patience still gets its list in`()
        throws
    {
        let server = try RunningServer { $0.deadlines.stall = .milliseconds(100) }
        let producer = "{ echo https://a/1; sleep 1; echo https://a/2; }"
        let dlctl = try BuildProducts.path("dlctl")
        for command in ["\(producer) | \(dlctl) add -", "\(dlctl) add --name p.txt <(\(producer))"] {
            let run = try ProgramRun.run(
                "/bin/bash", ["-c", command], environment: ["DLD_SOCKET": server.socket])
            #expect(run.status == 0 && run.output == "4711\n", "\(run.transcript)")
        }
        let seen = server.backend.seen.withLock { $0 }
        #expect(seen.uploads.count == 2)
        #expect(seen.uploads.values.allSatisfy { $0 == Array("https://a/1\nhttps://a/2\n".utf8) })
    }

    @Test func `standard input that is a file is posted from where it stands`() throws {
        let server = try RunningServer()
        let directory = try TempDirectory()
        let file = try directory.file("l.txt", "skipped\nhttps://a/1\n")
        let dlctl = try BuildProducts.path("dlctl")
        let run = try ProgramRun.run(
            "/bin/bash", ["-c", "{ read -r first; \(dlctl) add - --name l.txt; } <\(file)"],
            environment: ["DLD_SOCKET": server.socket])
        #expect(run.status == 0, "\(run.transcript)")
        #expect(server.backend.seen.withLock { $0.uploads["l.txt"] } == Array("https://a/1\n".utf8))
    }

    @Test func `wait exits as the list ended`() throws {
        let server = try RunningServer()
        var list = Samples.list()
        list.state = .closed
        list.finalName = "failed/hourly.txt"
        server.backend.given.withLock { $0.list = .success(list) }
        let failed = try dlctl(server, "wait", "hourly.txt")
        #expect(failed.status == 1)
        #expect(
            failed.output
                == "list 4711 hourly.txt: 12 failed of 3,000,000, see failed/hourly.txt.results.jsonl\n")
        list.done = list.total
        server.backend.given.withLock { $0.list = .success(list) }
        #expect(try dlctl(server, "wait", "4711").status == 0)
        let added = try dlctl(server, "add", "--wait", "https://a/1")
        #expect(added.status == 0 && added.output == "4711\n", "\(added.transcript)")
        server.backend.given.withLock { $0.list = .success(Samples.list()) }
        #expect(try dlctl(server, "wait", "4711", "--timeout", "1ms").status == 1)
    }

    @Test func `what goes wrong has words on standard error and its status`() throws {
        let server = try RunningServer()
        server.backend.given.withLock { $0.list = .failure(.notFound("no list \"x\"")) }
        let unknown = try dlctl(server, "show", "x")
        #expect(unknown.status == 1 && unknown.errors == "dlctl: no list \"x\"\n" && unknown.output.isEmpty)
        #expect(try dlctl(server, "wait", "x").status == 1)
        #expect(try dlctl(server, "show", "a/b").status == 64)
        #expect(try dlctl(server, "jobs", "--state", "odd").status == 64)
        #expect(try dlctl(server, "jobs", "--limit", "0").status == 64)
        #expect(try dlctl(server, "frobnicate").status == 64)
        #expect(try dlctl(server, "add", "/nonexistent").status == 74)
        #expect(try dlctl(server, "add", "/tmp").status == 74)
        let absent = try ProgramRun.run("dlctl", ["status", "--socket", server.socket + ".no"])
        #expect(absent.status == 69 && absent.errors.contains("no daemon"), "\(absent.transcript)")
    }

    @Test func `who may not use the socket is told of the group`() throws {
        if skip("dlctl as another user", unless: getuid() == 0, "needs root to become nobody") { return }
        let server = try RunningServer()
        chmod(server.directory.path, 0o700)
        defer { chmod(server.directory.path, 0o755) }
        // The build may lie where nobody may look; a copy does not.
        let copies = try TempDirectory()
        let copy = copies.sub("dlctl")
        _ = try ProgramRun.run("/bin/cp", [try BuildProducts.path("dlctl"), copy])
        let run = try ProgramRun.run(
            try ProgramRun.find("setpriv"),
            ["--reuid=65534", "--regid=65534", "--clear-groups", copy, "status", "--socket", server.socket])
        #expect(run.status == 77, "\(run.transcript)")
        #expect(run.errors.contains("group dld"))
    }

    @Test func `help, version and completions are there`() throws {
        for arguments in [["--help"], ["--version"], ["help", "jobs"], ["add", "--help"]] {
            let run = try ProgramRun.run("dlctl", arguments)
            #expect(run.status == 0 && !run.output.isEmpty, "\(run.transcript)")
        }
        for shell in ["bash", "zsh", "fish"] {
            let run = try ProgramRun.run("dlctl", ["--generate-completion-script", shell])
            #expect(run.status == 0 && run.output.contains("dlctl") && run.output.contains("retry"))
        }
    }
}
