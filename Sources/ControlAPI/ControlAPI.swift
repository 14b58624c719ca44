// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The JSON that daemon and dlctl exchange over the control socket: one Codable value a document.
///
/// Purpose: one definition of every key, shared by both ends; `docs/control.md` describes it for everybody
/// else.
/// Keys are snake_case, every key of a document is always there (null where unknown), each has one JSON
/// type, and
/// keys are only ever added. Threads: plain values, no I/O, no clock; usable anywhere.
///
/// *Diagnostics*: a document that does not decode is an error of the caller's peer, thrown as
/// `DecodingError`.
/// Nothing here traps.
public enum ControlAPI {
    /// Every versioned path begins with it.
    public static let prefix = "/v1"
    /// Where dlctl looks when neither `--socket` nor `DLD_SOCKET` names another place.
    public static let defaultSocketPath = "/run/dld/control.sock"
    /// Rows of a page when `limit` is not given, and the most that may be asked for.
    public static let defaultPageLimit = 100
    public static let maximumPageLimit = 1000
    /// The most bytes of a request body that is not a posted list.
    public static let maximumBody = 64 * 1024

    /// One document as UTF-8 JSON on one line. Keys are sorted, so that equal values are equal bytes.
    public static func encode(_ document: some Encodable, pretty: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty
            ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted] : [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(document))
    }

    /// Reads one document. Unknown keys are ignored: a newer daemon may say more.
    public static func decode<Document: Decodable>(
        _ type: Document.Type, from bytes: [UInt8]
    ) throws -> Document {
        try JSONDecoder().decode(type, from: Data(bytes))
    }
}

/// An optional that is written as `null` instead of being left out, and read as nil when its key is missing.
///
/// The synthesised Codable leaves nil keys out; then nobody can tell "unknown" from "an older daemon".
@propertyWrapper
public struct Nullable<Value: Codable & Sendable & Hashable>: Codable, Sendable, Hashable {
    public var wrappedValue: Value?
    public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
    }
}

extension KeyedDecodingContainer {
    /// Chosen by the synthesised `init(from:)`: a missing key is nil.
    func decode<Value>(_ type: Nullable<Value>.Type, forKey key: Key) throws -> Nullable<Value> {
        try decodeIfPresent(type, forKey: key) ?? Nullable(wrappedValue: nil)
    }
}
