// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import TestKit
import Testing

/// One dropped list, from the files to the last key of its results.
@Suite struct WholeListTests {
    private static let downloadKeys: Set = [
        "list", "line", "job", "id", "kind", "state", "urls", "url", "final_url", "host", "path", "bytes",
        "fetched_bytes", "resumed_bytes", "digest", "content_type", "etag", "last_modified", "http_status",
        "http_version", "remote_ip", "attempts", "flags", "error", "started_at", "ended_at", "timings",
    ]
    private static let sumKeys: Set = [
        "list", "line", "job", "id", "kind", "state", "from", "to", "value", "attempts", "flags", "error",
        "started_at", "ended_at", "timings",
    ]
    private static let downloadTimings: Set = [
        "queued_ms", "waiting_ms", "dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms",
        "publish_ms",
        "total_ms",
    ]

    private func size(_ number: Int) -> Int {
        switch number {
        case 7: 20 << 20
        case _ where number % 40 == 3: 1 << 20
        case _ where number % 9 == 0: 0
        default: number * 37 % 6000 + 1
        }
    }

    @Test func `two hundred mixed files arrive byte by byte and every line is told`() throws {
        let count = 200
        let nginx = try Nginx()
        for number in 0..<count { try nginx.add("m/f\(number).bin", bulk(number, size(number))) }
        let daemon = try RunningDaemon.start([
            "output": ["file_mode": "0600", "dir_mode": "0750"], "digest": ["always": "sha-256"],
        ])
        let lines = (0..<count).map { "\(nginx.url("m/f\($0).bin"))\n  out=deep/er/f\($0).bin" }
        let ended = try daemon.finish(
            "mixed.txt", lines.joined(separator: "\n") + "\nsum:10\n", within: .seconds(90))
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.map(\.line) == (0...count).map { $0 * 2 + 1 })
        for number in 0..<count {
            try daemon.expectFile("deep/er/f\(number).bin", bulk(number, size(number)))
            #expect(ended.results[number].bytes == size(number))
        }
        let published = FileTree.files(below: daemon.output).filter { !$0.hasPrefix(".dld/") }
        #expect(published.count == count)
        #expect(FileTree.names(daemon.output) == [".dld", "deep"])
        #expect(daemon.partFiles.isEmpty)
        #expect(daemon.mode("output/deep/er/f1.bin") == 0o600)
        #expect(daemon.mode("output/deep/er") == 0o750)
        #expect(daemon.mode("output/deep") == 0o750)
        #expect(daemon.mode("spool/done/mixed.txt.results.jsonl") == 0o640)
        #expect(daemon.mode("state/ledger.db") == 0o600)
        #expect(FileTree.names("\(daemon.spool)/accepted").isEmpty)
        #expect(FileTree.names("\(daemon.spool)/done") == ["mixed.txt", "mixed.txt.results.jsonl"])
        try expectKeys(try daemon.results("mixed.txt"), sums: 1)
        try expectJobsLog(daemon, ended.results)
    }

    private func object(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    private func expectKeys(_ lines: [String], sums: Int) throws {
        for line in lines.dropLast(sums) {
            let object = try object(line)
            #expect(Set(object.keys) == Self.downloadKeys)
            let timings = try #require(object["timings"] as? [String: Any])
            #expect(Set(timings.keys) == Self.downloadTimings)
            #expect(
                timings.values.allSatisfy { ($0 as? NSNumber).map { $0.doubleValue >= 0 } ?? false },
                "\(line)")
            #expect((object["digest"] as? String)?.hasPrefix("sha256:") == true)
        }
        for line in lines.suffix(sums) { #expect(Set(try object(line).keys) == Self.sumKeys) }
    }

    private func expectJobsLog(_ daemon: RunningDaemon, _ results: [ResultLine]) throws {
        let jobs = Set(results.compactMap(\.job))
        try eventually("jobs.log has a line for every job", context: { daemon.account }) {
            try FileTree.exists(daemon.jobsLog) && FileTree.lines(daemon.jobsLog).count == results.count
        }
        var logged: Set<String> = []
        for line in try FileTree.lines(daemon.jobsLog) {
            let object = try object(line)
            if let job = object["job"] as? String { logged.insert(job) }
            #expect(object["worker"] is String, "\(line)")
            #expect(object["timings"] is [String: Any])
        }
        #expect(logged == jobs)
    }

    @Test func `bad lines are told with their number and never cost their list`() throws {
        let server = try ScriptedServer()
        server.route("/ok", ScriptedFile("ok".utf8))
        let daemon = try RunningDaemon.start(quickRetries)
        let ended = try daemon.finish(
            "half.txt",
            """
            \(server.url("ok"))
              out=a.bin
              no-equals-sign
            \(server.url("ok"))
              out=b.bin
              header=Range: bytes=0-1
            \(server.url("ok")) \(server.url("ok"))
            sum:5..1
            sum:99999999999999999999999
            ftp://127.0.0.1/file
            \(server.url("ok"))\r
            """)
        #expect(ended.folder == "failed")
        #expect(ended.results.filter { $0.state == "done" }.count <= 2)
        for result in ended.results where result.state == "failed" {
            #expect(result.error?.code.hasPrefix("bad_") == true, "\(result)")
            #expect(result.job == nil && result.urls == [])
        }
        #expect(ended.results.last?.state == "done")
        #expect(ended.results.map(\.line) == ended.results.map(\.line).sorted())
        let codes = Dictionary(ended.results.map { ($0.line, $0.error?.code) }) { $1 }
        #expect(codes[8] == "bad_range")
        #expect(codes[9] == "bad_number" || codes[9] == "bad_range")
        // Bad lines are not to be tried again.
        let retry = "\(daemon.spool)/failed/half.failed.jsonl"
        if FileTree.exists(retry) { #expect(try FileTree.lines(retry).isEmpty) }
    }

    @Test func `what is missing is asked for again by one mv and nothing else is`() throws {
        let nginx = try Nginx()
        let count = 60
        let isMissing = { (number: Int) in number % 5 == 2 }
        for number in 0..<count where !isMissing(number) { try nginx.add("f\(number)", bulk(number, 500)) }
        let daemon = try RunningDaemon.start(quickRetries)
        let urls = (0..<count).map { nginx.url("f\($0)") }.joined(separator: "\n")
        let ended = try daemon.finish("some.txt", urls)
        #expect(ended.folder == "failed")
        let missing = (0..<count).filter(isMissing)
        #expect(ended.results.filter { $0.error?.code == "http_404" }.map(\.line) == missing.map { $0 + 1 })
        #expect(ended.results.filter { $0.state == "failed" }.allSatisfy { $0.attempts == 1 })
        let before = try nginx.log().count
        #expect(before == count)
        for number in missing { try nginx.add("f\(number)", bulk(number, 700)) }
        try FileTree.rename("\(daemon.spool)/failed/some.failed.jsonl", "\(daemon.spool)/some.failed.jsonl")
        #expect(try daemon.waitFor("some.failed.jsonl").folder == "done")
        #expect(try nginx.log().dropFirst(before).map(\.uri).sorted() == missing.map { "/f\($0)" }.sorted())
        for number in missing { try daemon.expectFile("f\(number)", bulk(number, 700)) }
    }

    @Test func `a list name that is taken gets the list's id before its extension`() throws {
        let daemon = try RunningDaemon.start()
        _ = try daemon.finish("hourly.txt", "sum:1\n")
        try daemon.drop("hourly.txt", "sum:2\n")
        let expected = [
            "hourly.txt", "hourly.txt.results.jsonl", "hourly.2.txt", "hourly.2.txt.results.jsonl",
        ]
        try eventually("the second is in done, under names of its own", context: { daemon.account }) {
            // Hidden names are results being written.
            Set(FileTree.names("\(daemon.spool)/done").filter { !$0.hasPrefix(".") }) == Set(expected)
        }
    }

    @Test func `deleting a list in accepted changes nothing`() throws {
        let server = try ScriptedServer()
        let gate = Latch()
        server.routeAll { _ in
            gate.wait(atMost: .seconds(60))
            return ScriptedReply(body: "late".utf8)
        }
        let daemon = try RunningDaemon.start()
        try daemon.drop("gone.txt", "\(server.url("late.bin"))\n")
        try eventually("the request came", context: { daemon.account }) { server.count("/late.bin") == 1 }
        FileTree.remove("\(daemon.spool)/accepted/gone.txt")
        gate.open()
        try eventually("the results are there", context: { daemon.account }) {
            FileTree.exists("\(daemon.spool)/done/gone.txt.results.jsonl")
        }
        try daemon.expectFile("late.bin", Array("late".utf8))
    }

    @Test func `what is written slowly into the spool is read to its end`() throws {
        let server = try ScriptedServer()
        server.routeAll { ScriptedReply(body: $0.path.utf8) }
        let daemon = try RunningDaemon.start()
        let file = try #require(fopen("\(daemon.spool)/slow.txt", "w"))
        fputs("\(server.url("one"))\n", file)
        fflush(file)
        // The scan has to find it standing still before it may be taken without its close.
        fputs("\(server.url("two"))", file)
        fclose(file)
        let ended = try daemon.waitFor("slow.txt")
        #expect(ended.results.map(\.state) == ["done", "done"])
        try daemon.expectFile("two", Array("/two".utf8))
    }

    @Test func `names that are not meant for the spool are left alone`() throws {
        let daemon = try RunningDaemon.start()
        for name in [".hidden", "backup.txt~", "half.tmp", "half.part"] {
            try FileTree.write("sum:1\n", to: "\(daemon.spool)/\(name)")
        }
        _ = try daemon.finish("real.txt", "sum:3\n")
        for name in [".hidden", "backup.txt~", "half.tmp", "half.part"] {
            #expect(FileTree.exists("\(daemon.spool)/\(name)"), "\(name)")
        }
    }
}
