// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import Glibc
import JobModel
import Locking
import TestKit
import Testing

/// Clients that mean harm or know no better.
@Suite struct ServerFaultTests {
    /// What an error answer must be: JSON with a code, and the connection closed behind it.
    private func expectError(_ status: Int, _ answer: String, _ comment: Comment? = nil) throws {
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "), comment)
        #expect(answer.lowercased().contains("connection: close"), comment)
        let body = answer.split(separator: "\r\n\r\n", maxSplits: 1).last ?? ""
        let document = try ControlAPI.decode(ErrorDocument.self, from: Array(body.utf8))
        #expect(!document.error.message.isEmpty, comment)
    }

    // `0` in a circle stands for NUL: a test's arguments are printed.
    @Test(arguments: [
        "⓪⓪garbage\r\n\r\n", "GET\r\n\r\n", "GET /v1/status HTTP/9.9\r\n\r\n",
        "GET /v1/sta⓪tus HTTP/1.1\r\nHost: dld\r\n\r\n", "G⓪T /v1/status HTTP/1.1\r\nHost: dld\r\n\r\n",
        "GET /v1/status HTTP/1.1\r\nHost: dld\r\nContent-Length: minus one\r\n\r\n",
        "GET /v1/status HTTP/1.1\r\nHost: dld\r\nX: a⓪b\r\n\r\n",
        "POST /v1/reload HTTP/1.1\r\nHost: dld\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n",
        "{\"state\": \"queued\"}\r\n\r\n",
    ])
    func `C1 garbage is answered 400 with a JSON error, closed, and has no effect`(bytes: String) throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        try raw.send(bytes.split(separator: "⓪", omittingEmptySubsequences: false).joined(separator: "\u{0}"))
        try expectError(400, try raw.readAll(), "\(bytes)")
        #expect(server.backend.questions.isEmpty)
        #expect(try server.get("/v1/status").status == 200)
    }

    @Test func `C1 half a line and then nothing is answered 400 and closed`() throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        try raw.send("GET /v1/sta")
        raw.finishSending()
        try expectError(400, try raw.readAll())
    }

    @Test(arguments: ["/v1/lists/%FF", "/v1/lists/%00", "/v1/lists/%zz", "/v1/jobs?state=%C3%28"])
    func `C1 a target that is no UTF-8 is 400`(target: String) throws {
        let server = try RunningServer()
        #expect(try server.get(target).status == 400)
        #expect(server.backend.questions.isEmpty)
    }

    @Test func `C1 garbage behind a good request does not spoil that one's answer`() throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        try raw.send("GET /v1/lists HTTP/1.1\r\nHost: dld\r\n\r\n\u{1}\u{2}\u{3}\r\n\r\n")
        #expect(try raw.readAll().hasPrefix("HTTP/1.1 200 "))
    }

    @Test func `an error answer closes its connection, a good one keeps it`() throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        for target in ["/v1/status", "/v1/status", "/v1/nothing", "/v1/status"] {
            try? raw.send("GET \(target) HTTP/1.1\r\nHost: dld\r\n\r\n")  // the last finds it closed
        }
        let answers = try raw.readAll()
        #expect(answers.split(separator: "HTTP/1.1 200 ", omittingEmptySubsequences: false).count == 3)
        #expect(answers.contains("HTTP/1.1 404 "))
        #expect(answers.split(separator: "HTTP/1.1 404 ").last?.contains("HTTP/1.1") == false)
    }

    @Test(arguments: [
        "/v1/lists/..%2F..%2Fetc%2Fpasswd", "/v1/jobs/../../etc/passwd", "/v1/jobs/1%27%20OR%20%271%27=%271",
        "/v1/jobs/00000000000000000", "/v1/jobs/5f0c2e9a11d04bzz", "/v1/jobs?after=0;drop%20table%20job",
        "/v1/jobs?list=..", "/v1/hosts/a%2Fb/release", "/v1/lists/.", "/v1/lists?after=-1",
    ])
    func `C5 a path or SQL text for an id is refused before anybody is asked`(target: String) throws {
        let server = try RunningServer()
        #expect([400, 404, 405].contains(try server.get(target).status))
        #expect(server.backend.questions.isEmpty)
    }

    @Test func `C4 a body of a gigabyte is refused after 64 KiB, whatever its nesting`() throws {
        let server = try RunningServer()
        let told = try RawConnection(server.socket)
        try told.send("POST /v1/reload HTTP/1.1\r\nHost: dld\r\nContent-Length: 1073741824\r\n\r\n")
        try told.send(String(repeating: "[", count: 100_000))
        #expect(try told.readHead().hasPrefix("HTTP/1.1 413 "))
        let chunked = try RawConnection(server.socket)
        try chunked.send("POST /v1/reload HTTP/1.1\r\nHost: dld\r\nTransfer-Encoding: chunked\r\n\r\n")
        try chunked.send("186A0\r\n" + String(repeating: "[", count: 100_000) + "\r\n")
        #expect(try chunked.readHead().hasPrefix("HTTP/1.1 413 "))
        #expect(server.backend.questions.isEmpty)
        #expect(try server.get("/v1/status").status == 200)
    }

    @Test func `C9 clients that die in the middle of an answer leave no connection behind`() throws {
        let server = try RunningServer()
        for _ in 0..<50 {
            let raw = try RawConnection(server.socket)
            try raw.send(String(repeating: "GET /v1/jobs HTTP/1.1\r\nHost: dld\r\n\r\n", count: 20))
        }
        try eventually("none is left") { server.connectionCount == 0 }
        #expect(try server.get("/v1/status").status == 200)
    }

    @Test func `C10 descriptors that a client passes along are closed`() throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { close(ends[0]) }
        try raw.send("GET /v1/status HTTP/1.1\r\nHost: dld\r\n\r\n", passing: ends[1])
        close(ends[1])
        #expect(try raw.readHead().hasPrefix("HTTP/1.1 200 "))
        // The pipe has no writer any more: our own end is closed, and so is the one that was sent.
        var watched = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
        #expect(poll(&watched, 1, Int32(10_000 * Patience.factor)) == 1)
        var byte: UInt8 = 0
        #expect(read(ends[0], &byte, 1) == 0)
    }

    @Test func `C7 a socket whose path was given to another is left to it at the stop`() throws {
        let server = try RunningServer()
        #expect(unlink(server.socket) == 0)
        let file = open(server.socket, O_CREAT | O_EXCL | O_WRONLY, 0o600)
        close(file)
        server.stop(within: .seconds(1))
        var status = stat()
        #expect(lstat(server.socket, &status) == 0)
    }
}

/// Too many, too slow.
@Suite struct ServerLoadTests {
    @Test func `C2 of 10,000 connections 64 are served, the others told 503 and closed`() throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        // Under the sanitizer a tenth: more would starve the tests beside it.
        let count = min(Patience.factor > 1 ? 1000 : 10_000, Int(limit.rlim_cur) - 1000)
        let server = try RunningServer {
            // None of the served is closed while the flood comes in, however slow the machine.
            $0.deadlines.head = .seconds(120)
        }
        var served: [RawConnection] = []
        for _ in 0..<64 { served.append(try RawConnection(server.socket)) }
        try eventually("64 are in") { server.connectionCount == 64 }
        let flood = try (0..<count).map { _ in try RawConnection(server.socket) }
        var refused = 0
        for client in flood where try client.readAll().hasPrefix("HTTP/1.1 503 ") { refused += 1 }
        #expect(refused == count)
        #expect(server.connectionCount == 64)
        try served[0].send("GET /v1/status HTTP/1.1\r\nHost: dld\r\n\r\n")
        #expect(try served[0].readHead().hasPrefix("HTTP/1.1 200 "))
        // One leaves, and there is room for one.
        served.removeLast()
        try eventually("a slot came free") { server.connectionCount == 63 }
        #expect(try server.get("/v1/status").status == 200)
    }

    @Test func `C2 connections that say nothing make room by themselves`() throws {
        let server = try RunningServer { $0.deadlines.head = .seconds(2) }
        let silent = try (0..<64).map { _ in try RawConnection(server.socket) }
        try eventually("64 are in") { server.connectionCount == 64 }
        #expect(try server.get("/v1/status").status == 503)
        try eventually("status is answered") { try server.get("/v1/status").status == 200 }
        #expect(silent.count == 64)
    }

    @Test func `C3 a head that trickles is closed`() throws {
        let server = try RunningServer { $0.deadlines.head = .milliseconds(300) }
        let raw = try RawConnection(server.socket)
        for byte in "GET /v1/status HTTP/1.1\r\nHost: dld\r\n" {
            try? raw.send(String(byte))  // until it is closed
        }
        #expect(try raw.readAll().isEmpty)
        try eventually("none is left") { server.connectionCount == 0 }
    }

    @Test(arguments: ["/v1/reload", "/v1/lists?name=a.txt"])
    func `C3 a body that stops is closed, a list is abandoned`(target: String) throws {
        let server = try RunningServer { $0.deadlines.stall = .milliseconds(200) }
        let raw = try RawConnection(server.socket)
        try raw.send(
            "POST \(target) HTTP/1.1\r\nHost: dld\r\nContent-Length: 100\r\n\r\nhttp://a.example/1\n")
        _ = try raw.readAll()
        try eventually("none is left") { server.connectionCount == 0 }
        #expect(server.backend.seen.withLock { $0.finished.isEmpty })
        if target.contains("lists") {
            try eventually("it is abandoned") { server.backend.seen.withLock { $0.abandoned == ["a.txt"] } }
        }
    }

    @Test func `C3 a request that takes too long as a whole is closed, a posted list is not`() throws {
        let server = try RunningServer { $0.deadlines.request = .milliseconds(200) }
        server.backend.given.withLock { $0.isMute = true }
        let slow = try RawConnection(server.socket)
        try slow.send("GET /v1/lists/1 HTTP/1.1\r\nHost: dld\r\n\r\n")
        #expect(try slow.readAll().isEmpty)
        let list = try RawConnection(server.socket)
        try list.send("POST /v1/lists?name=a.txt HTTP/1.1\r\nHost: dld\r\nContent-Length: 1\r\n\r\n")
        try eventually("it is asked") { server.backend.seen.withLock { $0.kept.count == 2 } }
        let begun = server.backend.seen.withLock { $0.kept[1] as? ControlReply<any ListSink> }
        // Long after the deadline of other requests: the clock that would close it has run out by now.
        let other = try RawConnection(server.socket)
        try other.send("GET /v1/lists/1 HTTP/1.1\r\nHost: dld\r\n\r\n")
        #expect(try other.readAll().isEmpty)
        server.backend.given.withLock { $0.isMute = false }
        begun?.succeed(SinkDouble(backend: server.backend, name: "a.txt"))
        try list.send("x")
        #expect(try list.readHead().hasPrefix("HTTP/1.1 201 "))
    }

    @Test func `C3 a client that does not read its answers is dropped, and they do not pile up`() throws {
        let server = try RunningServer { $0.deadlines.stall = .milliseconds(300) }
        let raw = try RawConnection(server.socket)
        let one = "GET /v1/jobs HTTP/1.1\r\nHost: dld\r\n\r\n"
        // Far more than socket buffers hold; sending blocks, then fails, when the server has enough of it.
        #expect(throws: KitError.self) {
            for _ in 0..<10_000 { try raw.send(String(repeating: one, count: 100)) }
        }
        try eventually("it is dropped") { server.connectionCount == 0 }
        #expect(server.backend.questions.count < 5000)
        #expect(try server.get("/v1/status").status == 200)
    }
}
