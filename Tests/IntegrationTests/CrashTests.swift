// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// A crash changes nothing.
@Suite(.serialized) struct CrashTests {
    @Test func `ten kills during one list lose nothing and double nothing`() throws {
        let nginx = try Nginx()
        let count = Patience.factor > 1 ? 1500 : 5000
        for number in 0..<count { try nginx.add("d/f\(number)", sample(number, 200 + number % 9000)) }
        let daemon = try RunningDaemon.start()
        let urls = (0..<count).map { nginx.url("d/f\($0)") }.joined(separator: "\n") + "\n"
        try daemon.drop("crash.txt", urls)
        for round in 1...10 {
            // Each kill after some more files, so that they fall all over the list.
            let goal = count * round / 12
            try eventually(within: .seconds(60), "\(goal) files", context: { daemon.account }) {
                FileTree.names(daemon.output).count > goal
            }
            try daemon.kill()
            try daemon.start()
        }
        let ended = try daemon.waitFor("crash.txt", within: .seconds(120))
        #expect(ended.folder == "done")
        #expect(ended.results.map(\.line) == Array(1...count))
        #expect(FileTree.names(daemon.output).count == count + 1)
        for number in 0..<count { try daemon.expectFile("f\(number)", sample(number, 200 + number % 9000)) }
        #expect(daemon.partFiles.isEmpty)
    }

    @Test func `a drained file goes on where it was, with a checked range`() throws {
        let body = sample(7, 400_000)
        let server = try ScriptedServer()
        server.route("/part") { request in
            var reply = ScriptedFile(body, etag: "\"strong\"").reply(to: request)
            if request.range == nil { reply.ending = .stall(after: 300_000) }
            return reply
        }
        let daemon = try RunningDaemon.start(["timeouts": ["drain": "100ms"]])
        try daemon.drop("part.txt", "\(server.url("part"))\n")
        try eventually("most of it was sent", context: { daemon.account }) { server.sentBodyBytes >= 300_000 }
        #expect(try daemon.terminate() == .exited(0))
        try daemon.start()
        let ended = try daemon.waitFor("part.txt")
        #expect(ended.folder == "done")
        try daemon.expectFile("part", body)
        let second = try #require(server.requests("/part").last)
        #expect((second.range?.first ?? 0) > 0, "resumed from \(second.range?.first ?? 0)")
        #expect(second.header("if-range") == "\"strong\"")
    }

    @Test func `a new version at the origin is never glued to the old part`() throws {
        let old = sample(1, 300_000)
        let new = sample(2, 300_000)
        let server = try ScriptedServer()
        var first = ScriptedFile(old, etag: "\"old\"").reply(to: ScriptedRequest.plain)
        first.ending = .stall(after: 200_000)
        server.route("/v", first)
        let daemon = try RunningDaemon.start(["timeouts": ["drain": "100ms"]])
        try daemon.drop("v.txt", "\(server.url("v"))\n")
        try eventually("half of it was sent") { server.sentBodyBytes >= 200_000 }
        try daemon.terminate()
        server.route("/v", ScriptedFile(new, etag: "\"new\""))
        try daemon.start()
        #expect(try daemon.waitFor("v.txt").folder == "done")
        try daemon.expectFile("v", new)
    }
}
