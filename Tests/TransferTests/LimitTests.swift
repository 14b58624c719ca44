// SPDX-License-Identifier: Apache-2.0

import Curl
import Glibc
import JobModel
import TestKit
import Testing

@testable import Transfer

/// What ends a transfer that would not end by itself.
@Suite struct LimitTests {
    /// Each begins some way and then is silent, until the test is over.
    private static let silences: [String: String] = [
        "/nothing": "", "/half-a-head": "HTTP/1.1 200 OK\r\nX-A: b\r\n",
        "/half-a-body": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf",
        "/interim": String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 1000),
    ]

    /// All of them at once, on one worker; what each ended as.
    private func ends(_ change: (inout TransferOrder) -> Void) throws -> [String: TransferFailure] {
        let gate = Gate()
        let server = SocketServer { request in
            [.send(Self.silences[request.path] ?? ""), .wait(gate), .close]
        }
        let bench = WorkerBench()
        defer {
            gate.open()
            bench.close()
            server.stop()
        }
        let orders = try Self.silences.keys.map { path in
            try bench.order(server.url(path)) {
                $0.partName = String(path.dropFirst())
                change(&$0)
            }
        }
        for order in orders { bench.send(.start(order)) }
        var failures: [String: TransferFailure] = [:]
        for order in orders { failures["/" + order.partName] = bench.report(order.token).result.failure }
        return failures
    }

    @Test
    func `silence ends as stalled, in the head as in the body, and after any number of interim answers`()
        throws
    {
        let failures = try ends { $0.stallTimeout = .seconds(1) }
        #expect(failures.count == Self.silences.count)
        for (path, failure) in failures {
            #expect(failure.error.code == .stalled, "\(path): \(failure)")
            #expect(failure.error.isRetryable && failure.uplink == .stalled, "\(path)")
        }
    }

    @Test func `the attempt's deadline ends all of them, to be tried again`() throws {
        let failures = try ends { $0.attemptDeadline = Clock.now() + .milliseconds(300) }
        #expect(failures.count == Self.silences.count)
        for (path, failure) in failures {
            #expect(failure.error.code == .timeout && failure.error.isRetryable, "\(path): \(failure)")
        }
    }

    @Test func `the job's deadline ends all of them for good`() throws {
        let failures = try ends {
            $0.attemptDeadline = Clock.now() + .seconds(3600)
            $0.deadline = Clock.now() + .milliseconds(300)
        }
        #expect(failures.count == Self.silences.count)
        for (path, failure) in failures { #expect(failure.error.code == .jobDeadline, "\(path): \(failure)") }
    }

    @Test func `an attempt whose time is over before its next hop starts nothing`() throws {
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run("http://127.0.0.1:9/a") {
            $0.attemptDeadline = MonotonicTime(nanoseconds: 1)
        }
        #expect(report.result.failure?.error.code == .timeout)
    }

    @Test func `a thousand interim answers and then the file are a file`() throws {
        let server = SocketServer { _ in
            [
                .send(
                    String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 1000)
                        + "HTTP/1.1 103 Early\r\n\r\n")
            ]
                + ok([1, 2, 3])
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        #expect(try bench.run(server.url("/a")).result.part?.size == 3)
    }

    @Test func `a trickle below the lowest speed is a stall, one above it ends with the attempt`() throws {
        let server = try ScriptedServer()
        var trickle = ScriptedReply(body: [UInt8](repeating: 1, count: 100_000))
        trickle.pace = (bytes: 1, every: .milliseconds(20))
        server.route("/slow", trickle)
        let bench = WorkerBench()
        defer {
            bench.close()
            server.stop()
        }
        let slow = try bench.order(server.url("/slow")) {
            $0.lowestSpeed = 1000
            $0.stallTimeout = .seconds(1)
            $0.partName = "slow"
        }
        let fast = try bench.order(server.url("/slow")) {
            $0.attemptDeadline = Clock.now() + .seconds(1)
            $0.partName = "fast"
        }
        bench.send(.start(slow))
        bench.send(.start(fast))
        #expect(bench.report(slow.token).result.failure?.error.code == .stalled)
        #expect(bench.report(fast.token).result.failure?.error.code == .timeout)
    }

    @Test(arguments: [
        // One long line, many short ones, and many interim heads: what counts is all of it together.
        "HTTP/1.1 200 OK\r\nX: " + String(repeating: "y", count: 150_000) + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n"
            + String(repeating: "X: 0123456789012345678901234567890123456789\r\n", count: 8000),
        String(
            repeating: "HTTP/1.1 103 Early\r\nLink: 0123456789012345678901234567890123456789\r\n\r\n",
            count: 6000),
    ])
    func `more than 300 KiB of header fields are refused`(answer: String) throws {
        let server = SocketServer { _ in [.send(answer), .close] }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let failure = try bench.run(server.url("/a")).result.failure
        #expect(
            failure?.error.code == .headerTooLarge && failure?.error.isRetryable == false, "\(failure as Any)"
        )
        #expect(failure?.isLocal == false)
    }

    @Test(arguments: UplinkSignRow.rows)
    func `what libcurl says is a sign of the uplink, or none`(row: UplinkSignRow) {
        var facts = BreakFacts(error: row.error)
        facts.isAccepted = row.isAccepted
        #expect(FailureMap.failure(facts).uplink == row.sign)
    }
}

struct UplinkSignRow: Sendable {
    let error: CurlError
    var isAccepted = false
    let sign: UplinkSign

    private static func connect(_ code: Int32, _ sign: UplinkSign) -> Self {
        Self(error: CurlError(code: .cannotConnect, systemCode: code), sign: sign)
    }
    static let rows: [UplinkSignRow] = [
        Self(error: CurlError(code: .cannotResolveHost), sign: .noName),
        Self(error: CurlError(code: .timedOut), sign: .noAnswer),
        Self(error: CurlError(code: .timedOut), isAccepted: true, sign: .stalled),
        connect(ECONNREFUSED, .answered), connect(ENETUNREACH, .noRoute),
        connect(ENETDOWN, .noRoute), connect(EHOSTUNREACH, .noAnswer), connect(ETIMEDOUT, .noAnswer),
        // A firewall of our own (EPERM), an address that cannot be had: not the network's doing.
        connect(EPERM, .none), connect(EADDRNOTAVAIL, .none),
        Self(error: CurlError(code: .gotNothing), sign: .answered),
        Self(
            error: CurlError(code: .receiveError, detail: "Recv failure: Connection reset by peer"),
            sign: .answered),
        Self(
            error: CurlError(code: .receiveError, detail: "Recv failure: Connection timed out"),
            sign: .stalled),
        Self(error: CurlError(code: .tlsPeerVerification), sign: .answered),
        Self(error: CurlError(code: .malformedURL), sign: .none),
    ]
}
