// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import Locking
import TestKit
import Testing

/// Many small files of one host, whose next orders the workers have in hand.
@Suite struct StagingTests {
    /// Answers at once and counts the requests that are under way.
    private final class Crowd: Sendable {
        private final class Load: Sendable {
            let counts = Guarded((now: 0, most: 0))
        }
        let server: ScriptedServer
        private let load = Load()
        var most: Int { load.counts.withLock { $0.most } }

        /// - Parameter answer: of the how manyth request, from 1; nil: a small file.
        init(_ answer: @escaping @Sendable (Int) -> ScriptedReply? = { _ in nil }) throws {
            server = try ScriptedServer()
            let load = load
            server.routeAll { request in
                load.counts.withLock {
                    $0.now += 1
                    $0.most = max($0.most, $0.now)
                }
                defer { load.counts.withLock { $0.now -= 1 } }
                return answer(request.number) ?? ScriptedReply(body: "<\(request.path)>".utf8)
            }
        }

        func list(_ count: Int) -> String {
            (0..<count).map { server.url("f\($0)") }.joined(separator: "\n") + "\n"
        }
        /// Asked for once each.
        func expectEachOnce(_ count: Int) {
            let paths = server.requests.map(\.path)
            #expect(paths.count == count && Set(paths).count == count)
        }
    }

    private func expectFiles(_ daemon: RunningDaemon, _ count: Int) throws {
        for number in 0..<count { try daemon.expectFile("f\(number)", Array("</f\(number)>".utf8)) }
    }

    @Test(arguments: [1, 3])
    func `however many orders workers hold, the host sees its cap of connections and requests`(
        workers: Int
    ) throws {
        let crowd = try Crowd()
        let daemon = try RunningDaemon.start([
            "workers": .number(workers), "hosts": ["default": ["connections": 4]],
        ])
        let ended = try daemon.finish("many.txt", crowd.list(1500))
        #expect(ended.folder == "done")
        #expect(ended.results.allSatisfy { $0.state == "done" && $0.attempts == 1 })
        crowd.expectEachOnce(1500)
        #expect(crowd.most <= 4)
        #expect(crowd.server.mostOpenConnections <= 4)
        try expectFiles(daemon, 1500)
    }

    @Test func `a real server that closes a connection after every 20 answers is asked for each file once`()
        throws
    {
        var setup = Nginx.Setup()
        setup.keepaliveRequests = 20
        let nginx = try Nginx(setup)
        for number in 0..<600 { try FileTree.write("<\(number)>", to: "\(nginx.root)/f\(number)") }
        let daemon = try RunningDaemon.start(["hosts": ["default": ["connections": 3]]])
        let list = (0..<600).map { nginx.url("f\($0)") }.joined(separator: "\n") + "\n"
        let ended = try daemon.finish("real.txt", list)
        #expect(ended.folder == "done")
        #expect(ended.results.allSatisfy { $0.attempts == 1 && $0.httpStatus == 200 })
        for number in 0..<600 { try daemon.expectFile("f\(number)", Array("<\(number)>".utf8)) }
        try eventually("all of it is in the log") { try nginx.log().count >= 600 }
        let entries = try nginx.log()
        #expect(entries.count == 600 && Set(entries.map(\.uri)).count == 600)
        #expect(entries.allSatisfy { $0.requests <= 20 })
    }

    @Test func `a refusal in the middle stops what is staged, and costs nobody an attempt`() throws {
        let hold = 2 * Patience.factor
        let crowd = try Crowd { number in
            number == 400 ? ScriptedReply(503, headers: [("Retry-After", "\(hold)")]) : nil
        }
        let daemon = try RunningDaemon.start(["workers": 1])
        let ended = try daemon.finish("refused.txt", crowd.list(800))
        #expect(ended.folder == "done")
        #expect(ended.results.allSatisfy { $0.attempts == 1 })
        let requests = crowd.server.requests
        #expect(requests.count == 801)
        let refused = try #require(requests.firstIndex { $0.number == 400 })
        let beside = requests[(refused + 1)...].prefix {
            $0.arrived - requests[refused].arrived < .milliseconds(hold * 1000 - 10)
        }
        #expect(beside.count <= 6, "of what was under way, not of what was staged")
        try expectFiles(daemon, 800)
    }

    @Test func `a lost connection in the middle loses nothing and counts on one job`() throws {
        let crowd = try Crowd { number in
            guard number == 300 else { return nil }
            var reply = ScriptedReply(body: Array(repeating: 7, count: 100))
            reply.ending = .reset(after: 10)
            return reply
        }
        let daemon = try RunningDaemon.start(["workers": 1, "retry": ["base_delay": "10ms"]])
        let ended = try daemon.finish("cut.txt", crowd.list(600))
        #expect(ended.folder == "done")
        #expect(ended.results.map(\.attempts).sorted().suffix(2) == [1, 2])
        try expectFiles(daemon, 600)
    }

    @Test func `a list that is paused has no job left under way, and goes on uncharged`() throws {
        let crowd = try Crowd()
        let daemon = try RunningDaemon.start()
        try daemon.drop("pause.txt", crowd.list(4000))
        try eventually("some came", context: { daemon.account }) { crowd.server.requests.count > 300 }
        #expect(try daemon.dlctl("pause", "pause.txt").status == 0)
        try eventually("nothing is under way", context: { daemon.account }) {
            let status = try daemon.status()
            return status.transfersTotal == 0 && status.jobs.active == 0
        }
        #expect(try daemon.dlctl("resume", "pause.txt").status == 0)
        let ended = try daemon.waitFor("pause.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.allSatisfy { $0.state == "done" && $0.attempts == 1 })
        try expectFiles(daemon, 4000)
    }

    @Test func `a list that is cancelled ends each job once, with a file only where it is done`() throws {
        let crowd = try Crowd()
        let daemon = try RunningDaemon.start()
        try daemon.drop("cancel.txt", crowd.list(4000))
        // The list is still on its way in.
        try eventually("some came", context: { daemon.account }) { crowd.server.requests.count > 300 }
        #expect(try daemon.dlctl("cancel", "cancel.txt").status == 0)
        let ended = try daemon.waitFor("cancel.txt")
        #expect(ended.results.count == 4000)
        let done = ended.results.filter { $0.state == "done" }
        #expect(ended.results.allSatisfy { $0.state == "done" || $0.state == "cancelled" })
        #expect(Set(done.compactMap(\.path)) == Set(daemon.published))
    }

    @Test func `a stop in the middle is clean, and the next start fetches the rest, each once charged`()
        throws
    {
        let crowd = try Crowd()
        let daemon = try RunningDaemon.start()
        try daemon.drop("stop.txt", crowd.list(3000))
        try eventually("some came", context: { daemon.account }) { crowd.server.requests.count > 300 }
        #expect(try daemon.terminate() == .exited(0))
        try daemon.start()
        let ended = try daemon.waitFor("stop.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.allSatisfy { $0.state == "done" && $0.attempts == 1 })
        try expectFiles(daemon, 3000)
    }

    @Test func `kill -9 in the middle loses nothing, and charges no more than was under way`() throws {
        let crowd = try Crowd()
        let daemon = try RunningDaemon.start(["workers": 1])
        try daemon.drop("kill.txt", crowd.list(3000))
        try eventually("some came", context: { daemon.account }) { crowd.server.requests.count > 300 }
        try daemon.restart(killing: true)
        let ended = try daemon.waitFor("kill.txt")
        #expect(ended.folder == "done")
        #expect(ended.results.allSatisfy { $0.state == "done" && $0.attempts <= 2 })
        try expectFiles(daemon, 3000)
        #expect(try daemon.terminate() == .exited(0))
        #expect(try daemon.dld("fsck").status == 0)
    }
}
