// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import JobModel

/// Options out of a JSON object: the keys of the JSON Lines format, each of one type. null means "not given".
struct JSONOptionsReader {
    private let object: KeyedDecodingContainer<JSONKey>
    init(_ object: KeyedDecodingContainer<JSONKey>) { self.object = object }

    private static let known: Set<String> = [
        "id", "out", "dir", "checksum", "checksums", "checksums_digest", "size", "pieces", "headers",
        "referer",
        "user_agent", "username", "password",
        "proxy",
        "max_rate", "max_attempts", "retry_delay", "timeout", "connect_timeout", "lowest_speed", "exists",
        "remote_time",
        "priority", "pause", "check_certificate", "split", "max_connection_per_server", "min_split_size",
    ]

    /// - Parameters:
    ///   - besides: keys that the caller reads.
    ///   - only: the options that make sense here; nil is all.
    ///   - notAllowed: options that do not.
    func options(
        besides: Set<String> = [], only: Set<String>? = nil, notAllowed: Set<String> = []
    ) throws -> JobOptions {
        for key in object.allKeys.map(\.stringValue).sorted() where !besides.contains(key) {
            guard Self.known.contains(key) else { throw JSONMistake(nil, "unknown key \"\(excerpt(key))\"") }
            if let only, !only.contains(key) { throw JSONMistake(key, "has no meaning for a sum") }
            if notAllowed.contains(key) {
                throw JSONMistake(key, "belongs to an entry, not to the list's defaults")
            }
        }
        var options = JobOptions()
        options.id = try text("id", OptionValues.userID)
        options.out = try text("out") { $0.isEmpty ? nil : $0 }
        options.dir = try text("dir") { $0.isEmpty ? nil : $0 }
        options.checksum = try text("checksum", OptionValues.checksum)
        options.checksums = try text("checksums", OptionValues.checksums)
        options.checksumsDigest = try text("checksums_digest", OptionValues.checksum)
        options.referer = try text("referer", OptionValues.headText)
        options.userAgent = try text("user_agent", OptionValues.headText)
        options.username = try text("username", OptionValues.headText)
        options.password = try text("password", OptionValues.headText)
        options.proxy = try text("proxy", OptionValues.proxy)
        options.exists = try text("exists", OptionValues.exists)
        options.headers = try headers()
        options.size = try integer("size", 0...Int64.max)
        options.maxRate = try bytes("max_rate")
        options.lowestSpeed = try bytes("lowest_speed")
        options.maxAttempts = try integer("max_attempts", OptionValues.attempts).map { Int($0) }
        options.priority = try integer("priority", OptionValues.priorities).map { Int($0) }
        options.retryDelaySeconds = try seconds("retry_delay", OptionValues.delays)
        options.timeoutSeconds = try seconds("timeout", OptionValues.limits)
        options.connectTimeoutSeconds = try seconds("connect_timeout", OptionValues.limits)
        options.split = try integer("split", OptionValues.connections).map { Int($0) }
        options.connectionsPerServer = try integer("max_connection_per_server", OptionValues.connections)
            .map { Int($0) }
        options.minSplitSize = try bytes("min_split_size").map { max($0, OptionValues.leastSplit) }
        options.remoteTime = try value("remote_time", Bool.self, "true or false")
        options.pause = try value("pause", Bool.self, "true or false")
        options.checkCertificate = try value("check_certificate", Bool.self, "true or false")
        return options
    }

    func value<Value: Decodable>(_ key: JSONKey) throws -> Value? {
        try object.decodeIfPresent(Value.self, forKey: key)
    }

    func string(_ key: JSONKey) throws -> String {
        guard let text = try value(key, String.self, "a string") else {
            throw JSONMistake(key.stringValue, "expected a string")
        }
        return text
    }

    private func value<Value: Decodable>(
        _ key: JSONKey, _ type: Value.Type, _ expected: String
    ) throws -> Value? {
        do { return try object.decodeIfPresent(type, forKey: key) } catch {
            throw JSONMistake(key.stringValue, "expected \(expected)")
        }
    }

    private func text<Value>(
        _ key: JSONKey, _ reader: (String) throws(OptionValues.Mistake) -> Value?
    ) throws -> Value? {
        guard let text = try value(key, String.self, "a string") else { return nil }
        do { return try reader(text) } catch { throw JSONMistake(key.stringValue, error.message) }
    }

    private func integer(_ key: JSONKey, _ range: ClosedRange<Int64>) throws -> Int64? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let number = try value(key, Int64.self, expected) else { return nil }
        guard range.contains(number) else { throw JSONMistake(key.stringValue, "expected \(expected)") }
        return number
    }

    /// A number of bytes a second, or a string as aria2 writes it (`500K`).
    private func bytes(_ key: JSONKey) throws -> Int64? {
        if let text = try? object.decodeIfPresent(String.self, forKey: key) {  // else it is a number
            do { return try OptionValues.ariaSize(text) } catch {
                throw JSONMistake(key.stringValue, error.message)
            }
        }
        return try integer(key, 0...Int64.max)
    }

    private func seconds(_ key: JSONKey, _ range: ClosedRange<Double>) throws -> Double? {
        let expected = "seconds from \(Int(range.lowerBound)) to \(Int(range.upperBound))"
        guard let number = try value(key, Double.self, expected) else { return nil }
        guard range.contains(number) else { throw JSONMistake(key.stringValue, "expected \(expected)") }
        return number
    }

    /// An object; each value a string or an array of strings. Sorted by name: an object has no order.
    private func headers() throws -> [HeaderField]? {
        guard
            let fields = try value(
                "headers", [String: JSONTexts].self, "an object of strings or arrays of them")
        else { return nil }
        var headers: [HeaderField] = []
        var bytes = 0
        for (name, values) in fields.sorted(by: { $0.key < $1.key }) {
            for value in values.texts {
                bytes += name.utf8.count + value.utf8.count
                let field = HeaderField(name: name, value: value)
                if let fault = HeaderRule.fault(in: field) { throw JSONMistake("headers", fault.message) }
                headers.append(field)
            }
        }
        guard bytes <= OptionValues.headersLimit else { throw JSONMistake("headers", "together over 64 KiB") }
        return headers
    }
}

/// A string or an array of strings.
struct JSONTexts: Decodable {
    let texts: [String]
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {  // else it is an array
            texts = [text]
        } else {
            texts = try container.decode([String].self)
        }
    }
}
