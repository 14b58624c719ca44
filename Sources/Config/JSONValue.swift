// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials

/// A JSON text as a tree. Integers stay exact up to 64 bits.
enum JSONValue: Decodable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Above `Int64.max`.
    case unsigned(UInt64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: Key.self) {  // try?: no object
            var fields: [String: JSONValue] = [:]
            for key in object.allKeys {
                fields[key.stringValue] = try object.decode(JSONValue.self, forKey: key)
            }
            self = .object(fields)
            return
        }
        if var array = try? decoder.unkeyedContainer() {  // try?: no array
            var values: [JSONValue] = []
            while !array.isAtEnd { values.append(try array.decode(JSONValue.self)) }
            self = .array(values)
            return
        }
        self = try Self.scalar(decoder.singleValueContainer())
    }

    private static func scalar(_ container: any SingleValueDecodingContainer) throws -> JSONValue {
        if container.decodeNil() { return .null }
        if let flag = decoded(Bool.self, container) { return .bool(flag) }
        if let number = decoded(Int64.self, container) { return .integer(number) }
        if let number = decoded(UInt64.self, container) { return .unsigned(number) }
        if let number = decoded(Double.self, container) { return .number(number) }
        return .string(try container.decode(String.self))
    }

    private static func decoded<T: Decodable>(
        _ type: T.Type, _ container: any SingleValueDecodingContainer
    ) -> T? {
        try? container.decode(type)  // try?: of another kind
    }

    /// Any key.
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Reads JSON with comments and trailing commas; the error is one line for people.
    static func parse(_ bytes: [UInt8]) -> Result<JSONValue, JSONFault> {
        let decoder = JSONDecoder()
        decoder.allowsJSON5 = true
        do {
            return .success(try decoder.decode(JSONValue.self, from: Data(bytes)))
        } catch let DecodingError.dataCorrupted(context) {
            let detail = context.underlyingError.map { "\($0)" } ?? context.debugDescription
            return .failure(JSONFault(message: detail))
        } catch {
            return .failure(JSONFault(message: "\(error)"))
        }
    }

    /// The kind, as a message names it.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .integer, .unsigned, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

struct JSONFault: Error, Equatable {
    let message: String
}
