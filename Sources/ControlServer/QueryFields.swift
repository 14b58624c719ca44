// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel

/// The fields of a query string, taken one by one; what nobody took is an error. A `+` is a plus.
struct QueryFields {
    private var fields: [String: String] = [:]
    private var taken: [String] = []

    /// - Parameter text: what stands after `?`.
    init(_ text: String) throws(ControlFailure) {
        for field in text.split(separator: "&") {
            let pair = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = RequestText.decode(String(pair[0])),
                let value = RequestText.decode(pair.count > 1 ? String(pair[1]) : "")
            else { throw .badRequest("the query is not percent-encoded UTF-8") }
            guard fields.updateValue(value, forKey: name) == nil else {
                throw .badRequest("a query parameter was given twice")
            }
        }
    }

    private mutating func take(_ name: String) -> String? {
        taken.append(name)
        return fields.removeValue(forKey: name)
    }

    /// Call when everything known was taken.
    func expectNoMore() throws(ControlFailure) {
        guard let stranger = fields.keys.sorted().first else { return }
        let known = taken.isEmpty ? "none is known here" : "known here: " + taken.joined(separator: ", ")
        throw .badRequest(
            "unknown query parameter \"\(Masking.text(String(stranger.prefix(40))))\"; \(known)")
    }

    private mutating func limit() throws(ControlFailure) -> Int {
        guard let text = take("limit") else { return ControlAPI.defaultPageLimit }
        guard text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let value = Int(text),
            (1...ControlAPI.maximumPageLimit).contains(value)
        else { throw .badRequest("limit is a number from 1 to \(ControlAPI.maximumPageLimit)") }
        return value
    }

    mutating func listQuery() throws(ControlFailure) -> ListQuery {
        var query = ListQuery()
        if let text = take("state") {
            guard let state = ListDocument.State(rawValue: text), state != .spooled else {
                throw .badRequest("state is one of admitting, running, closed, rejected")
            }
            query.state = state
        }
        if let text = take("after") {
            guard case .id(let id) = ListReference(text) else {
                throw .badRequest("after is the id of a list, as \"next\" of the last page gave it")
            }
            query.after = id
        }
        query.limit = try limit()
        return query
    }

    mutating func jobQuery() throws(ControlFailure) -> JobQuery {
        var query = JobQuery()
        if let text = take("state") {
            guard let state = JobState(name: text) else {
                throw .badRequest("state is one of " + JobState.allCases.map(\.name).joined(separator: ", "))
            }
            query.state = state
        }
        if let text = take("list") { query.list = try ControlRoute.listReference(text) }
        if let text = take("after") { query.after = try ControlRoute.jobID(text) }
        query.limit = try limit()
        return query
    }

    mutating func hostQuery() throws(ControlFailure) -> HostQuery {
        var query = HostQuery()
        if let text = take("after") { query.after = try ControlRoute.hostKey(text) }
        query.limit = try limit()
        return query
    }

    mutating func auditQuery() throws(ControlFailure) -> AuditQuery {
        var query = AuditQuery()
        if let text = take("after") {
            guard let id = AuditID(text) else {
                throw .badRequest("after is the id of an audit, as \"next\" of the last page gave it")
            }
            query.after = id
        }
        query.limit = try limit()
        return query
    }

    mutating func auditResultsQuery(_ id: AuditID) throws(ControlFailure) -> AuditResultsQuery {
        var query = AuditResultsQuery(id)
        if let text = take("after") {
            guard text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
                let place = Int64(text)
            else { throw .badRequest("after is what \"next\" of the last page gave") }
            query.after = place
        }
        query.limit = try limit()
        return query
    }

    /// The name of a list to be posted: one that the spool would look at.
    mutating func listName() throws(ControlFailure) -> String {
        guard let name = take("name") else {
            throw .badRequest("name is missing: POST /v1/lists?name=NAME; it decides the format")
        }
        let isOverlooked = name.hasPrefix(".") || [".tmp", ".part", "~"].contains { name.hasSuffix($0) }
        let isFileName = ListReference(name) != nil
        guard isFileName, !isOverlooked,
            !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
        else {
            throw .badRequest(
                "name must be a file name that does not begin with . or end in ~, .tmp or .part")
        }
        return name
    }
}

/// Percent-encoding of paths and queries (RFC 3986 section 2.1).
enum RequestText {
    /// nil: a `%` without two hex digits, a NUL, or no UTF-8.
    static func decode(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(nibble), let low = rest.next().flatMap(nibble) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func nibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
