// SPDX-License-Identifier: Apache-2.0

import Curl
import Glibc
import Synchronization
import TestKit
import Testing

/// A socket path of one test; the folder goes with it.
private struct SocketPath: ~Copyable {
    let folder: String
    var path: String { folder + "/s" }
    init() {
        var template = Array("/tmp/dld-curl-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    deinit {
        unlink(path)
        rmdir(folder)
    }
}

@Suite struct SocketRequestTests {
    @Test func `a GET over a Unix socket brings status and body`() throws {
        let place = SocketPath()
        let server = SocketServer(.unix(path: place.path)) { _ in
            [.send("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\n")]
        }
        defer { server.stop() }
        let reply = try SocketRequest(socketPath: place.path, path: "/v1/jobs?state=done").perform()
        #expect(reply == .init(status: 404, body: Array("nope\n".utf8)))
        #expect(server.requests[0].path == "/v1/jobs?state=done")
        #expect(server.requests[0].method == "GET")
    }

    @Test func `a POST sends its bytes with their length and without asking for leave`() throws {
        let place = SocketPath()
        let server = SocketServer(.unix(path: place.path)) { _ in
            [.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")]
        }
        defer { server.stop() }
        let bytes = [UInt8](repeating: 7, count: 2_000_000)
        var request = SocketRequest(socketPath: place.path, method: "POST", path: "/v1/lists?name=a")
        request.body = .bytes(bytes, contentType: "application/octet-stream")
        #expect(try request.perform().status == 201)
        #expect(server.requests[0].body == bytes)
        #expect(server.requests[0].headers["expect"] == nil)
        #expect(server.requests[0].headers["content-type"] == "application/octet-stream")
    }

    @Test func `a POST streams a descriptor in chunks`() throws {
        let place = SocketPath()
        let server = SocketServer(.unix(path: place.path)) { _ in
            [.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")]
        }
        defer { server.stop() }
        var ends: [Int32] = [0, 0]
        pipe(&ends)
        defer { close(ends[0]) }
        write(ends[1], "hello", 5)
        close(ends[1])
        var request = SocketRequest(socketPath: place.path, method: "POST", path: "/x")
        request.body = .descriptor(ends[0], size: nil, contentType: "text/plain")
        request.timeout = nil
        #expect(try request.perform().status == 201)
        #expect(server.requests[0].body == Array("hello".utf8))
    }

    @Test func `an empty POST and other methods go out as they are`() throws {
        let place = SocketPath()
        let server = SocketServer(.unix(path: place.path)) { _ in [.send("HTTP/1.1 204 No Content\r\n\r\n")] }
        defer { server.stop() }
        #expect(
            try SocketRequest(socketPath: place.path, method: "POST", path: "/v1/reload").perform().status
                == 204)
        #expect(
            try SocketRequest(socketPath: place.path, method: "DELETE", path: "/x").perform().status == 204)
        #expect(server.requests.map(\.method) == ["POST", "DELETE"])
        #expect(server.requests[0].headers["content-length"] == "0")
    }

    @Test func `an answer is streamed to the receiver, which may stop it`() throws {
        let place = SocketPath()
        let server = SocketServer(.unix(path: place.path)) { _ in
            [.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")]
        }
        defer { server.stop() }
        var text: [UInt8] = []
        let request = SocketRequest(socketPath: place.path, path: "/")
        let status = try request.perform { bytes in
            text += bytes
            return true
        }
        #expect(status == 200)
        #expect(text == Array("abcdef".utf8))
        #expect {
            try request.perform { _ in false }
        } throws: { ($0 as? CurlError)?.code == .writeError }
    }

    @Test func `nobody at the socket is told with its errno`() {
        let place = SocketPath()
        let path = place.path
        #expect {
            try SocketRequest(socketPath: path, path: "/").perform()
        } throws: { error in
            let error = error as? CurlError
            return error?.code == .cannotConnect && error?.systemCode == ENOENT
        }
    }

    @Test func `a server that never answers is a timeout`() {
        let place = SocketPath()
        let gate = Gate()
        let server = SocketServer(.unix(path: place.path)) { _ in [.wait(gate), .close] }
        defer {
            gate.open()
            server.stop()
        }
        var request = SocketRequest(socketPath: place.path, path: "/")
        request.timeout = .milliseconds(50)
        #expect {
            try request.perform()
        } throws: { ($0 as? CurlError)?.code == .timedOut }
    }
}
