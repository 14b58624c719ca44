// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import TestKit
import Testing

/// The kernel kills for want of memory, in a cgroup where there is really none left: rows L10 and S3.
@Suite(.serialized) struct OutOfMemoryTests {
    private static func skipped(_ name: String) -> Bool {
        skip(name, unless: MemoryGroup.isPossible, "no memory cgroup can be made here")
    }

    @Test func `L10 four kills for memory in one list lose nothing, fetch nothing twice, quarantine nobody`()
        throws
    {
        if Self.skipped("L10") { return }
        let rounds = 4
        let perRound = 12
        let server = try ScriptedServer()
        let gates = (0...rounds).map { _ in Latch() }
        let held = bulk(10, 600_000)
        // Runs at every kill: a job that was there in three crashes would be quarantined if these were its doing.
        server.route("/held") { request in
            var reply = ScriptedFile(held, etag: "\"h\"").reply(to: request)
            if !gates[rounds].isOpen { reply.ending = .stall(after: min(100_000, reply.body.count)) }
            return reply
        }
        for number in 0..<rounds * perRound {
            server.route("/f\(number)") { request in
                gates[number / perRound].wait(atMost: .seconds(60))
                return ScriptedReply(body: sample(number, 5000 + number))
            }
        }
        let group = try MemoryGroup()
        let daemon = try RunningDaemon(["retry": ["max_attempts": 20]], prefix: group.prefix)
        try daemon.start()
        let names = ["held"] + (0..<rounds * perRound).map { "f\($0)" }
        try daemon.drop("l.txt", names.map { server.url($0) }.joined(separator: "\n") + "\n")
        for round in 0..<rounds {
            gates[round].open()
            try eventually("the files of this round", context: { daemon.account }) {
                try daemon.published.count == (round + 1) * perRound
                    && daemon.status().transfers.contains { $0.path.hasSuffix("held") && $0.bytes > 0 }
            }
            let child = try daemon.process()
            try group.starve(child.pid)
            #expect(try child.wait() == .signalled(SIGKILL))
            try daemon.start()
        }
        gates[rounds].open()
        // Four starts near the memory's end are slow where other tests run beside them.
        let ended = try daemon.waitFor("l.txt", within: .seconds(240))
        #expect(ended.folder == "done", "\(daemon.account)")
        #expect(ended.results.map(\.state) == names.map { _ in "done" })
        try daemon.expectFile("held", held)
        for number in 0..<rounds * perRound {
            try daemon.expectFile("f\(number)", sample(number, 5000 + number))
        }
        #expect(daemon.published.count == names.count && daemon.partFiles.isEmpty)
        // What was done before a kill was not asked for again; only what ran at it was.
        for round in 0..<rounds {
            let ofRound = round * perRound..<(round + 1) * perRound
            #expect(ofRound.allSatisfy { server.count("/f\($0)") <= round + 1 })
        }
        #expect((0..<perRound).allSatisfy { server.count("/f\($0)") == 1 })
        #expect(try group.kills() >= rounds)
    }

    @Test func `S3 a sum worker that is killed for memory is replaced, and twice over one sum is oom`() throws
    {
        if Self.skipped("S3") { return }
        let group = try MemoryGroup()
        let daemon = try RunningDaemon(
            ["sum": ["processes": 1], "retry": ["max_attempts": 1]], prefix: group.prefix)
        try daemon.start()
        // Many minutes of work: it is under way whenever it is looked at.
        try daemon.drop("l.txt", "sum:0..4000000000000\n")
        var victims: Set<Int32> = []
        for _ in 0..<2 {
            let worker = try eventuallySome("a worker is at work", context: { daemon.account }) {
                let sums = try daemon.status().sums
                return sums.running == 1 ? sums.workerPids.first { !victims.contains($0) } : nil
            }
            victims.insert(worker)
            try group.starve(worker)
        }
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.results.map { $0.error?.code } == ["oom"])
        #expect(try daemon.finish("after.txt", "sum:4\n").results.map(\.value) == ["10"])
        #expect(try daemon.process().isRunning && group.kills() >= 2)
    }
}
