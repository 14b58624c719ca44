// SPDX-License-Identifier: Apache-2.0

/// What the scripted server read.
public struct ScriptedRequest: Sendable {
    /// From 1, over the whole server.
    public internal(set) var number: Int
    /// From 1: which connection it came on, and the how manyth there.
    public let connection: Int
    public let ordinal: Int
    public let method: String
    /// With the query.
    public let target: String
    /// Names in lower case, in the order sent.
    public let headers: [(name: String, value: String)]
    /// The bytes as they came, without the body.
    public let raw: [UInt8]
    public let arrived: ContinuousClock.Instant

    /// Without the query.
    public var path: String { target.split(separator: "?", maxSplits: 1).first.map(String.init) ?? target }

    /// The first field of that name.
    public func header(_ name: String) -> String? { headers.first { $0.name == name.lowercased() }?.value }

    /// `bytes=A-` and `bytes=A-B`; nil for no or any other range.
    public var range: (first: Int, last: Int?)? {
        guard let field = header("range"), field.hasPrefix("bytes=") else { return nil }
        let ends = field.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Int(ends[0]) else { return nil }
        return (first, Int(ends[1]))
    }
}

/// One answer, as data: it may be as wrong as you like, nothing is checked or mended.
public struct ScriptedReply: Sendable {
    /// What happens after (or in the middle of) the body.
    public enum Ending: Sendable, Hashable {
        /// The connection waits for the next request.
        case keepAlive
        /// An orderly close after everything was sent.
        case close
        /// Only so many bytes of the body, then an orderly close.
        case cut(after: Int)
        /// Only so many bytes of the body, then a TCP reset.
        case reset(after: Int)
        /// Only so many bytes of the body, then silence until the client leaves or the server stops.
        case stall(after: Int)
    }

    public var status = 200
    public var reason = "Scripted"
    public var headers: [(name: String, value: String)] = []
    public var body: [UInt8] = []
    /// The Content-Length sent: that of the body unless told otherwise.
    public var length: Length = .ofBody
    public enum Length: Sendable, Hashable {
        case ofBody
        case none
        case lying(String)
        /// Chunked transfer coding, chunks of this size.
        case chunked(Int)
    }
    public var ending = Ending.keepAlive
    /// Before the first byte of the answer.
    public var delay = Duration.zero
    /// Before each piece of the body.
    public var pace: (bytes: Int, every: Duration)?
    /// Sent instead of status line, fields and body.
    public var raw: [UInt8]?

    public init(
        _ status: Int = 200, headers: [(name: String, value: String)] = [],
        body: some Sequence<UInt8> = [UInt8](),
        ending: Ending = .keepAlive, delay: Duration = .zero
    ) {
        self.status = status
        self.headers = headers
        self.body = Array(body)
        self.ending = ending
        self.delay = delay
    }

    /// Exactly these bytes.
    public static func raw(_ text: String, ending: Ending = .close) -> ScriptedReply {
        var reply = ScriptedReply(ending: ending)
        reply.raw = Array(text.utf8)
        return reply
    }

    /// No answer at all.
    public static let silence = ScriptedReply(ending: .stall(after: -1))

    /// The status line and fields, with the empty line.
    func head(isHEAD: Bool) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(reason)\r\n"
        for field in headers { text += "\(field.name): \(field.value)\r\n" }
        let hasBody = status != 204 && status != 304 && status >= 200
        switch length {
        case .ofBody: if hasBody { text += "Content-Length: \(body.count)\r\n" }
        case .none: break
        case .lying(let value): text += "Content-Length: \(value)\r\n"
        case .chunked: text += "Transfer-Encoding: chunked\r\n"
        }
        if ending == .close { text += "Connection: close\r\n" }
        return Array((text + "\r\n").utf8)
    }

    /// The body as it goes over the wire.
    var payload: [UInt8] {
        guard case .chunked(let size) = length else { return body }
        var coded: [UInt8] = []
        var at = 0
        while at < body.count {
            let end = min(body.count, at + max(1, size))
            coded += Array("\(String(end - at, radix: 16))\r\n".utf8) + body[at..<end] + [13, 10]
            at = end
        }
        return coded + Array("0\r\n\r\n".utf8)
    }
}

/// A file behind a path, as an honest server gives it: ranges, validators, If-Range, conditions.
public struct ScriptedFile: Sendable {
    public var bytes: [UInt8]
    public var etag: String?
    public var lastModified: String?
    public var takesRanges = true

    public init(_ bytes: some Sequence<UInt8>, etag: String? = nil, lastModified: String? = nil) {
        self.bytes = Array(bytes)
        self.etag = etag
        self.lastModified = lastModified
    }

    /// The honest answer; change it before it is sent to get a dishonest one.
    public func reply(to request: ScriptedRequest) -> ScriptedReply {
        var fields: [(name: String, value: String)] = []
        if let etag { fields.append(("ETag", etag)) }
        if let lastModified { fields.append(("Last-Modified", lastModified)) }
        if takesRanges { fields.append(("Accept-Ranges", "bytes")) }
        let isSame =
            (etag != nil && request.header("if-none-match") == etag)
            || (lastModified != nil && request.header("if-modified-since") == lastModified)
        if isSame { return ScriptedReply(304, headers: fields) }
        let condition = request.header("if-range")
        let rangeHolds = condition == nil || condition == etag || condition == lastModified
        guard takesRanges, rangeHolds, let range = request.range else {
            return ScriptedReply(200, headers: fields, body: bytes)
        }
        guard range.first < bytes.count else {
            return ScriptedReply(416, headers: fields + [("Content-Range", "bytes */\(bytes.count)")])
        }
        let last = min(range.last ?? bytes.count - 1, bytes.count - 1)
        guard last >= range.first else { return ScriptedReply(200, headers: fields, body: bytes) }
        let field = ("Content-Range", "bytes \(range.first)-\(last)/\(bytes.count)")
        return ScriptedReply(206, headers: fields + [field], body: bytes[range.first...last])
    }
}

extension ScriptedRequest {
    /// A GET without fields, to make an honest reply beforehand.
    public static var plain: ScriptedRequest {
        ScriptedRequest(
            number: 0, connection: 0, ordinal: 0, method: "GET", target: "/", headers: [], raw: [],
            arrived: ContinuousClock.now)
    }
}
