// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

@Suite(.serialized) struct QuarantineTests {
    /// Kills the daemon whenever the poisoned path is asked for, as a job would that makes it crash.
    @Test func `a job that takes the daemon down three times is quarantined and the others are not`() throws {
        let server = try ScriptedServer()
        let daemon = try RunningDaemon()
        for number in 0..<40 {
            var file = ScriptedFile(sample(number, 2000)).reply(to: ScriptedRequest.plain)
            file.delay = .milliseconds(30)
            server.route("/f\(number)", file)
        }
        server.route("/poison") { _ in
            (try? daemon.process())?.kill(.kill)  // gone already: killed enough
            return ScriptedFile(sample(99, 10)).reply(to: ScriptedRequest.plain)
        }
        let names = (0..<20).map { "f\($0)" } + ["poison"] + (20..<40).map { "f\($0)" }
        try daemon.drop("boot-loop.txt", names.map { server.url($0) }.joined(separator: "\n") + "\n")
        for _ in 1...8 {
            do { try daemon.start() } catch {
                // It may be dead again before it has answered once.
                continue
            }
            let process = try daemon.process()
            try eventually(within: .seconds(60), "killed, or done", context: { daemon.account }) {
                !process.isRunning || FileTree.exists("\(daemon.spool)/failed/boot-loop.txt")
            }
            if process.isRunning { break }
        }
        #expect(server.count("/poison") == 3)
        let ended = try daemon.waitFor("boot-loop.txt")
        let poison = try #require(ended.results.first { $0.line == 21 })
        #expect(poison.state == "failed")
        #expect(poison.error?.code == "quarantined")
        #expect(ended.results.filter { $0.state == "done" }.count == 40)
        try daemon.terminate()
        #expect(try daemon.dld("fsck", "--strict").status == 0)
    }
}
