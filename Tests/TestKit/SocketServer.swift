// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit
import Locking

/// A server on plain sockets that answers each request with the bytes a test scripted, right or wrong.
///
/// One thread accepts, one serves each connection. Everything it received is read back through `requests`.
public final class SocketServer: Sendable {
    public enum Address: Sendable {
        /// 127.0.0.1, a free port.
        case loopback
        case unix(path: String)
    }

    public struct Request: Sendable {
        /// Which connection it came on, from 0.
        public var connection: Int
        /// Which request of all, from 0.
        public var index: Int
        public var method: String
        public var path: String
        /// Names in lower case.
        public var headers: [String: String]
        public var body: [UInt8]
    }

    /// What the server does for an answer, in order. Afterwards it reads the next request of that connection.
    public enum Step: Sendable {
        case send(String)
        case sendBytes([UInt8])
        /// Goes on once the gate is open.
        case wait(Gate)
        /// Ends the connection properly.
        case close
        /// Ends it with RST.
        case reset
    }

    public let port: Int
    private let listener: Int32
    private let script: @Sendable (Request) -> [Step]
    private struct State {
        var requests: [Request] = []
        var open: Set<Int32> = []
        var threads: [WorkerThread] = []
        var connections = 0
        var isStopped = false
    }
    private let state = Guarded(State())

    public init(_ address: Address = .loopback, script: @escaping @Sendable (Request) -> [Step]) {
        self.script = script
        switch address {
        case .loopback:
            listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let fd = listener
            let bound = withUnsafeMutablePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(fd, $0, length) == 0 && getsockname(fd, $0, &length) == 0
                }
            }
            precondition(bound, "bind: errno \(errno)")
            port = Int(UInt16(bigEndian: name.sin_port))
        case .unix(let path):
            listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var name = sockaddr_un()
            name.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: Array(path.utf8) + [0]) }
            let fd = listener
            let bound = withUnsafePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                }
            }
            precondition(bound, "bind \(path): errno \(errno)")
            port = 0
        }
        precondition(listen(listener, 64) == 0, "listen: errno \(errno)")
        let thread = WorkerThread(name: "script-accept") { [self] in acceptAll() }
        state.withLock { $0.threads.append(thread) }
    }

    /// `http://127.0.0.1:PORT` and the path.
    public func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }
    /// Everything received so far.
    public var requests: [Request] { state.withLock { $0.requests } }
    /// Connections accepted so far.
    public var connectionCount: Int { state.withLock { $0.connections } }

    /// Ends all connections and threads. Gates must be open.
    public func stop() {
        let threads = state.withLock { state in
            state.isStopped = true
            for fd in state.open { shutdown(fd, Int32(SHUT_RDWR)) }
            defer { state.threads = [] }
            return state.threads
        }
        shutdown(listener, Int32(SHUT_RDWR))
        for thread in threads { thread.join() }
        // Connections accepted in between have threads of their own.
        for thread in state.withLock({ $0.threads }) { thread.join() }
        close(listener)
    }

    private func acceptAll() {
        while true {
            let fd = accept(listener, nil, nil)
            if fd < 0 { return }
            let number = state.withLock { state in
                state.open.insert(fd)
                state.connections += 1
                if state.isStopped { shutdown(fd, Int32(SHUT_RDWR)) }
                return state.connections - 1
            }
            let thread = WorkerThread(name: "script-\(number)") { [self] in serve(fd, number) }
            state.withLock { $0.threads.append(thread) }
        }
    }

    private func serve(_ fd: Int32, _ connection: Int) {
        var input: [UInt8] = []
        defer {
            _ = state.withLock { $0.open.remove(fd) }
            close(fd)
        }
        while let request = read(fd, &input, connection) {
            for step in script(request) {
                switch step {
                case .send(let text): guard write(fd, Array(text.utf8)) else { return }
                case .sendBytes(let bytes): guard write(fd, bytes) else { return }
                case .wait(let gate): gate.wait()
                case .close: return
                case .reset:
                    var linger = linger(l_onoff: 1, l_linger: 0)
                    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
                    return
                }
            }
        }
    }

    private func write(_ fd: Int32, _ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(fd, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    private func read(_ fd: Int32, _ input: inout [UInt8], _ connection: Int) -> Request? {
        guard let head = take(fd, &input, through: "\r\n\r\n") else { return nil }
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        let words = lines[0].split(separator: " ")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = String(
                line[line.index(after: colon)...].drop { $0 == " " })
        }
        var body: [UInt8] = []
        if headers["transfer-encoding"] == "chunked" {
            while let line = take(fd, &input, through: "\r\n") {
                let size = Int(String(decoding: line.dropLast(2), as: UTF8.self), radix: 16) ?? 0
                guard let chunk = take(fd, &input, count: size + 2) else { return nil }
                body += chunk.dropLast(2)
                if size == 0 { break }
            }
        } else if let length = headers["content-length"].flatMap({ Int($0) }) {
            guard let bytes = take(fd, &input, count: length) else { return nil }
            body = bytes
        }
        return state.withLock { [body, headers] state in
            let request = Request(
                connection: connection, index: state.requests.count, method: String(words[0]),
                path: String(words[1]),
                headers: headers, body: body)
            state.requests.append(request)
            return request
        }
    }

    private func take(_ fd: Int32, _ input: inout [UInt8], through mark: String) -> [UInt8]? {
        let mark = Array(mark.utf8)
        while true {
            if input.count >= mark.count {
                for end in mark.count...input.count where input[(end - mark.count)..<end].elementsEqual(mark)
                {
                    return take(fd, &input, count: end)
                }
            }
            guard more(fd, &input) else { return nil }
        }
    }

    private func take(_ fd: Int32, _ input: inout [UInt8], count: Int) -> [UInt8]? {
        while input.count < count { guard more(fd, &input) else { return nil } }
        let taken = Array(input[..<count])
        input.removeSubrange(..<count)
        return taken
    }

    private func more(_ fd: Int32, _ input: inout [UInt8]) -> Bool {
        var block = [UInt8](repeating: 0, count: 65_536)
        let count = recv(fd, &block, block.count, 0)
        if count <= 0 { return false }
        input += block[..<count]
        return true
    }
}

/// Rung by one thread, waited for by another.
public final class Bell: Sendable {
    private let bell = Doorbell()
    public init() {}
    public func ring() { bell.ring() }
    /// Whether it rang within the time.
    public func wait(seconds: Int) -> Bool { bell.wait(atMost: .seconds(seconds)) }
}

/// Opened once by a test, waited for by a server's answer.
public final class Gate: Sendable {
    private let bell = Doorbell()
    public init() {}
    public func open() { bell.ring() }
    /// Stays open for all who come.
    public func wait() {
        var entry = pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&entry, 1, 60_000)
    }
}
