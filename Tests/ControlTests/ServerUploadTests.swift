// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlClient
import ControlServer
import Glibc
import JobModel
import Locking
import TestKit
import Testing

@Suite struct ServerUploadTests {
    @Test func `a posted list is streamed in chunks and answered with 201 and its id`() throws {
        let server = try RunningServer()
        let body = String(repeating: "https://example.org/a\n", count: 40_000)
        let answer = try server.request("POST", "/v1/lists?name=posted.txt", body: body)
        #expect(answer.status == 201)
        #expect(
            try ControlAPI.decode(AddedDocument.self, from: Array(answer.body.utf8))
                == AddedDocument(id: 4711, name: "posted.txt"))
        let seen = server.backend.seen.withLock { $0 }
        #expect(seen.uploads["posted.txt"] == Array(body.utf8))
        #expect(seen.largestChunk <= 65_536)
        #expect(seen.finished == ["posted.txt"])
        #expect(seen.abandoned.isEmpty)
    }

    @Test func `a list above the limit is refused before its body when its length is told`() throws {
        let server = try RunningServer { $0.maximumList = 1000 }
        let answer = try server.request(
            "POST", "/v1/lists?name=a.txt", body: String(repeating: "x", count: 1001))
        #expect(answer.status == 413)
        #expect(server.backend.questions.isEmpty)
    }

    @Test func `a list above the limit is abandoned when its length was not told`() throws {
        let server = try RunningServer { $0.maximumList = 100_000 }
        let raw = try RawConnection(server.socket)
        try raw.send("POST /v1/lists?name=a.txt HTTP/1.1\r\nHost: dld\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<4 { try raw.send("8000\r\n" + String(repeating: "x", count: 0x8000) + "\r\n") }
        try raw.send("0\r\n\r\n")
        #expect(try raw.readHead().hasPrefix("HTTP/1.1 413 "))
        let seen = server.backend.seen.withLock { $0 }
        #expect(seen.finished.isEmpty)
        #expect(seen.abandoned == ["a.txt"])
    }

    @Test(arguments: [
        "POST /v1/lists?name=a.txt HTTP/1.1\r\nHost: dld\r\nContent-Length: 100\r\n\r\nhttp://a.example/1\n",
        "POST /v1/lists?name=a.txt HTTP/1.1\r\nHost: dld\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ])
    func `a list whose sender goes away in the middle is abandoned`(start: String) throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        try raw.send(start)
        try eventually("the first bytes have arrived") {
            server.backend.seen.withLock { !($0.uploads["a.txt"] ?? []).isEmpty }
        }
        raw.finishSending()
        try eventually("it is abandoned") { server.backend.seen.withLock { $0.abandoned == ["a.txt"] } }
        #expect(server.backend.seen.withLock { $0.finished.isEmpty })
    }

    @Test func `an empty body is no list`() throws {
        let server = try RunningServer()
        #expect(try server.request("POST", "/v1/lists?name=a.txt", body: "").status == 400)
        #expect(server.backend.seen.withLock { $0.abandoned == ["a.txt"] && $0.finished.isEmpty })
    }

    @Test func `what the daemon says of a list is what its sender hears`() throws {
        let server = try RunningServer()
        server.backend.given.withLock { $0.finish = .failure(.rejected("no line of it is good")) }
        let answer = try server.request("POST", "/v1/lists?name=a.txt", body: "x")
        #expect(answer.status == 422)
        #expect(answer.body.contains("no line of it is good"))
        server.backend.given.withLock { $0.uploadFailure = .unavailable("the disk is full") }
        #expect(try server.request("POST", "/v1/lists?name=a.txt", body: "x").status == 503)
    }

    @Test func `a client that asks whether to go on is told so`() throws {
        let server = try RunningServer()
        let raw = try RawConnection(server.socket)
        try raw.send(
            "POST /v1/lists?name=a.txt HTTP/1.1\r\nHost: dld\r\nContent-Length: 1\r\n"
                + "Expect: 100-continue\r\n\r\n"
        )
        #expect(try raw.readHead().hasPrefix("HTTP/1.1 100 "))
        try raw.send("x")
        #expect(try raw.readHead().hasPrefix("HTTP/1.1 201 "))
    }
}

/// A connection that says what it is told to, byte for byte.
final class RawConnection {
    private let descriptor: Int32
    private var received: [UInt8] = []

    init(_ path: String) throws {
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var wait = timeval(tv_sec: 10 * Patience.factor, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else { throw KitError.system("connect \(path)") }
    }
    deinit { close(descriptor) }

    func send(_ text: String) throws {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw KitError.system("send") }
            sent += count
        }
    }
    /// The same, with a descriptor beside the bytes (SCM_RIGHTS, unix(7)).
    func send(_ text: String, passing passed: Int32) throws {
        var bytes = Array(text.utf8)
        // A `struct cmsghdr` (length, level, type), then the descriptor, padded to eight bytes.
        let header = 16
        var control = [UInt8](repeating: 0, count: header + 8)
        let sent = bytes.withUnsafeMutableBytes { text in
            control.withUnsafeMutableBytes { room in
                room.storeBytes(of: header + 4, as: Int.self)
                room.storeBytes(of: Int32(SOL_SOCKET), toByteOffset: 8, as: Int32.self)
                room.storeBytes(of: Int32(SCM_RIGHTS), toByteOffset: 12, as: Int32.self)
                room.storeBytes(of: passed, toByteOffset: header, as: Int32.self)
                var piece = iovec(iov_base: text.baseAddress, iov_len: text.count)
                return withUnsafeMutablePointer(to: &piece) { piece in
                    var message = msghdr()
                    message.msg_iov = piece
                    message.msg_iovlen = 1
                    message.msg_control = room.baseAddress
                    message.msg_controllen = room.count
                    return sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
                }
            }
        }
        guard sent == bytes.count else { throw KitError.system("sendmsg") }
    }
    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Up to an empty line.
    func readHead() throws -> String {
        while true {
            let text = String(decoding: received, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                received = Array(text[end.upperBound...].utf8)
                return String(text[..<end.lowerBound])
            }
            guard try readMore() else { return text }
        }
    }
    /// So many bytes of a body.
    func readBody(_ count: Int) throws -> String {
        while received.count < count, try readMore() {}
        defer { received.removeFirst(min(count, received.count)) }
        return String(decoding: received.prefix(count), as: UTF8.self)
    }
    /// Until the server closes. An answer cut off by a reset counts as its end.
    func readAll() throws -> String {
        while try readMore() {}
        return String(decoding: received, as: UTF8.self)
    }
    private func readMore() throws -> Bool {
        var block = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &block, block.count, 0)
        if count < 0, errno != ECONNRESET { throw KitError.system("receive") }
        received += block.prefix(max(0, count))
        return count > 0
    }
}

extension String {
    /// Foundation's name, without Foundation.
    fileprivate func range(of needle: String) -> Range<String.Index>? {
        var start = startIndex
        while start != endIndex {
            if self[start...].utf8.starts(with: needle.utf8) {
                return start..<utf8.index(start, offsetBy: needle.utf8.count)
            }
            start = utf8.index(after: start)
        }
        return nil
    }
}
