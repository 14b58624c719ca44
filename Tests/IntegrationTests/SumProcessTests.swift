// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import TestKit
import Testing

/// The sum processes under a daemon: their number, their deaths, and that none outlives it.
@Suite(.serialized) struct SumProcessTests {
    func isGone(_ pid: Int32) -> Bool {
        // A zombie that its new parent has not reaped yet is gone too.
        guard let status = try? FileTree.text("/proc/\(pid)/status") else { return true }  // gone
        return status.contains("State:\tZ")
    }

    @Test func `the number of sum processes follows a reload and no job is lost`() throws {
        let daemon = try RunningDaemon.start(["sum": ["processes": 1]])
        let first = try eventuallySome("one works", context: { daemon.account }) {
            let sums = try daemon.status().sums
            return sums.workerPids.count == 1 ? sums : nil
        }
        try daemon.drop("l.txt", (0..<30).map { "sum:\(40_000_000 + $0)\n" }.joined())
        try eventually("sums run", context: { daemon.account }) { try daemon.status().sums.running > 0 }
        for count in [3, 2] {
            try daemon.configure(["sum": ["processes": .number(count)]])
            let reload = try daemon.dlctl("reload", "--json")
            #expect(reload.status == 0 && !reload.output.contains("sum.processes"), "\(reload.transcript)")
            try eventually("\(count) work", context: { daemon.account }) {
                try daemon.status().sums.workerPids.count == count
            }
        }
        let ended = try daemon.waitFor("l.txt")
        #expect(ended.folder == "done")
        for (place, line) in ended.results.enumerated() {
            let last = 40_000_000 + place
            #expect(line.value == String(last * (last + 1) / 2))
        }
        let sums = try daemon.status().sums
        #expect(sums.pid == first.pid && sums.restarts == 0)
    }

    @Test func `a killed daemon leaves no sum process behind`() throws {
        let daemon = try RunningDaemon.start(["sum": ["processes": 3]])
        let sums = try eventuallySome("they work", context: { daemon.account }) {
            let sums = try daemon.status().sums
            return sums.workerPids.count == 3 ? sums : nil
        }
        try daemon.drop("l.txt", "sum:0..4000000000000\n")
        try eventually("a sum runs", context: { daemon.account }) { try daemon.status().sums.running == 1 }
        let pids = sums.workerPids + [try #require(sums.pid)]
        // Stopped ones too: neither end of file nor a signal that can be caught would end those.
        kill(pids[0], SIGSTOP)
        kill(pids[3], SIGSTOP)
        try daemon.kill()
        try eventually("all are gone", context: { "\(pids)" }) { pids.allSatisfy(isGone) }
    }

    @Test func `a worker's death is told in the log and costs no job`() throws {
        let daemon = try RunningDaemon.start(["sum": ["processes": 2]])
        let sums = try eventuallySome("they work", context: { daemon.account }) {
            let sums = try daemon.status().sums
            return sums.workerPids.count == 2 ? sums : nil
        }
        try daemon.drop("l.txt", (1...20).map { "sum:\($0 * 10_000_000)\n" }.joined())
        try eventually("sums run", context: { daemon.account }) { try daemon.status().sums.running > 0 }
        kill(sums.workerPids[0], SIGKILL)
        #expect(try daemon.waitFor("l.txt").results.map(\.state) == [String](repeating: "done", count: 20))
        try eventually("the log says so", context: { daemon.account }) {
            try daemon.process().errors.contains("worker process \(sums.workerPids[0])")
        }
    }
}
