// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import Glibc
import JobModel
import TestKit
import Testing

/// More than fits into memory: lines, files in the spool, jobs in the ledger. Rows L26, L30, C11.
@Suite(.serialized) struct LargeInputTests {
    /// What the daemon may have grown by since `start`, in KiB; the thread sanitizer takes several times the memory.
    private func expectGrowth(_ daemon: RunningDaemon, since start: Int, below limit: Int) throws {
        let peak = try ProcessMemory.peak(of: daemon.process().pid)
        if Sanitizer.keepsFreedMemory { return }
        #expect(peak - start < limit * Patience.factor, "\(start) KiB before, \(peak) KiB at most")
    }

    @Test func `L26 a line of 1 GB costs that line, and 32 MB of memory at most`() throws {
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        let daemon = try RunningDaemon.start()
        let idle = try ProcessMemory.resident(of: daemon.process().pid)
        // The first 128 KiB are text; the rest is a hole in the file, which takes no disk and reads as fast as memory.
        let path = "\(daemon.spool)/.long.tmp"
        try FileTree.write("\(server.url("before"))\n" + String(repeating: "a", count: 128 << 10), to: path)
        let file = open(path, O_WRONLY | O_CLOEXEC)
        let tail = Array("\n\(server.url("after"))\n".utf8)
        #expect(pwrite(file, tail, tail.count, 1 << 30) == tail.count)
        close(file)
        try FileTree.rename(path, "\(daemon.spool)/long.txt")
        let ended = try daemon.waitFor("long.txt")
        #expect(ended.results.map(\.state) == ["done", "failed", "done"])
        #expect(ended.results[1].error?.code == "bad_line")
        #expect(daemon.published == ["after", "before"])
        try expectGrowth(daemon, since: idle, below: 32 << 10)
    }

    @Test func `L30 lists that the kernel's queue had no room for are found as soon as it says so`() throws {
        let room = Int(try FileTree.text("/proc/sys/fs/inotify/max_queued_events").filter(\.isNumber)) ?? 0
        if skip("L30", unless: (1...100_000).contains(room), "the queue takes \(room) events") { return }
        let server = try ScriptedServer()
        server.routeAll { _ in ScriptedReply(body: "ok".utf8) }
        // No scan by the clock comes to help: nothing but the overflow tells of what was lost.
        let daemon = try RunningDaemon.start(["spool": ["rescan": "24h"]])
        #expect(try daemon.finish("first.txt", "\(server.url("first"))\n").folder == "done")
        let idle = try ProcessMemory.resident(of: daemon.process().pid)
        try daemon.process().kill(.stop)
        for number in 0...room {
            let file = open("\(daemon.spool)/.f\(number)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
            #expect(file >= 0)
            close(file)
        }
        // The queue is full by now: of these the kernel says nothing.
        for number in 0..<20 { try daemon.drop("l\(number).txt", "\(server.url("f\(number)"))\n") }
        try daemon.process().kill(.proceed)
        for number in 0..<20 { #expect(try daemon.waitFor("l\(number).txt").folder == "done") }
        #expect(server.requests.count == 21)
        try expectGrowth(daemon, since: idle, below: 32 << 10)
    }

    /// One million by default: the rows of ten take a minute to make here. `DLD_TEST_FULL=1` takes them all. What is
    /// asked is the same for both: bytes read for an answer, against a table of 60 bytes a job or more.
    @Test func `C11 with millions of jobs status reads nothing and a page no more than its 10,000 rows`()
        throws
    {
        let count = getenv("DLD_TEST_FULL") != nil ? 10_000_000 : 1_000_000
        let server = try ScriptedServer()
        server.routeAll { _ in .silence }
        let daemon = try RunningDaemon.start(
            ["hosts": ["default": ["connections": 1]], "timeouts": ["drain": "100ms"]])
        try daemon.drop("l.txt", "\(server.url("f"))\n\(server.url("g"))\n")
        try eventually("it runs", context: { daemon.account }) { try daemon.status().transfersTotal == 1 }
        #expect(try daemon.dlctl("pause", "l.txt").status == 0)
        try eventually("it is paused", context: { daemon.account }) {
            try daemon.status().lists.first?.paused == true
        }
        try daemon.terminate()
        let grow = """
            WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < \(count) + 2)
            INSERT INTO job (seq, list, line, kind, state, host, rank, admitted_at, urls, path)
            SELECT i, 1, i, 0, 5, (SELECT host FROM job WHERE seq = 1), 0, 0, 'http://h/' || i, 'f' || i FROM n;
            UPDATE list SET n_done = \(count), entries = entries + \(count);
            UPDATE host SET n_done = \(count) WHERE id = (SELECT host FROM job WHERE seq = 1);
            UPDATE total SET n_done = \(count), next_seq = \(count) + 3;
            UPDATE span SET last = \(count) + 2;
            """
        let made = try ProgramRun.run(
            try ProgramRun.find("sqlite3"), [daemon.ledger], input: grow, within: .seconds(120))
        #expect(made.status == 0 && made.errors.isEmpty, "\(made.transcript)")
        try daemon.start()

        let before = try bytesRead(daemon)
        for _ in 0..<100 {
            let status = try daemon.status()
            #expect(status.jobs.done == count && status.jobs.total == count + 2)
        }
        let forStatus = try bytesRead(daemon) - before
        #expect(forStatus < 1 << 20, "\(forStatus) bytes for 100 answers")
        // Nothing of the list has failed: the whole table would have to be read to say so.
        let target = "/v1/jobs?state=failed&list=l.txt&limit=10"
        let page = try UnixHTTP.get(daemon.socket, target)
        let document = try JSONDecoder().decode(PageDocument<JobDocument>.self, from: Data(page.body.utf8))
        #expect(page.status == 200 && document.items.isEmpty && document.next != nil)
        let forPage = try bytesRead(daemon) - before - forStatus
        #expect(forPage < 4 << 20, "\(forPage) bytes for a page")
        #expect((FileTree.status(daemon.ledger)?.st_size ?? 0) > 30 * count)
    }

    /// By the whole daemon, from files and sockets, so far: proc_pid_io(5).
    private func bytesRead(_ daemon: RunningDaemon) throws -> Int {
        let lines = try FileTree.lines("/proc/\(try daemon.process().pid)/io")
        return Int(lines.first { $0.hasPrefix("rchar: ") }?.dropFirst(7) ?? "") ?? 0
    }
}
