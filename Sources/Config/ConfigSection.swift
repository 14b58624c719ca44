// SPDX-License-Identifier: Apache-2.0

internal import JobModel

/// Collects what is wrong while a config is read.
final class MistakeLog {
    var mistakes: [ConfigMistake] = []
    var warnings: [ConfigMistake] = []
}

/// One object of the config under its path: reads typed values, notes each mistake, and at the end names
/// the keys that nobody asked for.
final class ConfigSection {
    let path: String
    let log: MistakeLog
    private let fields: [String: JSONValue]
    private var known: Set<String> = []

    init(path: String, fields: [String: JSONValue], log: MistakeLog) {
        self.path = path
        self.fields = fields
        self.log = log
    }

    var keys: [String] { fields.keys.sorted() }
    func isGiven(_ key: String) -> Bool { fields[key] != nil }

    func path(of key: String) -> String {
        let isPlain = key.utf8.allSatisfy {
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || $0 == UInt8(ascii: "_")
        }
        let name = isPlain && !key.isEmpty ? key : "\"\(Masking.text(key))\""
        return path.isEmpty ? name : "\(path).\(name)"
    }

    func mistake(_ key: String, _ message: String) {
        log.mistakes.append(ConfigMistake(path: path(of: key), message: message))
    }

    /// The value as `parse` takes it; where the key is missing, or wrong and noted, the standard.
    func read<T>(_ key: String, _ standard: T, expected: String, _ parse: (JSONValue) -> T?) -> T {
        known.insert(key)
        guard let value = fields[key] else { return standard }
        if let parsed = parse(value) { return parsed }
        mistake(key, "expected \(expected); found \(Self.shown(value))")
        return standard
    }

    /// An object below; an empty one where the key is missing or wrong.
    func section(_ key: String) -> ConfigSection {
        known.insert(key)
        var inner: [String: JSONValue] = [:]
        switch fields[key] {
        case nil: break
        case .object(let object): inner = object
        case .some(let value): mistake(key, "expected an object {...}; found \(Self.shown(value))")
        }
        return ConfigSection(path: path(of: key), fields: inner, log: log)
    }

    /// Notes every key that was not read, with the nearest one that exists. `elsewhere` maps names to their
    /// full paths in other sections.
    func finish(elsewhere: [String: String] = [:]) {
        for key in keys where !known.contains(key) {
            var message = "unknown key"
            if let near = KeyDistance.nearest(to: key, in: known.sorted()) {
                message += "; did you mean \(path(of: near))?"
            } else if let other = elsewhere[key] {
                message += "; did you mean \(other)?"
            } else if !known.isEmpty {
                message += "; known here: \(known.sorted().joined(separator: ", "))"
            }
            mistake(key, message)
        }
    }

    /// The value for a message: short, masked, on one line.
    static func shown(_ value: JSONValue) -> String {
        switch value {
        case .null: return "null"
        case .bool(let flag): return flag ? "true" : "false"
        case .integer(let number): return String(number)
        case .unsigned(let number): return String(number)
        case .number(let number): return "\(number)"
        case .string(let text):
            // A proxy without a scheme has its password in the same place.
            let masked = text.contains("@") ? Masking.url(text) : text
            let line = Masking.line(masked)
            return line.count > 60 ? "\"\(line.prefix(60))...\"" : "\"\(line)\""
        case .array, .object: return value.kind
        }
    }
}

extension ConfigSection {
    func bool(_ key: String, _ standard: Bool) -> Bool {
        read(key, standard, expected: "true or false") { if case .bool(let flag) = $0 { flag } else { nil } }
    }

    func integer(_ key: String, _ standard: Int, in range: ClosedRange<Int>) -> Int {
        read(key, standard, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)") {
            guard case .integer(let number) = $0, let value = Int(exactly: number), range ~= value else {
                return nil
            }
            return value
        }
    }

    /// A count that null, the standard, leaves to dld.
    func count(_ key: String, orAutomatic range: ClosedRange<Int>) -> Int? {
        read(
            key, nil,
            expected:
                "a whole number from \(range.lowerBound) to \(range.upperBound), or null: as many as help"
        ) {
            if $0 == .null { return .some(nil) }
            guard case .integer(let number) = $0, let value = Int(exactly: number), range ~= value else {
                return nil
            }
            return value
        }
    }

    /// A count whose standard is the number of cores; null asks for it too.
    func count(_ key: String, perCore standard: Int, in range: ClosedRange<Int>) -> Int {
        read(
            key, standard,
            expected: "a whole number from \(range.lowerBound) to \(range.upperBound), or null: one a core"
        ) {
            if $0 == .null { return standard }
            guard case .integer(let number) = $0, let value = Int(exactly: number), range ~= value else {
                return nil
            }
            return value
        }
    }

    func choice<T: RawRepresentable<String> & CaseIterable>(_ key: String, _ standard: T) -> T {
        let names = T.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        return read(key, standard, expected: "one of \(names)") {
            if case .string(let text) = $0 { T(rawValue: text) } else { nil }
        }
    }

    /// A size with a unit; a number is bytes.
    func size(_ key: String, _ standard: Int64, in range: ClosedRange<Int64> = 0...Int64.max) -> Int64 {
        read(key, standard, expected: "a size such as \"64MiB\"") { Self.size($0, in: range) }
    }

    /// A size, or null or "unlimited".
    func limit(_ key: String, _ standard: Int64?) -> Int64? {
        read(key, standard, expected: "a size such as \"64MiB\", or null for no limit") { value -> Int64?? in
            if Self.isUnlimited(value) { return .some(nil) }
            return Self.size(value, in: 1...Int64.max).map { .some($0) }
        }
    }

    /// Bytes a second, or null or "unlimited".
    func rate(_ key: String, _ standard: Int64?) -> Int64? {
        read(key, standard, expected: "a rate such as \"10MiB/s\", or null for no limit") {
            value -> Int64?? in
            if Self.isUnlimited(value) { return .some(nil) }
            if case .string(let text) = value {
                return ByteSize.parseRate(text).flatMap { $0 > 0 ? .some($0) : nil }
            }
            return Self.size(value, in: 1...Int64.max).map { .some($0) }
        }
    }

    /// A rate at all times, or an object of rates by spans of local time.
    func timetable(_ key: String, _ standard: RateTimetable) -> RateTimetable {
        guard case .object? = fields[key] else { return RateTimetable(rate(key, standard.standard)) }
        let table = section(key)
        let otherwise = table.rate("default", nil)
        var rules: [RateTimetable.Rule] = []
        for span in table.keys where span != "default" {
            guard let parsed = RateTimetable.Span.parse(span) else {
                table.mistake(
                    span,
                    "expected \"default\" or a span of local time such as \"22:00-06:00\" or "
                        + "\"sat,sun 08:00-20:00\"")
                continue
            }
            if let twin = rules.first(where: { $0.span == parsed }) {
                table.mistake(span, "the same span as \"\(twin.span.text)\"")
            }
            rules.append(RateTimetable.Rule(span: parsed, rate: table.rate(span, nil)))
        }
        return RateTimetable(standard: otherwise, rules: rules)
    }

    func duration(_ key: String, _ standard: Duration, in range: ClosedRange<Duration>) -> Duration {
        read(key, standard, expected: Self.expected(range)) { Self.duration($0, in: range) }
    }

    /// A duration, or null or one of the words.
    func duration(
        _ key: String, _ standard: Duration?, in range: ClosedRange<Duration>, or word: String
    ) -> Duration? {
        read(key, standard, expected: Self.expected(range) + ", or \"\(word)\"") { value -> Duration?? in
            if value == .null || value == .string(word) { return .some(nil) }
            return Self.duration(value, in: range).map { .some($0) }
        }
    }

    /// An absolute path in its simplest form: a trailing slash and doubled ones go.
    func path(_ key: String, _ standard: String) -> String {
        read(key, standard, expected: "an absolute path without \"..\"") { Self.path($0) }
    }

    func optionalPath(_ key: String, _ standard: String?) -> String? {
        read(key, standard, expected: "an absolute path without \"..\", or null") { value -> String?? in
            value == .null ? .some(nil) : Self.path(value).map { .some($0) }
        }
    }

    /// Octal permissions in quotes.
    func mode(_ key: String, _ standard: UInt32, needs: UInt32, allows: UInt32) -> UInt32 {
        let example = "\"0\(String(standard, radix: 8))\""
        return read(
            key, standard, expected: "octal permissions in quotes such as \(example), the owner's included"
        ) {
            guard case .string(let text) = $0, 3...4 ~= text.utf8.count,
                text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "7") ~= $0 }),
                let mode = UInt32(text, radix: 8), mode & needs == needs, mode & ~allows == 0
            else { return nil }
            return mode
        }
    }

    static func isUnlimited(_ value: JSONValue) -> Bool {
        value == .null || value == .string("unlimited") || value == .string("none")
    }

    private static func size(_ value: JSONValue, in range: ClosedRange<Int64>) -> Int64? {
        switch value {
        case .string(let text): ByteSize.parse(text).flatMap { range ~= $0 ? $0 : nil }
        case .integer(let number): range ~= number ? number : nil
        default: nil
        }
    }

    private static func duration(_ value: JSONValue, in range: ClosedRange<Duration>) -> Duration? {
        guard case .string(let text) = value, let duration = DurationText.parse(text), range ~= duration
        else { return nil }
        return duration
    }

    private static func expected(_ range: ClosedRange<Duration>) -> String {
        let ends = "\(DurationText.format(range.lowerBound)) to \(DurationText.format(range.upperBound))"
        return "a duration with its unit such as \"30s\" or \"5m\" (\(ends))"
    }

    /// A name as systemd takes it for a credential: one component, nothing that a path reads otherwise.
    static func bareName(_ value: JSONValue) -> String? {
        guard case .string(let text) = value, (1...255).contains(text.utf8.count), text != ".", text != "..",
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") })
        else { return nil }
        return text
    }

    static func path(_ value: JSONValue) -> String? {
        guard case .string(let text) = value, text.utf8.first == UInt8(ascii: "/"), text.utf8.count <= 3000,
            !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
        else { return nil }
        let parts = text.utf8.split(separator: UInt8(ascii: "/")).map { String($0) ?? "" }
        guard !parts.contains(".."), !parts.contains(".") else { return nil }
        return "/" + parts.joined(separator: "/")
    }
}

/// Which known key a mistyped one probably was.
enum KeyDistance {
    static func nearest(to key: String, in known: [String]) -> String? {
        let typed = Array(key.lowercased().utf8.prefix(100)).filter {
            $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "_")
        }
        var best: (key: String, distance: Int)?
        for candidate in known {
            let distance = edits(typed, candidate.utf8.filter { $0 != UInt8(ascii: "_") })
            if distance < best?.distance ?? Int.max { best = (candidate, distance) }
        }
        guard let best, best.distance <= max(1, min(typed.count, best.key.utf8.count) / 3) else { return nil }
        return best.key
    }

    /// Levenshtein's distance.
    private static func edits(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
