// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import TestKit
import Testing

@testable import Transfer

@Suite struct TransferLoopTests {
    @Test func `a whole file lands in its part with its facts`() throws {
        let body = pattern(1_000_000)
        let server = SocketServer { _ in
            ok(
                body,
                "ETag: \"v1\"\r\nContent-Type: text/x\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run(server.url("/a")) {
            $0.fileMode = 0o640
            $0.keepsRemoteTime = true
            $0.userAgent = "dld/test"
            $0.referer = "*"
            $0.headers = [HeaderField(name: "X-Own", value: "1")]
            $0.username = "me"
            $0.password = "pw"
        }
        let part = try #require(report.result.part)
        #expect(part.size == 1_000_000)
        #expect(part.isLengthVerified)
        #expect(bench.content() == body)
        var status = stat()
        stat(bench.parts + "/000000000000000c.part", &status)
        #expect(status.st_mode & 0o777 == 0o640)
        #expect(UInt64(status.st_ino) == part.inode)
        #expect(status.st_mtim.tv_sec == 784_111_777)
        #expect(report.seq == JobSeq(12))
        #expect(report.worker == 3)
        #expect(report.fetchedBytes == 1_000_000)
        #expect(report.newConnections == 1)
        #expect(report.response.httpStatus == 200)
        #expect(report.response.httpVersion == "1.1")
        #expect(report.response.remoteIP == "127.0.0.1")
        #expect(report.response.etag == "\"v1\"")
        #expect(report.response.contentLength == 1_000_000)
        #expect(report.timings.connect >= 0 && report.timings.firstByte > 0 && report.timings.transfer >= 0)
        let headers = server.requests[0].headers
        #expect(headers["accept-encoding"] == nil)
        #expect(headers["cookie"] == nil)
        #expect(headers["user-agent"] == "dld/test")
        #expect(headers["referer"] == server.url("/a"))
        #expect(headers["x-own"] == "1")
        #expect(headers["authorization"] == "Basic bWU6cHc=")
    }

    @Test func `an empty file is a file`() throws {
        let server = SocketServer { $0.path == "/204" ? [.send("HTTP/1.1 204 Nothing\r\n\r\n")] : ok([]) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        #expect(try bench.run(server.url("/200")).result.part?.size == 0)
        #expect(bench.content() == [])
        #expect(try bench.run(server.url("/204")).result.part?.isLengthVerified == true)
    }

    @Test func `a 404 fails with its code and leaves nothing`() throws {
        let server = SocketServer { _ in [.send("HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnope")] }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run(server.url("/a"))
        #expect(report.result.failure?.error.code == .http(404))
        #expect(report.result.failure?.isConnectFailure == false)
        #expect(bench.names(in: bench.parts) == [])
    }

    @Test func `connections are reused, also after errors and redirects`() throws {
        let server = SocketServer { request in
            switch request.path {
            case "/no": [.send("HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnope")]
            case "/go": [.send("HTTP/1.1 302 Go\r\nLocation: //u:p@other/x\r\nContent-Length: 0\r\n\r\n")]
            default: ok([1])
            }
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        #expect(try bench.run(server.url("/no")).newConnections == 1)
        #expect(try bench.run(server.url("/go")).result.location == "http://other/x")
        let last = try bench.run(server.url("/a"))
        #expect(last.result.part != nil)
        #expect(last.newConnections == 0)
        #expect(last.timings.connect == 0)
        #expect(server.connectionCount == 1)
    }

    @Test func `a 304 answers a condition`() throws {
        let server = SocketServer { _ in [.send("HTTP/1.1 304 Same\r\n\r\n")] }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run(server.url("/a")) { $0.condition = .etag("W/\"x\"") }
        guard case .notModified = report.result else { return #expect(Bool(false), "\(report.result)") }
        #expect(server.requests[0].headers["if-none-match"] == "W/\"x\"")
        _ = try bench.run(server.url("/a")) {
            $0.condition = .modifiedSince(WallTime(milliseconds: 784_111_777_123))
        }
        #expect(server.requests[1].headers["if-modified-since"] == "Sun, 06 Nov 1994 08:49:37 GMT")
    }

    @Test func `a taken path is told and nothing requested`() throws {
        let server = SocketServer { _ in ok([1]) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        Glibc.close(creat(bench.output + "/there", 0o644))
        let taken = try bench.run(server.url("/a")) {
            $0.preflight = Preflight(path: OutputPath(trusted: "there"))
        }
        guard case .taken(let size, _) = taken.result else { return #expect(Bool(false), "\(taken.result)") }
        #expect(size == 0)
        #expect(server.requests.isEmpty)
        let free = try bench.run(server.url("/a")) {
            $0.preflight = Preflight(path: OutputPath(trusted: "free"))
        }
        #expect(free.result.part != nil)
    }

    @Test func `no length and a closed connection is not verified`() throws {
        let server = SocketServer { _ in [.send("HTTP/1.0 200 OK\r\n\r\nabc"), .close] }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        #expect(try bench.run(server.url("/a")).result.part?.isLengthVerified == false)
        #expect(try bench.run(server.url("/a")) { $0.expectedSize = 3 }.result.part?.isLengthVerified == true)
    }

    @Test func `too large a file is stopped, with and without a length`() throws {
        let server = SocketServer { request in
            request.path == "/told"
                ? ok(pattern(200_000))
                : [.send("HTTP/1.1 200 OK\r\n\r\n"), .sendBytes(pattern(200_000)), .close]
        }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        for path in ["/told", "/untold"] {
            let report = try bench.run(server.url(path)) { $0.maxFileSize = 100_000 }
            #expect(report.result.failure?.error.code == .tooLarge)
            #expect(report.result.failure?.resume == nil)
            #expect(bench.names(in: bench.parts) == [])
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", ErrorCode.badLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", .badLength),
        ("HTTP/1.1 200 OK\r\nX: " + String(repeating: "y", count: 150_000) + "\r\n\r\n", .headerTooLarge),
        ("garbage\r\n\r\n", .protocol),
        ("HTTP/1.1 302 x\r\nLocation: /a\r\nLocation: /b\r\n\r\n", .protocol),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", .protocol),
        ("", .truncated),
    ])
    func `hostile answers fail with their class`(answer: String, code: ErrorCode) throws {
        let server = SocketServer { _ in [.send(answer), .close] }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run(server.url("/a"))
        #expect(report.result.failure?.error.code == code, "\(report.result)")
        #expect(report.result.failure?.isLocal == false)
        #expect(bench.names(in: bench.parts) == [])
    }

    @Test func `many small headers are fine`() throws {
        let fields = (0..<6000).map { "X-\($0): abcdefghij\r\n" }.joined()
        let server = SocketServer { _ in ok([1, 2], fields) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        #expect(try bench.run(server.url("/a")).result.part?.size == 2)
    }

    @Test func `a private address is denied before connecting`() throws {
        let server = SocketServer { _ in ok([1]) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run(server.url("/a")) {
            $0.addressPolicy = AddressPolicy(rule: .deny, isRedirectFromPublic: false)
        }
        #expect(report.result.failure?.error.code == .privateAddress)
        #expect(server.connectionCount == 0)
    }

    @Test func `a private address is denied on a warm connection too`() throws {
        let server = SocketServer { _ in ok([1]) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        #expect(try bench.run(server.url("/a")).result.part != nil)
        let report = try bench.run(server.url("/b")) {
            $0.addressPolicy = AddressPolicy(rule: .redirectDeny, isRedirectFromPublic: true)
        }
        #expect(report.result.failure?.error.code == .privateAddress)
        #expect(server.requests.map(\.path) == ["/a"])
    }

    @Test func `a trusted proxy is exempt, and its targets are judged by name`() throws {
        let server = SocketServer { _ in ok([1]) }
        defer { server.stop() }
        let bench = WorkerBench()
        defer { bench.close() }
        let deny = AddressPolicy(rule: .deny, isRedirectFromPublic: false)
        let through = try bench.run("http://example.org/a") {
            $0.proxy = server.url("")
            $0.isProxyTrusted = true
            $0.addressPolicy = deny
        }
        #expect(through.result.part != nil, "\(through.result)")
        #expect(server.requests.map(\.path) == ["http://example.org/a"])
        let local = try bench.run("http://10.0.0.1/a") {
            $0.proxy = server.url("")
            $0.isProxyTrusted = true
            $0.addressPolicy = deny
        }
        #expect(local.result.failure?.error.code == .privateAddress)
    }

    @Test func `nobody listening is a connect failure`() throws {
        let server = SocketServer { _ in ok([1]) }
        let url = server.url("/a")
        server.stop()
        let bench = WorkerBench()
        defer { bench.close() }
        let failure = try bench.run(url).result.failure
        #expect(failure?.error.code == .connect)
        #expect(failure?.isConnectFailure == true)
    }

    @Test func `a scheme that is not allowed is not fetched`() throws {
        let bench = WorkerBench()
        defer { bench.close() }
        #expect(try bench.run("ftp://127.0.0.1/a").result.failure?.error.code == .redirectScheme)
    }

    @Test func `a directory that is not there is local trouble`() throws {
        let server = SocketServer { _ in ok([1]) }
        defer { server.stop() }
        let bench = WorkerBench(makesParts: false)
        defer { bench.close() }
        let failure = try bench.run(server.url("/a")).result.failure
        #expect(failure?.isLocal == true)
        #expect(failure?.error.code == .disk)
        #expect(failure?.systemCode == ENOENT)
        mkdir(bench.parts, 0o700)
        #expect(try bench.run(server.url("/a")).result.part != nil)
    }

    @Test func `a parts directory that is a symbolic link is not written through`() throws {
        let server = SocketServer { _ in ok([1]) }
        defer { server.stop() }
        let bench = WorkerBench(makesParts: false)
        defer { bench.close() }
        let elsewhere = bench.folder + "/elsewhere"
        mkdir(elsewhere, 0o700)
        symlink(elsewhere, bench.parts)
        let failure = try bench.run(server.url("/a")).result.failure
        #expect(failure?.isLocal == true && failure?.systemCode == ELOOP)
        #expect(bench.names(in: elsewhere) == [])
        unlink(bench.parts)
        rename(elsewhere, bench.parts)
        #expect(try bench.run(server.url("/a")).result.part != nil)
    }

    @Test func `a deadline in the past starts nothing`() throws {
        let bench = WorkerBench()
        defer { bench.close() }
        let report = try bench.run("http://127.0.0.1:9/a") { $0.deadline = MonotonicTime(nanoseconds: 1) }
        #expect(report.result.failure?.error.code == .jobDeadline)
    }
}
