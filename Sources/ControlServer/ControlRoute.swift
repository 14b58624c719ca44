// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel

/// What a request asks for, read from its method and target alone: pure, so that every odd request is a
/// table row
/// in a test. Strict on purpose: a mistyped filter that is ignored answers the wrong question.
enum ControlRoute: Sendable, Hashable {
    case status, metrics, health, reload
    case lists(ListQuery)
    case list(ListReference)
    case jobs(JobQuery)
    case job(JobID)
    case hosts(HostQuery)
    case act(ControlVerb, ControlTarget)
    case release(HostKey)
    case upload(name: String)
    /// The order is in the body.
    case verify
    case audits(AuditQuery)
    case audit(AuditID)
    case results(AuditResultsQuery)
    case actOnAudit(AuditVerb, AuditID)

    /// - Parameter target: as it stands in the request line: path and query, percent-encoded.
    static func parse(method: String, target: String) throws(ControlFailure) -> ControlRoute {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts.first.map { String($0) } ?? ""
        guard path.utf8.first == UInt8(ascii: "/") else {
            throw .badRequest("the request target must be a path")
        }
        var segments: [String] = []
        for segment in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let decoded = RequestText.decode(String(segment)) else {
                throw .badRequest("the path is not percent-encoded UTF-8")
            }
            segments.append(decoded)
        }
        var query = try QueryFields(parts.count > 1 ? String(parts[1]) : "")
        let route = try Self.route(method: method, segments: segments, query: &query)
        try query.expectNoMore()
        return route
    }

    private static func route(
        method: String, segments: [String], query: inout QueryFields
    ) throws(ControlFailure) -> ControlRoute {
        switch segments {
        case ["v1", "status"]:
            try expect("GET", method)
            return .status
        case ["metrics"]:
            try expect("GET", method)
            return .metrics
        case ["healthz"]:
            try expect("GET", method)
            return .health
        case ["v1", "reload"]:
            try expect("POST", method)
            return .reload
        case ["v1", "lists"]:
            if method == "POST" { return .upload(name: try query.listName()) }
            try expect("GET", method, allow: "GET, POST")
            return .lists(try query.listQuery())
        case ["v1", "jobs"]:
            try expect("GET", method)
            return .jobs(try query.jobQuery())
        case ["v1", "hosts"]:
            try expect("GET", method)
            return .hosts(try query.hostQuery())
        case ["v1", "verify"]:
            if method == "POST" { return .verify }
            try expect("GET", method, allow: "GET, POST")
            return .audits(try query.auditQuery())
        default:
            if segments.count >= 3, segments[0] == "v1", segments[1] == "verify" {
                return try audit(method: method, segments: segments, query: &query)
            }
            return try deeper(method: method, segments: segments)
        }
    }

    private static func deeper(method: String, segments: [String]) throws(ControlFailure) -> ControlRoute {
        guard (3...4).contains(segments.count), segments[0] == "v1" else { throw .notFound("no such path") }
        let verb = segments.count == 4 ? segments[3] : nil
        switch (segments[1], verb) {
        case ("lists", nil):
            try expect("GET", method)
            return .list(try listReference(segments[2]))
        case ("jobs", nil):
            try expect("GET", method)
            return .job(try jobID(segments[2]))
        case ("hosts", "release"):
            try expect("POST", method)
            return .release(try hostKey(segments[2]))
        case ("lists", let verb?):
            guard let verb = ControlVerb(rawValue: verb) else { throw .notFound("no such verb") }
            try expect("POST", method)
            return .act(verb, .list(try listReference(segments[2])))
        case ("jobs", let verb?):
            guard let verb = ControlVerb(rawValue: verb) else { throw .notFound("no such verb") }
            try expect("POST", method)
            return .act(verb, .job(try jobID(segments[2])))
        default:
            throw .notFound("no such path")
        }
    }

    private static func audit(
        method: String, segments: [String], query: inout QueryFields
    ) throws(ControlFailure) -> ControlRoute {
        guard let id = AuditID(segments[2]) else { throw .badRequest("an audit is named by its decimal id") }
        switch segments.dropFirst(3) {
        case []:
            try expect("GET", method)
            return .audit(id)
        case ["results"]:
            try expect("GET", method)
            return .results(try query.auditResultsQuery(id))
        default:
            guard segments.count == 4, let verb = AuditVerb(rawValue: segments[3]) else {
                throw .notFound("no such path")
            }
            try expect("POST", method)
            return .actOnAudit(verb, id)
        }
    }

    private static func expect(
        _ wanted: String, _ method: String, allow: String? = nil
    ) throws(ControlFailure) {
        guard method != wanted else { return }
        throw .methodNotAllowed(allow: allow ?? wanted)
    }

    static func listReference(_ text: String) throws(ControlFailure) -> ListReference {
        guard let reference = ListReference(text) else {
            throw .badRequest("a list is named by its decimal id or its file name")
        }
        return reference
    }
    static func jobID(_ text: String) throws(ControlFailure) -> JobID {
        guard let id = JobID(text) else { throw .badRequest("a job id has 16 hex digits") }
        return id
    }
    /// Compared in lower case, as URLs are; everything a host name, a port or a bracketed IPv6 address is
    /// made of.
    static func hostKey(_ text: String) throws(ControlFailure) -> HostKey {
        let bytes = text.utf8
        let isPlain = bytes.allSatisfy { byte in
            (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: ":"))
                || byte | 0x20 >= UInt8(ascii: "a")
                    && byte | 0x20 <= UInt8(ascii: "z")
                || "-._[]%".utf8.contains(byte)
        }
        guard !bytes.isEmpty, bytes.count <= 300, isPlain else {
            throw .badRequest("a host is a name or address, with :port where it is not the usual one")
        }
        return HostKey(text.lowercased())
    }
}

extension ControlFailure {
    /// 405, with the methods that the path does take.
    static func methodNotAllowed(allow: String) -> Self {
        Self(
            status: 405, code: "method_not_allowed", message: "this path takes \(allow)", allow: allow)
    }
}
