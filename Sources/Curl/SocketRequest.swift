// SPDX-License-Identifier: Apache-2.0

import CCurl
import Glibc

/// One HTTP request over a Unix socket, run to its end on the calling thread: what the control client is made
/// of.
public struct SocketRequest: Sendable {
    /// Bytes that go with the request.
    public enum Body: Sendable {
        case bytes([UInt8], contentType: String)
        /// Read to its end from this open descriptor, which stays the caller's; `size` nil: sent in chunks.
        case descriptor(Int32, size: Int64?, contentType: String)
    }

    /// What came back.
    public struct Reply: Sendable, Hashable {
        /// The HTTP status.
        public var status: Int
        /// Empty where it went to a sink.
        public var body: [UInt8]
        public init(status: Int, body: [UInt8]) {
            self.status = status
            self.body = body
        }
    }

    public var socketPath: String
    public var method: String
    /// Path and query, percent-encoded, with the leading slash.
    public var path: String
    public var body: Body?
    /// Until the socket is connected.
    public var connectTimeout: Duration = .seconds(5)
    /// Until the answer is complete; nil: as long as bytes move (a posted list, a stream).
    public var timeout: Duration? = .seconds(5)
    /// With no `timeout`: how long nothing may move in either direction.
    public var stallTimeout: Duration = .seconds(60)
    /// Longest answer that `perform()` collects, bytes.
    public var bodyLimit = 64 << 20

    public init(socketPath: String, method: String = "GET", path: String, body: Body? = nil) {
        self.socketPath = socketPath
        self.method = method
        self.path = path
        self.body = body
    }

    /// Collects the answer. Any thread; blocks it.
    ///
    /// - Throws: `cannotConnect` with `systemCode` ENOENT or ECONNREFUSED (nobody there) or EACCES (not
    ///   allowed),
    ///   `timedOut`, or what else broke. An HTTP error status is a reply, not an error.
    public func perform() throws(CurlError) -> Reply {
        let sink = RequestSink(body: body, limit: bodyLimit, receive: nil)
        let status = try perform(sink)
        return Reply(status: status, body: sink.collected)
    }

    /// Streams the answer. Any thread; blocks it.
    ///
    /// - Parameter receive: gets the bytes as they come; false ends the call with `writeError`.
    /// - Returns: the HTTP status.
    public func perform(receive: @escaping ([UInt8]) -> Bool) throws(CurlError) -> Int {
        try perform(RequestSink(body: body, limit: bodyLimit, receive: receive))
    }

    private func perform(_ sink: RequestSink) throws(CurlError) -> Int {
        let easy = try EasyHandle.make()
        try easy.prepare(sink: sink)
        try easy.setPlainDownload()
        // The host only fills the Host field; a proxy of the environment must not get in between.
        try easy.setURL("http://dld" + path)
        try easy.setProxy("")
        try easy.setProtocols(["http"])
        try easy.setHTTPVersion(.http1)
        try easy.setUnixSocketPath(socketPath)
        try easy.setConnectTimeout(connectTimeout)
        if let timeout {
            try easy.setTotalTimeout(timeout)
        } else {
            try easy.setLowSpeedLimit(1, for: stallTimeout)
        }
        // Without it libcurl asks for leave (100-continue) and waits a second for it.
        var fields: [(name: String, value: String)] = []
        switch body {
        case .bytes(let bytes, let contentType):
            try easy.setMethod(method, hasBody: true, size: Int64(bytes.count))
            fields = [(name: "Content-Type", value: contentType)]
        case .descriptor(_, let size, let contentType):
            try easy.setMethod(method, hasBody: true, size: size)
            fields = [(name: "Content-Type", value: contentType)]
        case nil where method == "POST":
            try easy.setMethod(method, hasBody: true, size: 0)
        case nil:
            try easy.setMethod(method, hasBody: false, size: nil)
        }
        try easy.setHeaders(fields, without: ["Expect"])
        try easy.performBlocking()
        return easy.long(CURLINFO_RESPONSE_CODE)
    }
}

/// Feeds the request's body and takes the answer's.
private final class RequestSink: TransferSink {
    private(set) var collected: [UInt8] = []
    private let body: SocketRequest.Body?
    private let limit: Int
    private let receiver: (([UInt8]) -> Bool)?
    private var sent = 0

    init(body: SocketRequest.Body?, limit: Int, receive: (([UInt8]) -> Bool)?) {
        self.body = body
        self.limit = limit
        receiver = receive
    }

    func receive(_ block: borrowing RawSpan) -> WriteVerdict {
        let bytes = unsafe block.withUnsafeBytes { unsafe Array($0) }
        if let receiver { return receiver(bytes) ? .proceed : .abort }
        guard collected.count + bytes.count <= limit else { return .abort }
        collected += bytes
        return .proceed
    }

    // An AF_UNIX address is what was asked for.
    func permits(_ address: PeerAddress) -> Bool { true }

    func send(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        switch body {
        case nil: return 0
        case .bytes(let bytes, _):
            let count = min(buffer.count, bytes.count - sent)
            unsafe buffer.copyBytes(from: bytes[sent..<sent + count])
            sent += count
            return count
        case .descriptor(let descriptor, _, _):
            while true {
                let count = unsafe read(descriptor, buffer.baseAddress, buffer.count)
                if count >= 0 { return count }
                if errno != EINTR { return nil }
            }
        }
    }
}
