// SPDX-License-Identifier: Apache-2.0

/// The file name that a server gives with Content-Disposition (RFC 6266), read strictly and made harmless.
public enum ContentDisposition {
    /// A name for one component of an output path; nil where the fields give none, contradict each other or break
    /// the grammar: then the URL's own name stands.
    ///
    /// `filename*` (RFC 8187; UTF-8 or ISO-8859-1) goes before `filename`, which is taken as it is: nothing in it is
    /// percent-decoded. What is left has no directory (the last component of `/` and `\` counts), no leading dot or
    /// space, no control character and no byte that is not UTF-8 (percent-encoded by `OutputName`), and at most 255
    /// bytes. Any thread.
    ///
    /// - Parameter fields: the values, one each header field, as raw bytes.
    public static func name(_ fields: [[UInt8]]) -> String? {
        guard let first = fields.first, fields.allSatisfy({ $0 == first }) else { return nil }
        guard first.count <= 8192, let parameters = Grammar.parameters(first) else { return nil }
        let extended = parameters["filename*"].flatMap { $0.isQuoted ? nil : Grammar.extended($0.bytes) }
        guard let given = extended ?? parameters["filename"]?.bytes else { return nil }
        return cleaned(given)
    }

    static func cleaned(_ given: [UInt8]) -> String? {
        let last =
            given.split(
                omittingEmptySubsequences: false,
                whereSeparator: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }
            ).last ?? []
        let bare = last.drop {
            $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t")
        }
        let end = bare.lastIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        guard let end else { return nil }
        return OutputName.safe(Array(bare[...end]))
    }
}

/// RFC 6266 section 4.1 and RFC 8187 section 3.2.1, on bytes.
private enum Grammar {
    struct Value {
        var bytes: [UInt8]
        var isQuoted: Bool
    }

    /// By name in lower case; nil where the field breaks the grammar, or names one twice.
    static func parameters(_ field: [UInt8]) -> [String: Value]? {
        var rest = field[...]
        skipSpace(&rest)
        guard token(&rest) != nil else { return nil }
        var parameters: [String: Value] = [:]
        while true {
            skipSpace(&rest)
            guard let next = rest.first else { return parameters }
            guard next == UInt8(ascii: ";") else { return nil }
            rest.removeFirst()
            skipSpace(&rest)
            // A semicolon at the end is so common that it is let pass.
            if rest.isEmpty { return parameters }
            guard let name = token(&rest) else { return nil }
            skipSpace(&rest)
            guard rest.popFirst() == UInt8(ascii: "=") else { return nil }
            skipSpace(&rest)
            let isQuoted = rest.first == UInt8(ascii: "\"")
            guard let value = isQuoted ? quoted(&rest) : token(&rest) else { return nil }
            let key = String(decoding: name, as: UTF8.self).lowercased()
            guard parameters.updateValue(Value(bytes: value, isQuoted: isQuoted), forKey: key) == nil else {
                return nil
            }
        }
    }

    /// `UTF-8'en'%e2%82%ac`.
    static func extended(_ value: [UInt8]) -> [UInt8]? {
        let parts = value.split(separator: UInt8(ascii: "'"), omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        let charset = String(decoding: parts[0], as: UTF8.self).lowercased()
        guard let bytes = decoded(parts[2]) else { return nil }
        switch charset {
        case "utf-8": return String(validating: bytes, as: UTF8.self) == nil ? nil : bytes
        case "iso-8859-1": return bytes.flatMap { $0 < 0x80 ? [$0] : [0xC0 | $0 >> 6, 0x80 | $0 & 0x3F] }
        default: return nil
        }
    }

    private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(PercentText.nibble),
                    let low = rest.popFirst().flatMap(PercentText.nibble)
                else {
                    return nil
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    private static func skipSpace(_ rest: inout ArraySlice<UInt8>) {
        rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }

    private static func token(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        let token = rest.prefix { HeaderRule.isToken($0) }
        guard !token.isEmpty else { return nil }
        rest = rest.dropFirst(token.count)
        return Array(token)
    }

    /// Bytes above ASCII pass (obs-text), control characters do not.
    private static func quoted(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        rest.removeFirst()
        var bytes: [UInt8] = []
        while var byte = rest.popFirst() {
            if byte == UInt8(ascii: "\"") { return bytes }
            if byte == UInt8(ascii: "\\") {
                guard let escaped = rest.popFirst() else { return nil }
                byte = escaped
            }
            guard byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t") else { return nil }
            bytes.append(byte)
        }
        return nil
    }
}
