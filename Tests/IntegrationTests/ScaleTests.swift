// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// Many files, many lines. `DLD_TEST_FULL=1` takes the full sizes, otherwise a size that a debug build does in seconds.
@Suite(.serialized) struct ScaleTests {
    private var isFull: Bool { getenv("DLD_TEST_FULL") != nil }
    private func say(_ text: String) {
        let line = Array("NOTE \(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }
    private func residentKiB(_ daemon: RunningDaemon) throws -> Int {
        try ProcessMemory.resident(of: daemon.process().pid)
    }

    @Test func `ten thousand files from one list, some missing, then only those again`() throws {
        let count = isFull ? 10_000 : Patience.factor > 1 ? 1000 : 5000
        let nginx = try Nginx()
        let isMissing = { (number: Int) in number % 33 == 7 }
        for number in 0..<count where !isMissing(number) {
            try nginx.add("f\(number)", sample(number, 1 + number % 20_000))
        }
        let daemon = try RunningDaemon.start(quickRetries)
        let urls = (0..<count).map { nginx.url("f\($0)") }.joined(separator: "\n") + "\n"
        let start = ContinuousClock.now
        let ended = try daemon.finish("many.txt", urls, within: .seconds(180))
        say("\(count) files in \(ContinuousClock.now - start), resident \(try residentKiB(daemon)) KiB")
        #expect(ended.folder == "failed")
        #expect(ended.results.map(\.line) == Array(1...count))
        let missing = (0..<count).filter(isMissing)
        #expect(ended.results.filter { $0.state == "failed" }.map(\.line) == missing.map { $0 + 1 })
        for number in 0..<count where !isMissing(number) {
            try daemon.expectFile("f\(number)", sample(number, 1 + number % 20_000))
        }
        let before = try nginx.log().count
        for number in missing { try nginx.add("f\(number)", sample(number, 100)) }
        try FileTree.rename("\(daemon.spool)/failed/many.failed.jsonl", "\(daemon.spool)/many.failed.jsonl")
        #expect(try daemon.waitFor("many.failed.jsonl").folder == "done")
        let asked = try nginx.log().dropFirst(before).map(\.uri)
        #expect(asked.sorted() == missing.map { "/f\($0)" }.sorted())
    }

    @Test func `a host that refuses holds up nobody else and costs no memory`() throws {
        let count = isFull ? 1_000_000 : Patience.factor > 1 ? 5000 : 50_000
        let dead = try FreePort.Refusing("127.0.0.2")
        let nginx = try Nginx()
        for number in 0..<1000 { try nginx.add("g\(number)", sample(number, 2000)) }
        let daemon = try RunningDaemon.start(["retry": ["max_attempts": 0]])
        let idle = try residentKiB(daemon)
        let path = "\(daemon.spool)/.dead.tmp"
        let file = try #require(fopen(path, "w"))
        for number in 0..<count { fputs("http://127.0.0.2:\(dead.port)/x\(number)\n", file) }
        fclose(file)
        let start = ContinuousClock.now
        try FileTree.rename(path, "\(daemon.spool)/dead.txt")
        let good = (0..<1000).map { nginx.url("g\($0)") }.joined(separator: "\n") + "\n"
        #expect(try daemon.finish("good.txt", good, within: .seconds(60)).folder == "done")
        say("1,000 good files beside \(count) dead lines in \(ContinuousClock.now - start)")
        var slowest = Duration.zero
        try eventually(within: .seconds(300), "the dead list is admitted", context: { daemon.account }) {
            let asked = ContinuousClock.now
            let status = try UnixHTTP.get(daemon.socket, "/v1/status")
            slowest = max(slowest, ContinuousClock.now - asked)
            #expect(status.status == 200)
            return FileTree.exists("\(daemon.spool)/accepted/dead.txt") && !status.body.contains("admitting")
        }
        let used = try residentKiB(daemon)
        say("\(count) lines admitted within \(ContinuousClock.now - start); slowest status \(slowest)")
        say("resident \(idle) KiB idle, \(used) KiB with \(count) jobs waiting")
        if Sanitizer.keepsFreedMemory { return }
        #expect(used - idle < 100_000, "\(idle) KiB idle, \(used) KiB after")
    }
}
