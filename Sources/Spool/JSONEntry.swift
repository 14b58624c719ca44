// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import JobModel

/// What is wrong with an object, and with which of its keys.
struct JSONMistake: Error {
    var key: String?
    var message: String

    init(_ key: String?, _ message: String) {
        self.key = key
        self.message = key.map { "\($0): \(message)" } ?? message
    }

    /// In our words; Foundation's texts change from version to version.
    init(_ error: any Error) {
        if let mistake = error as? JSONMistake {
            self = mistake
            return
        }
        switch error as? DecodingError {
        case .typeMismatch(_, let context)? where context.codingPath.isEmpty:
            self.init(nil, "expected a JSON object")
        case .typeMismatch(_, let context)?, .valueNotFound(_, let context)?, .keyNotFound(_, let context)?:
            self.init(context.codingPath.first?.stringValue, "not of the type that is expected")
        case .dataCorrupted?, nil: self.init(nil, "no JSON")
        @unknown default: self.init(nil, "no JSON")
        }
    }
}

/// One line of a JSON Lines list. Decoding never fails for what is inside the object: that becomes `bad`.
enum JSONEntry: Decodable {
    case download([String], JobOptions, PieceHashes?)
    case sum(from: String, to: String, JobOptions)
    case defaults(Result<JobOptions, JSONMistake>)
    case bad(JSONMistake)

    init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: JSONKey.self)
        if object.allKeys.map(\.stringValue) == ["defaults"] {
            do {
                let reader = JSONOptionsReader(
                    try object.nestedContainer(keyedBy: JSONKey.self, forKey: "defaults"))
                self = .defaults(
                    .success(try reader.options(notAllowed: ["id", "checksum", "size", "pieces"])))
            } catch {
                self = .defaults(.failure(JSONMistake(error)))
            }
            return
        }
        do {
            self = try Self.entry(object)
        } catch {
            self = .bad(JSONMistake(error))
        }
    }

    private static func entry(_ object: KeyedDecodingContainer<JSONKey>) throws -> JSONEntry {
        let reader = JSONOptionsReader(object)
        if object.contains("sum") {
            let bounds = try object.nestedContainer(keyedBy: JSONKey.self, forKey: "sum")
            for key in bounds.allKeys where !["from", "to"].contains(key.stringValue) {
                throw JSONMistake("sum", "unknown key \"\(excerpt(key.stringValue))\"; expected from and to")
            }
            let options = try reader.options(
                besides: ["sum"], only: ["id", "max_attempts", "priority", "pause"])
            return .sum(from: try bound(bounds, "from"), to: try bound(bounds, "to"), options)
        }
        var options = try reader.options(besides: ["url", "urls"])
        let pieces = try reader.pieces(size: options.size)
        options.pieces = pieces?.layout
        if object.contains("url") {
            guard !object.contains("urls") else {
                throw JSONMistake("urls", "url and urls exclude each other")
            }
            return .download([try reader.string("url")], options, pieces)
        }
        guard object.contains("urls") else { throw JSONMistake(nil, "neither url, urls nor sum in it") }
        let urls: [String]
        do { urls = try object.decode([String].self, forKey: "urls") } catch {
            throw JSONMistake("urls", "expected an array of strings")
        }
        guard !urls.isEmpty else { throw JSONMistake("urls", "no URL in it") }
        return .download(urls, options, pieces)
    }

    /// A number without fraction or exponent, or a string of digits: JSON writers of some languages cannot write
    /// 64-bit numbers.
    private static func bound(_ object: KeyedDecodingContainer<JSONKey>, _ key: JSONKey) throws -> String {
        if let text = try? object.decode(String.self, forKey: key) { return text }  // else it is a number
        do { return String(try object.decode(UInt64.self, forKey: key)) } catch {
            throw JSONMistake("sum", "\(key.stringValue): expected a whole number from 0 to \(UInt64.max)")
        }
    }
}

/// Any key: which are known is for the reader to say.
struct JSONKey: CodingKey, ExpressibleByStringLiteral {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init(stringLiteral value: String) { stringValue = value }
    init?(intValue: Int) { nil }
}

/// `\uXXXX` escapes of a JSON text.
enum JSONEscapes {
    /// Whether one half of a UTF-16 surrogate pair stands alone (RFC 8259 8.2).
    static func hasLoneSurrogate(_ bytes: [UInt8]) -> Bool {
        var index = 0
        var isHigh = false
        while let next = bytes[index...].firstIndex(of: UInt8(ascii: "\\")) {
            // Anything between the halves parts them.
            if isHigh, next != index { return true }
            guard let unit = unit(bytes, at: next) else {
                if isHigh { return true }
                index = min(next + 2, bytes.count)
                continue
            }
            index = next + 6
            switch unit {
            case 0xD800...0xDBFF:
                if isHigh { return true }
                isHigh = true
            case 0xDC00...0xDFFF:
                if !isHigh { return true }
                isHigh = false
            default:
                if isHigh { return true }
            }
        }
        return isHigh
    }

    /// The code unit of the escape that begins here; nil if it is another escape.
    private static func unit(_ bytes: [UInt8], at index: Int) -> UInt16? {
        guard index + 6 <= bytes.count, bytes[index + 1] == UInt8(ascii: "u") else { return nil }
        return UInt16(String(decoding: bytes[(index + 2)..<(index + 6)], as: UTF8.self), radix: 16)
    }
}
