// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One HTTP request over a Unix socket, by hand: the control socket as `curl --unix-socket` sees it, without a program.
public enum UnixHTTP {
    public struct Answer: Sendable {
        public let status: Int
        /// Names as sent.
        public let headers: [(name: String, value: String)]
        public let body: String
    }

    /// `Connection: close`, so that the answer ends with the connection. Throws when nothing listens or when a read
    /// takes longer than `limit`.
    public static func request(
        _ socketPath: String, _ method: String = "GET", _ target: String, body: String? = nil,
        within limit: Duration = .seconds(10)
    ) throws -> Answer {
        let socket = try open(socketPath, limit)
        defer { close(socket) }
        var text = "\(method) \(target) HTTP/1.1\r\nHost: dld\r\nConnection: close\r\n"
        if let body { text += "Content-Length: \(body.utf8.count)\r\n" }
        let bytes = Array((text + "\r\n" + (body ?? "")).utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw KitError.system("send \(socketPath)") }
            sent += count
        }
        var received: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(socket, &block, block.count, 0)
            if count == 0 { break }
            guard count > 0 else { throw KitError.system("receive \(method) \(target)") }
            received.append(contentsOf: block[..<count])
        }
        return try parse(received)
    }

    public static func get(_ socketPath: String, _ target: String) throws -> Answer {
        try request(socketPath, "GET", target)
    }

    private static func open(_ path: String, _ limit: Duration) throws -> Int32 {
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw KitError.system("socket") }
        var wait = timeval(tv_sec: max(1, Int((limit * Patience.factor).components.seconds)), tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw KitError("too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            defer { close(socket) }
            throw KitError.system("connect \(path)")
        }
        return socket
    }

    private static func parse(_ bytes: [UInt8]) throws -> Answer {
        var end = 0
        while end + 4 <= bytes.count, Array(bytes[end..<(end + 4)]) != [13, 10, 13, 10] { end += 1 }
        guard end + 4 <= bytes.count else { throw KitError("no HTTP answer: \(bytes.count) bytes") }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count > 1, let status = Int(words[1]) else { throw KitError("no status line") }
        let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        let isChunked = headers.contains {
            $0.name.lowercased() == "transfer-encoding" && $0.value.lowercased() == "chunked"
        }
        let body = Array(bytes[(end + 4)...])
        return Answer(
            status: status, headers: headers,
            body: String(decoding: isChunked ? unchunk(body) : body, as: UTF8.self))
    }

    private static func unchunk(_ coded: [UInt8]) -> [UInt8] {
        var body: [UInt8] = []
        var at = 0
        while let end = coded[at...].firstIndex(of: 13) {
            let size = Int(String(decoding: coded[at..<end], as: UTF8.self), radix: 16) ?? 0
            guard size > 0, end + 2 + size <= coded.count else { return body }
            body += coded[(end + 2)..<(end + 2 + size)]
            at = min(coded.count, end + 2 + size + 2)
        }
        return body
    }
}
