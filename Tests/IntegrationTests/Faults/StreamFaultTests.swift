// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// HTTP/2 connections and streams that break: rows H52 to H54.
@Suite struct StreamFaultTests {
    /// Faults, and how many attempts they cost beyond each job's first: none where they were nobody's fault.
    private static let cases: [(FaultServer.Fault, ClosedRange<Int>)] = [
        (.resetMidBody, 2...2), (.endsEarly, 2...2), (.closesMidBody, 2...2),
        (.goAwayThenCloses, 1...1), (.goAwayMidBody, 1...1), (.goAwayThenWhole, 1...1),
        (.refusedStream, 1...1), (.goAwayAtOnce, 1...1),
    ]

    @Test(arguments: cases)
    func `H52 a stream or connection of HTTP 2 that breaks is tried again, and its siblings go on`(
        fault: FaultServer.Fault, attempts: ClosedRange<Int>
    ) async throws {
        try await play(fault, times: 1, attempts)
    }

    @Test func `H52 a GOAWAY in the middle of twenty bodies costs none of them an attempt`() async throws {
        try await FaultCase.play { bench, _ in
            let server = try FaultServer([
                .init(.h2, .goAwayWithAll, times: 20, size: 4000, certificate: bench.certificate)
            ])
            return FaultCase(
                (0..<21).map {
                    .done(server.url("f\($0)"), server.body(), name: "f\($0)", attempts: 1...1)
                }
            ) { _ in
                let (streams, connections) = (server.count("stream"), server.count("connection"))
                // libcurl itself tries some of the refused again, each on a connection of its own.
                return streams == 41 && connections <= 8
                    ? [] : ["\(streams) streams on \(connections) connections"]
            }
        }
    }

    @Test func `H53 a stream reset without an error is tried again`() async throws {
        try await play(.resetWithoutError, times: 1, 2...2)
    }

    private func play(
        _ fault: FaultServer.Fault, times: Int, _ attempts: ClosedRange<Int>, _ test: String = #function
    ) async throws {
        try await FaultCase.play("\(test) \(fault)") { bench, _ in
            let server = try FaultServer([
                .init(.h2, fault, times: times, certificate: bench.certificate)
            ])
            let jobs = (0..<6).map { number in
                FaultJob.done(
                    server.url("f\(number)"), server.body(), name: "f\(number)",
                    attempts: 1...attempts.upperBound)
            }
            return FaultCase(jobs, requests: 0...0) { results in
                let total = results.map(\.attempts).reduce(0, +) - jobs.count
                let extra = attempts.lowerBound - 1...attempts.upperBound - 1
                var wrong = extra.contains(total) ? [] : ["\(total) attempts too many, not \(extra)"]
                // One more for what broke; nothing does where the server serves what it has taken.
                let least = fault == .goAwayThenWhole ? jobs.count : jobs.count + 1
                if !(least...jobs.count + 3).contains(server.count("stream")) {
                    wrong.append("\(server.count("stream")) streams")
                }
                // Siblings that were handed to libcurl before it heard that the connection goes away open one each,
                // up to the host's cap.
                let stays = [.resetMidBody, .endsEarly, .refusedStream, .resetWithoutError].contains(fault)
                let most = stays ? 4 : 6
                if server.count("connection") > most {
                    wrong.append("\(server.count("connection")) connections")
                }
                if !wrong.isEmpty {
                    wrong.append(
                        "\(results.map { "\($0.attempts) attempts, \($0.fetchedBytes ?? -1) bytes" })")
                    wrong.append("\(server.events)")
                    wrong.append(bench.daemon.account)
                }
                return wrong
            }
        }
    }

    @Test func `H54 a hundred streams on a connection that dies are all tried again without a stampede`()
        async throws
    {
        let own: @Sendable () throws -> FaultBench = {
            try FaultBench([
                "workers": 1, "transfers_per_worker": 200, "hosts": ["default": ["streams": 100]],
            ])
        }
        try await FaultCase.play(on: own) { bench, _ in
            let server = try FaultServer([
                .init(.h2, .diesWithAll, times: 100, size: 500, certificate: bench.certificate)
            ])
            return FaultCase(
                (0..<101).map {
                    .done(server.url("f\($0)"), server.body(), name: "f\($0)", attempts: 1...2)
                }, requests: 0...0
            ) { _ in
                let connections = server.count("connection")
                return connections <= 3 ? [] : ["\(connections) connections"]
            }
        }
    }
}
