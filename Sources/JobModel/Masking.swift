// SPDX-License-Identifier: Apache-2.0

/// Hides secrets and defuses control characters in whatever is shown, logged or put in results.
///
/// Works on text as it is, also on URLs that no parser takes: a bad line is shown too. Any thread.
public enum Masking {
    /// What stands in a secret's place.
    public static let mask = "***"

    /// Words that make a header's or a query field's value a secret.
    static let secretWords = ["sig", "token", "key", "secret", "passw", "credential"]

    /// The URL with its password, and the values of query names that sound like secrets, as `***`.
    ///
    /// The rest stays byte for byte; control characters are not touched (see `text`).
    public static func url(_ text: String) -> String {
        // Most URLs have neither, and results of millions of jobs come through here.
        guard text.utf8.contains(where: { $0 == at || isQueryStart($0) }) else { return text }
        let bytes = Array(text.utf8)
        var start = 0
        if let scheme = firstIndex(of: "://", in: bytes, from: 0) { start = scheme + 3 }
        let pathStart = bytes[start...].firstIndex { isPathStart($0) } ?? bytes.count
        var masked = Array(bytes[..<start])
        var rest = start
        if let secret = password(in: bytes, start: start, pathStart: pathStart) {
            masked += bytes[start..<secret.lowerBound]
            masked += mask.utf8
            rest = secret.upperBound
        }
        guard let query = bytes[rest...].firstIndex(where: { isQueryStart($0) }) else {
            return String(decoding: masked + bytes[rest...], as: UTF8.self)
        }
        masked += bytes[rest..<query]
        appendMaskedFields(bytes[query...], to: &masked)
        return String(decoding: masked, as: UTF8.self)
    }

    /// The field with a secret value as `***`: Authorization, Proxy-Authorization, Cookie, Set-Cookie, and
    /// names with a secret word in them.
    public static func header(_ field: HeaderField) -> HeaderField {
        let name = field.name.lowercased()
        let isSecret =
            ["authorization", "proxy-authorization", "cookie", "cookie2", "set-cookie", "set-cookie2"]
            .contains(name)
            || soundsSecret(Array(name.utf8))
        return isSecret ? HeaderField(name: field.name, value: mask) : field
    }

    /// Free text (a line of a list, a message of libcurl) with every URL in it masked and then made fit for a
    /// terminal or a log line by `text`.
    public static func line(_ line: String) -> String {
        var shown: [UInt8] = []
        for (index, word) in line.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            .enumerated()
        {
            if index > 0 { shown.append(UInt8(ascii: " ")) }
            let tabbed = word.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
            for (part, piece) in tabbed.enumerated() {
                if part > 0 { shown.append(UInt8(ascii: "\t")) }
                let bytes = Array(piece)
                let isURL = firstIndex(of: "://", in: bytes, from: 0) != nil
                shown += isURL ? Array(url(String(decoding: bytes, as: UTF8.self)).utf8) : bytes
            }
        }
        return text(String(decoding: shown, as: UTF8.self))
    }

    /// The text with C0, DEL, C1, bidirectional and other invisible controls as `\n`, `\t`, `\u{1b}`:
    /// nothing in it can move a cursor, recolour a terminal or reorder a line.
    public static func text(_ s: String) -> String {
        guard s.unicodeScalars.contains(where: isUnsafe) else { return s }
        var shown = ""
        for scalar in s.unicodeScalars {
            switch scalar {
            case "\n": shown += "\\n"
            case "\r": shown += "\\r"
            case "\t": shown += "\\t"
            case _ where isUnsafe(scalar): shown += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        return shown
    }

    /// Controls that a terminal or a text view acts on instead of showing them.
    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F...0x9F: true
        case 0x061C, 0x200B, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x2069, 0xFEFF: true
        // Tags: invisible copies of ASCII.
        case 0xE0000...0xE007F: true
        default: false
        }
    }

    /// The bytes between `user:` and `@`.
    private static func password(in bytes: [UInt8], start: Int, pathStart: Int) -> Range<Int>? {
        let authority = bytes[start..<pathStart]
        if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
            guard let colon = authority[..<at].firstIndex(of: UInt8(ascii: ":")) else { return nil }
            return colon + 1..<at
        }
        // `user:pa/ss@host`: no URL, but a password all the same. A port is digits only, an IPv6 host has
        // brackets.
        guard authority.first != UInt8(ascii: "["), let colon = authority.firstIndex(of: UInt8(ascii: ":")),
            !authority[(colon + 1)...].allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
            let at = bytes[pathStart...].lastIndex(of: UInt8(ascii: "@"))
        else { return nil }
        return colon + 1..<at
    }

    private static func appendMaskedFields(_ fields: ArraySlice<UInt8>, to masked: inout [UInt8]) {
        var index = fields.startIndex
        while index < fields.endIndex {
            // `index` is at a separator: ? & ; or #.
            masked.append(fields[index])
            let next = fields[(index + 1)...].firstIndex { isFieldStart($0) } ?? fields.endIndex
            let field = fields[(index + 1)..<next]
            if let equals = field.firstIndex(of: UInt8(ascii: "=")),
                soundsSecret(PercentText.decoded(Array(field[..<equals])))
            {
                masked += field[...equals]
                masked += mask.utf8
            } else {
                masked += field
            }
            index = next
        }
    }

    private static func soundsSecret(_ name: [UInt8]) -> Bool {
        let lowered = name.map { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 ? $0 | 0x20 : $0 }
        return secretWords.contains { firstIndex(of: $0, in: lowered, from: 0) != nil }
    }

    private static let at = UInt8(ascii: "@")

    private static func isPathStart(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "/") || byte == UInt8(ascii: "\\") || isQueryStart(byte)
    }
    private static func isQueryStart(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
    }
    private static func isFieldStart(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "&") || byte == UInt8(ascii: ";") || isQueryStart(byte)
    }

    private static func firstIndex(of word: String, in bytes: [UInt8], from: Int) -> Int? {
        let needle = Array(word.utf8)
        guard bytes.count - from >= needle.count else { return nil }
        return (from...(bytes.count - needle.count)).first {
            bytes[$0..<($0 + needle.count)].elementsEqual(needle)
        }
    }
}
