// SPDX-License-Identifier: Apache-2.0

import Curl
import Glibc
import JobModel

/// HTTP over the control socket through libcurl. `CurlGlobal.initialize` comes first. One thread.
public struct CurlTransport: ControlTransport {
    private let socketPath: String
    public init(socketPath: String) { self.socketPath = socketPath }

    /// Readies libcurl; call once, before the first request.
    public static func initialize() throws(TransportError) {
        do { try CurlGlobal.initialize() } catch {
            throw TransportError(.broken, "libcurl cannot be set up: \(error)")
        }
    }

    public func send(_ request: ControlRequest) throws(TransportError) -> ControlResponse {
        let exchange = Exchange(request.body)
        let status: Int
        let failure: CurlError?
        do {
            let easy = try EasyHandle.make()
            try prepare(easy, request, exchange)
            do {
                try easy.performBlocking()
                failure = nil
            } catch { failure = error }
            status = easy.reading().status
        } catch {
            throw TransportError(.broken, "\(socketPath): \(Masking.text(error.description))")
        }
        if let error = exchange.inputError { throw error }
        // A daemon that refuses a long body answers before it is all sent: libcurl may call that a failure.
        if let failure, status < 400 { throw explain(failure, limit: request.limit) }
        return ControlResponse(status: status, body: exchange.received)
    }

    private func prepare(
        _ easy: borrowing EasyHandle, _ request: ControlRequest, _ exchange: Exchange
    ) throws(CurlError) {
        try easy.prepare(sink: exchange)
        try easy.setPlainDownload()
        try easy.setUnixSocketPath(socketPath)
        // The environment's proxies are for downloads.
        try easy.setProxy("")
        try easy.setProtocols(["http"])
        try easy.setHTTPVersion(.http1)
        try easy.setUserAgent("dlctl")
        try easy.setConnectTimeout(.seconds(5))
        if let limit = request.limit {
            try easy.setTotalTimeout(limit)
        } else {
            // A long list may take as long as it takes, but not stand still: the daemon's own patience is
            // 120 s.
            try easy.setLowSpeedLimit(1, for: .seconds(150))
        }
        try easy.setURL("http://dld" + request.target)
        // A POST without a body is one of length 0.
        try easy.setMethod(request.method, hasBody: request.method == "POST", size: exchange.size)
        try easy.setHeaders([], without: ["Expect", "Content-Type"])
    }

    /// What libcurl could not do, in terms of the socket: what the user has to look at.
    private func explain(_ failure: CurlError, limit: Duration?) -> TransportError {
        switch failure.code {
        case .cannotConnect:
            // libcurl may not tell the errno of a Unix socket; access(2) meets the same obstacle.
            let code =
                failure.systemCode != 0
                ? failure.systemCode : unsafe access(socketPath, W_OK) == 0 ? 0 : errno
            switch code {
            case EACCES, EPERM:
                return TransportError(
                    .notPermitted,
                    "not permitted to use \(socketPath): members of the group dld may "
                        + "(sudo usermod -aG dld $USER, then log in again)")
            case ENOENT, ENOTDIR:
                return TransportError(
                    .noDaemon, "no daemon: there is no \(socketPath) (systemctl status dld, or --socket)")
            default:
                return TransportError(
                    .noDaemon, "no daemon: nobody answers on \(socketPath) (systemctl status dld)")
            }
        case .timedOut:
            let seconds = limit?.components.seconds ?? 5
            return TransportError(.timeout, "dld did not answer in \(seconds) s")
        default:
            return TransportError(.broken, "\(socketPath): \(Masking.text(failure.description))")
        }
    }
}

/// The sink of one request: hands out the body, gathers the answer.
private final class Exchange: TransferSink {
    private(set) var received: [UInt8] = []
    private(set) var inputError: TransportError?
    /// Bytes that will be sent; nil: until the stream ends.
    let size: Int64?
    private let next: () throws(TransportError) -> [UInt8]?
    private var pending: [UInt8] = []
    private var sent = 0
    /// Far above any page; a peer that never ends must not fill the memory.
    private static let maximumAnswer = 256 * 1024 * 1024

    init(_ body: ControlRequest.Body) {
        switch body {
        case .none:
            size = 0
            next = { () throws(TransportError) in nil }
        case .bytes(let bytes):
            size = Int64(bytes.count)
            pending = bytes
            next = { () throws(TransportError) in nil }
        case .stream(let size, let next):
            self.size = size
            self.next = next
        }
    }

    func receive(_ block: borrowing RawSpan) -> WriteVerdict {
        guard received.count + block.byteCount <= Self.maximumAnswer else { return .abort }
        unsafe block.withUnsafeBytes { unsafe received.append(contentsOf: $0) }
        return .proceed
    }

    func send(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        if sent == pending.count {
            do { pending = try next() ?? [] } catch {
                inputError = error
                return nil
            }
            sent = 0
        }
        let count = min(buffer.count, pending.count - sent)
        unsafe buffer.copyBytes(from: pending[sent..<(sent + count)])
        sent += count
        return count
    }
}
