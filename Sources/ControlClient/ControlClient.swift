// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
public import JobModel

/// A document and the bytes it came as: `--json` prints the latter, so that what scripts read is what the
/// daemon said.
public struct Answer<Document: Sendable>: Sendable {
    public let document: Document
    public let bytes: [UInt8]
}

/// The calls of the control API, typed. Blocking; used on one thread.
///
/// *Diagnostics*: everything that goes wrong is one `ClientError` with the exit status that fits it.
public struct ControlClient {
    private let transport: any ControlTransport
    public init(_ transport: any ControlTransport) { self.transport = transport }

    public func status() throws(ClientError) -> Answer<StatusDocument> { try get("/v1/status") }
    public func health() throws(ClientError) -> Answer<HealthDocument> { try get("/healthz") }
    /// Prometheus text.
    public func metrics() throws(ClientError) -> [UInt8] { try send(ControlRequest("GET", "/metrics")).body }

    public func lists(_ query: ListQuery) throws(ClientError) -> Answer<PageDocument<ListDocument>> {
        try get(
            "/v1/lists"
                + QueryText.write([
                    ("state", query.state?.rawValue), ("after", query.after?.description),
                    ("limit", String(query.limit)),
                ]))
    }
    public func list(_ reference: ListReference) throws(ClientError) -> Answer<ListDocument> {
        try get("/v1/lists/" + QueryText.encode(reference.description))
    }
    public func jobs(_ query: JobQuery) throws(ClientError) -> Answer<PageDocument<JobDocument>> {
        try get(
            "/v1/jobs"
                + QueryText.write([
                    ("state", query.state?.name), ("list", query.list?.description),
                    ("after", query.after?.description), ("limit", String(query.limit)),
                ]))
    }
    public func job(_ id: JobID) throws(ClientError) -> Answer<JobDocument> { try get("/v1/jobs/\(id)") }
    public func hosts(_ query: HostQuery) throws(ClientError) -> Answer<PageDocument<HostDocument>> {
        try get(
            "/v1/hosts"
                + QueryText.write([("after", query.after?.rawValue), ("limit", String(query.limit))]))
    }

    public func act(
        _ verb: ControlVerb, on target: ControlTarget
    ) throws(ClientError) -> Answer<ActionDocument> {
        switch target {
        case .job(let id): try post("/v1/jobs/\(id)/\(verb.rawValue)")
        case .list(let reference):
            try post("/v1/lists/\(QueryText.encode(reference.description))/\(verb.rawValue)")
        }
    }
    public func release(host: String) throws(ClientError) -> Answer<ActionDocument> {
        try post("/v1/hosts/\(QueryText.encode(host))/release")
    }
    public func reload() throws(ClientError) -> Answer<ReloadDocument> { try post("/v1/reload") }

    /// Posts a list under a name that decides its format. Returns once it is committed; a large one takes as
    /// long
    /// as it takes to send, so there is no limit of time.
    public func add(name: String, body: ControlRequest.Body) throws(ClientError) -> Answer<AddedDocument> {
        let target = "/v1/lists" + QueryText.write([("name", name)])
        return try decode(try send(ControlRequest("POST", target, body: body, limit: nil)))
    }

    public func verify(_ order: AuditOrder) throws(ClientError) -> Answer<AuditDocument> {
        let body: [UInt8]
        do { body = try ControlAPI.encode(order) } catch {
            throw ClientError(.usage, "this cannot be asked for: \(error)")
        }
        return try decode(try send(ControlRequest("POST", "/v1/verify", body: .bytes(body))))
    }
    public func audits(_ query: AuditQuery) throws(ClientError) -> Answer<PageDocument<AuditDocument>> {
        try get(
            "/v1/verify"
                + QueryText.write([("after", query.after?.description), ("limit", String(query.limit))]))
    }
    public func audit(_ id: AuditID) throws(ClientError) -> Answer<AuditDocument> {
        try get("/v1/verify/\(id)")
    }
    public func results(
        _ query: AuditResultsQuery
    ) throws(ClientError) -> Answer<PageDocument<AuditFindingDocument>> {
        try get(
            "/v1/verify/\(query.id)/results"
                + QueryText.write([("after", String(query.after)), ("limit", String(query.limit))]))
    }
    public func act(_ verb: AuditVerb, on id: AuditID) throws(ClientError) -> Answer<ActionDocument> {
        try post("/v1/verify/\(id)/\(verb.rawValue)")
    }

    private func get<Document: Decodable>(_ target: String) throws(ClientError) -> Answer<Document> {
        try decode(try send(ControlRequest("GET", target)))
    }
    private func post<Document: Decodable>(_ target: String) throws(ClientError) -> Answer<Document> {
        try decode(try send(ControlRequest("POST", target)))
    }

    private func send(_ request: ControlRequest) throws(ClientError) -> ControlResponse {
        let response: ControlResponse
        do { response = try transport.send(request) } catch { throw ClientError(error) }
        // An unhealthy daemon answers 503 with the document that was asked for.
        if request.target == "/healthz", response.status == 503 { return response }
        guard (200..<300).contains(response.status) else { throw ClientError(response) }
        return response
    }

    private func decode<Document: Decodable>(
        _ response: ControlResponse
    ) throws(ClientError) -> Answer<Document> {
        do {
            return Answer(
                document: try ControlAPI.decode(Document.self, from: response.body), bytes: response.body)
        } catch {
            throw ClientError(
                .unavailable,
                "dld answers in a form this dlctl does not know; after an upgrade restart it "
                    + "(systemctl restart dld)")
        }
    }
}

/// What a call ended with instead of a document: words for standard error, and how dlctl exits.
public struct ClientError: Error, Sendable, Hashable {
    /// sysexits(3), as far as dld uses it.
    public enum Exit: Int32, Sendable, Hashable {
        /// What was asked failed, or is unknown.
        case failed = 1
        case usage = 64
        /// No daemon, or no answer in time.
        case unavailable = 69
        case io = 74
        case notPermitted = 77
    }
    public let exit: Exit
    public let message: String
    /// Whether the daemon is gone rather than unwilling: `wait` goes on then.
    public let isAbsence: Bool
    public init(_ exit: Exit, _ message: String, isAbsence: Bool = false) {
        self.exit = exit
        self.message = message
        self.isAbsence = isAbsence
    }

    public init(_ error: TransportError) {
        let exit: Exit =
            switch error.cause {
            case .noDaemon, .timeout, .broken: .unavailable
            case .notPermitted: .notPermitted
            case .input: .io
            }
        self.init(exit, error.message, isAbsence: exit == .unavailable)
    }

    init(_ response: ControlResponse) {
        let message: String
        // Anything may sit on a socket: what is no error document is told by its status alone.
        if let document = try? ControlAPI.decode(ErrorDocument.self, from: response.body) {  // else below
            message = Masking.text(document.error.message)
        } else {
            message = "the daemon answered with HTTP status \(response.status)"
        }
        switch response.status {
        case 400, 405: self.init(.usage, message)
        case 503: self.init(.unavailable, message, isAbsence: true)
        case 500...: self.init(.unavailable, message)
        default: self.init(.failed, message)
        }
    }
}

/// Writes query strings and path segments: everything but RFC 3986's unreserved characters is encoded.
enum QueryText {
    /// `?a=1&b=2` of those that have a value; empty where none has.
    static func write(_ fields: [(String, String?)]) -> String {
        let given = fields.compactMap { name, value in value.map { "\(name)=\(encode($0))" } }
        return given.isEmpty ? "" : "?" + given.joined(separator: "&")
    }
    static func encode(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (hex.utf8.count == 1 ? "0" : "") + hex
            }
        }
        return encoded
    }
}
