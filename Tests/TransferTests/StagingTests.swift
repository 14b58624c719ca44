// SPDX-License-Identifier: Apache-2.0

import JobModel
import TestKit
import Testing

@testable import Transfer

/// Orders that wait in the worker for a transfer of their host to end well.
@Suite struct StagingTests {
    /// Answers wait at the gate; `/bad...` is a 503, `/cut...` breaks in its middle, `/gone...` a 404, `/to` a redirect.
    private func server(_ hold: Gate) -> SocketServer {
        SocketServer { request in
            let answer: [SocketServer.Step]
            switch request.path.prefix(4) {
            case "/bad": answer = [.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")]
            case "/cut": answer = [.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), .reset]
            case "/gon": answer = [.send("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")]
            case "/to": answer = [.send("HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")]
            default: answer = ok(pattern(100))
            }
            return [.wait(hold)] + answer
        }
    }
    private func paths(_ server: SocketServer) -> [String] { server.requests.map(\.path) }

    @Test(arguments: ["/a", "/gone"])
    func `staged orders begin one after another on the connection of the first`(path: String) throws {
        let hold = Gate()
        let server = server(hold)
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let gate = StageGate()
        let first = try bench.order(server.url(path)) { $0.gate = gate }
        let staged = try (1...3).map { number in
            try bench.order(server.url("/s\(number)")) {
                $0.gate = gate
                $0.partName = "p\(number).part"
            }
        }
        bench.send(.start(first))
        for order in staged { bench.send(.stage(order)) }
        hold.open()
        #expect(bench.report(first.token).successor?.token == staged[0].token)
        #expect(bench.report(staged[0].token).successor?.token == staged[1].token)
        #expect(bench.report(staged[1].token).successor?.token == staged[2].token)
        let last = bench.report(staged[2].token)
        #expect(last.successor == nil && last.newConnections == 0)
        #expect(paths(server) == [path, "/s1", "/s2", "/s3"])
        #expect(Set(server.requests.map(\.connection)) == [0])
    }

    @Test(arguments: ["/bad", "/cut"])
    func `a refusal or a lost connection stops those of every transfer behind the gate`(path: String) throws {
        let hold = Gate()
        let later = Gate()
        let bad = server(hold)
        defer { bad.stop() }
        let good = server(later)
        defer { good.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let gate = StageGate()
        let first = try bench.order(bad.url(path)) { $0.gate = gate }
        let other = try bench.order(good.url("/other")) {
            $0.gate = gate
            $0.partName = "o.part"
        }
        let staged = try bench.order(good.url("/s")) { $0.gate = gate }
        bench.send(.start(first))
        bench.send(.start(other))
        bench.send(.stage(staged))
        hold.open()
        #expect(bench.report(first.token).successor == nil)
        #expect(!gate.isOpen)
        later.open()
        #expect(bench.report(other.token).successor == nil)
        bench.send(.unstage(token: staged.token))
        guard case .cancelled(let resume) = bench.report(staged.token).result else {
            Issue.record("not given back")
            return
        }
        #expect(resume == nil)
        #expect(paths(good) == ["/other"])
    }

    @Test func `a redirect leaves them where they are, and they begin when they are told to`() throws {
        let hold = Gate()
        let server = server(hold)
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let gate = StageGate()
        let first = try bench.order(server.url("/to")) { $0.gate = gate }
        let staged = try bench.order(server.url("/s")) { $0.gate = gate }
        bench.send(.start(first))
        bench.send(.stage(staged))
        hold.open()
        #expect(bench.report(first.token).successor == nil)
        #expect(gate.isOpen)
        bench.send(.begin(token: staged.token))
        #expect(bench.report(staged.token).result.part?.size == 100)
        // Told again, crossing: it has begun already.
        bench.send(.begin(token: staged.token))
        #expect(paths(server) == ["/to", "/s"])
    }

    @Test func `one behind another gate takes no place here`() throws {
        let hold = Gate()
        let server = server(hold)
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let first = try bench.order(server.url("/a")) { $0.gate = StageGate() }
        let staged = try bench.order(server.url("/s")) { $0.gate = StageGate() }
        bench.send(.start(first))
        bench.send(.stage(staged))
        hold.open()
        #expect(bench.report(first.token).successor == nil)
        bench.send(.stop(keepsParts: false))
        guard case .cancelled = bench.report(staged.token).result else {
            Issue.record("a stop gives back what is staged")
            return
        }
        #expect(paths(server) == ["/a"])
    }
}
