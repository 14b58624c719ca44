// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import Glibc
import JobModel
import LinuxKit
import Locking
import Logging
import TestKit
import Testing

@Suite struct ServerLifeTests {
    private func start(_ path: String, _ backend: BackendDouble = BackendDouble()) throws -> ControlServer {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        var settings = ControlSettings(socketPath: path)
        // On a slow machine a test is silent for longer, and must not be closed for that.
        settings.deadlines.head = settings.deadlines.head * Patience.factor
        settings.deadlines.stall = settings.deadlines.stall * Patience.factor
        return try ControlServer.start(settings: settings, backend: backend, logger: logger)
    }

    @Test func `the socket has its mode and is gone after the stop`() throws {
        let directory = try TempDirectory()
        let path = directory.sub("s")
        let server = try start(path)
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & S_IFMT == S_IFSOCK)
        #expect(status.st_mode & 0o7777 == 0o660)
        server.stop(within: .seconds(1))
        #expect(lstat(path, &status) != 0)
        #expect(throws: KitError.self) { try UnixHTTP.get(path, "/v1/status") }
    }

    @Test func `a dead socket is replaced, a living one is not`() throws {
        let directory = try TempDirectory()
        let path = directory.sub("s")
        // What a crash leaves: bound, and nobody behind it.
        let dead = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(dead, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(dead)
        let first = try start(path)
        defer { first.stop(within: .seconds(1)) }
        do {
            _ = try start(path)
            Issue.record("a second server started on a socket in use")
        } catch let error as ControlServerError {
            #expect(error.code == .inUse)
        }
        #expect(try UnixHTTP.get(path, "/v1/status").status == 200)
    }

    @Test func `a file that is no socket is never touched`() throws {
        let directory = try TempDirectory()
        let path = try directory.file("s", "precious")
        do {
            _ = try start(path)
            Issue.record("started over a file")
        } catch let error as ControlServerError {
            #expect(error.code == .notASocket)
        }
        var status = stat()
        #expect(lstat(path, &status) == 0 && status.st_size == 8)
    }

    @Test func `a directory that is missing or a path too long is told in words`() throws {
        let directory = try TempDirectory()
        for path in [directory.sub("no/s"), directory.sub(String(repeating: "x", count: 120)), ""] {
            do {
                _ = try start(path)
                Issue.record("started on \(path)")
            } catch let error as ControlServerError {
                #expect(error.code == .failed)
                #expect(error.description.contains(path))
            }
        }
    }

    @Test func `a head that is too long is refused, and the next client is served`() throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        let long = String(repeating: "y", count: 100_000)
        try? raw.send("GET /v1/status HTTP/1.1\r\nX: \(long)\r\n\r\n")  // it may be closed before
        #expect(try raw.readAll().hasPrefix("HTTP/1.1 400 "))
        #expect(try server.get("/v1/status").status == 200)
    }

    @Test func `many requests follow each other on one connection`() throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        for _ in 0..<20 {
            try raw.send("POST /v1/reload HTTP/1.1\r\nHost: dld\r\nContent-Length: 4\r\n\r\nbody")
            let head = try raw.readHead()
            #expect(head.hasPrefix("HTTP/1.1 200 "))
            #expect(try raw.readBody(44).hasSuffix("}\n"))
        }
        #expect(server.backend.questions.count == 20)
    }

    @Test func `32 clients at once all get their status`() throws {
        let server = try RunningServer()
        server.backend.given.withLock { $0.status = Samples.busy() }
        let good = Shared(0)
        let clients = (0..<32).map { _ in
            WorkerThread(name: "test-client") {
                for _ in 0..<5 {
                    let answer = try? UnixHTTP.get(server.socket, "/v1/status")  // what fails is not counted
                    guard answer?.status == 200 else { return }
                }
                good.update { $0 += 1 }
            }
        }
        for client in clients { client.join() }
        #expect(good.value == 32)
    }

    @Test func `status is answered while every other question is left hanging`() throws {
        let server = try RunningServer()
        server.backend.given.withLock { $0.isMute = true }
        let hanging = try (0..<8).map { _ in
            let raw = try RawConnection(server.socket)
            try raw.send("GET /v1/jobs HTTP/1.1\r\nHost: dld\r\n\r\n")
            return raw
        }
        try eventually("all are asked") { server.backend.questions.count == 8 }
        #expect(try server.get("/v1/status").status == 200)
        #expect(hanging.count == 8)
    }

    @Test func `a question the daemon never answers becomes 503`() throws {
        let server = try RunningServer { $0.patience = .milliseconds(50) }
        server.backend.given.withLock { $0.isMute = true }
        let answer = try server.get("/v1/jobs")
        #expect(answer.status == 503)
        #expect(answer.headers.contains { $0.name.lowercased() == "retry-after" })
    }

    @Test func `a reply that is lost becomes 503`() throws {
        let reply = Shared<Result<Int, ControlFailure>?>(nil)
        do {
            let lost = ControlReply<Int> { result in reply.update { $0 = result } }
            #expect(reply.value == nil)
            _ = lost
        }
        #expect(reply.value == .failure(.unavailable("the daemon is stopping")))
    }

    @Test func `a connection that says nothing is closed after a while`() throws {
        let server = try RunningServer { $0.deadlines.head = .milliseconds(100) }
        let silent = try RawConnection(server.socket)
        #expect(try silent.readAll().isEmpty)
        let trickling = try RawConnection(server.socket)
        try trickling.send("GET /v1/status HTTP/1.1\r\nX")
        #expect(try !trickling.readAll().hasPrefix("HTTP/1.1 200"))
        try eventually("none is left") { server.connectionCount == 0 }
    }

    @Test func `a stop lets requests under way end`() throws {
        let directory = try TempDirectory()
        let backend = BackendDouble()
        backend.given.withLock { $0.isMute = true }
        let server = try start(directory.sub("s"), backend)
        let raw = try RawConnection(directory.sub("s"))
        try raw.send("GET /v1/lists/1 HTTP/1.1\r\nHost: dld\r\n\r\n")
        try eventually("it is asked") { backend.seen.withLock { !$0.kept.isEmpty } }
        let stopper = WorkerThread(name: "test-stop") { server.stop(within: .seconds(30)) }
        let reply = backend.seen.withLock { $0.kept.first as? ControlReply<ListDocument> }
        reply?.succeed(Samples.list())
        #expect(try raw.readAll().hasPrefix("HTTP/1.1 200 "))
        stopper.join()
    }

    @Test func `a stop is over in its time, whoever still hangs on`() throws {
        let directory = try TempDirectory()
        let backend = BackendDouble()
        backend.given.withLock { $0.isMute = true }
        let server = try start(directory.sub("s"), backend)
        let silent = try RawConnection(directory.sub("s"))
        let raw = try RawConnection(directory.sub("s"))
        try raw.send("GET /v1/lists/1 HTTP/1.1\r\nHost: dld\r\n\r\n")
        let uploading = try RawConnection(directory.sub("s"))
        try uploading.send("POST /v1/lists?name=a.txt HTTP/1.1\r\nHost: dld\r\nContent-Length: 9\r\n\r\n")
        try eventually("both are asked") { backend.questions.count == 2 }
        let begin = ContinuousClock.now
        server.stop(within: .milliseconds(200))
        #expect(ContinuousClock.now - begin < .seconds(5) * Patience.factor)
        #expect(try raw.readAll().hasPrefix("HTTP/1.1 503 "))
        _ = try silent.readAll()
    }
}
