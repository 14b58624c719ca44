// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import TestKit
import Testing

/// An HTTP/2 host on several workers, against a real nginx.
@Suite struct StreamTests {
    private static let size = 12_000

    /// Answers begin at once, and then take a second or two.
    private func nginx(files: Int, _ change: (inout Nginx.Setup) -> Void = { _ in }) throws -> Nginx {
        var setup = Nginx.Setup()
        setup.hasTLS = true
        setup.slowRate = "6k"
        change(&setup)
        let nginx = try Nginx(setup)
        for number in 0..<files { try nginx.add("f\(number)", bulk(number, Self.size)) }
        return nginx
    }
    private func daemon(_ nginx: Nginx, workers: Int) throws -> RunningDaemon {
        try RunningDaemon.start([
            "workers": .number(workers),
            "network": ["ca_file": .text(try #require(nginx.caFile))],
        ])
    }
    private func list(_ nginx: Nginx, _ files: Int) -> String {
        (0..<files).map { nginx.url("slow/f\($0)", tls: true) }.joined(separator: "\n")
    }
    private func connections(_ nginx: Nginx) throws -> Int { Set(try nginx.log().map(\.connection)).count }

    @Test func `two workers have 128 transfers of one HTTP 2 host at once, on no more than four connections`()
        throws
    {
        let nginx = try nginx(files: 400)
        let daemon = try daemon(nginx, workers: 2)
        try daemon.drop("many.txt", list(nginx, 400))
        try eventually("both workers are full", context: { daemon.account }) {
            try daemon.status().workers.filter { $0.name.hasPrefix("dld-xfer") }.map(\.active) == [64, 64]
        }
        let host = try #require(try daemon.status().hosts.first)
        #expect(host.connections <= 4 && host.active <= 128, "\(host)")
        let ended = try daemon.waitFor("many.txt")
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.allSatisfy { $0.httpVersion == "2" && $0.attempts == 1 })
        for number in stride(from: 0, to: 400, by: 37) {
            try daemon.expectFile("f\(number)", bulk(number, Self.size))
        }
        // Over the whole run: one that came beyond those counted is shared until its transfers are over.
        let count = try connections(nginx)
        #expect(count <= 6, "\(count) connections")
    }

    @Test func `four workers and a list without end keep to the six connections of a host`() throws {
        let nginx = try nginx(files: 500) { $0.slowRate = "12k" }
        let daemon = try daemon(nginx, workers: 4)
        let ended = try daemon.finish("cap.txt", list(nginx, 500))
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        let count = try connections(nginx)
        #expect(count <= 6, "\(count) connections")
    }

    @Test func `a server that grants eight streams never sees more connections than the cap`() throws {
        let nginx = try nginx(files: 200) {
            $0.slowRate = "24k"
            $0.directives = "http2_max_concurrent_streams 8;"
        }
        let daemon = try daemon(nginx, workers: 4)
        let ended = try daemon.finish("few.txt", list(nginx, 200))
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.allSatisfy { $0.attempts == 1 })
        let count = try connections(nginx)
        #expect(count <= 6, "\(count) connections")
        // All on one worker.
        #expect(Set(ended.results.map(\.worker)).count == 1)
    }

    @Test func `a few transfers of an HTTP 2 host ride one connection, however many workers there are`()
        throws
    {
        let nginx = try nginx(files: 30)
        let daemon = try daemon(nginx, workers: 4)
        #expect(try daemon.finish("small.txt", list(nginx, 30)).folder == "done")
        #expect(try connections(nginx) == 1)
    }

    @Test func `connections that the server ends after fifty requests cost no attempt on any worker`() throws
    {
        let nginx = try nginx(files: 600) {
            $0.slowRate = "24k"
            $0.keepaliveRequests = 50
        }
        let daemon = try daemon(nginx, workers: 2)
        let ended = try daemon.finish("away.txt", list(nginx, 600))
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        #expect(ended.results.allSatisfy { $0.attempts == 1 })
        // Twelve at least; a connection that is going is replaced by one.
        let count = try connections(nginx)
        #expect(count <= 30, "\(count) connections")
    }
}
