// SPDX-License-Identifier: Apache-2.0

internal import JobModel

/// Where a text stops being JSON: the decoder says only that it does.
///
/// Walks text that was refused, without recursion: values, commas, colons and brackets in their order,
/// comments and trailing commas allowed.
struct SyntaxFault {
    private enum Expectation {
        case value, valueOrClose, key, keyOrClose, colon, commaOrClose, end

        var words: String {
            switch self {
            case .value: "a value"
            case .valueOrClose: "a value or ]"
            case .key: "a key in double quotes"
            case .keyOrClose: "a key in double quotes or }"
            case .colon: "a : after the key"
            case .commaOrClose: "a comma or the end of the object or array"
            case .end: "nothing more"
            }
        }
    }

    private let bytes: [UInt8]
    private var index = 0
    private var next = Expectation.value
    /// `}` and `]` that are still to come.
    private var closers: [UInt8] = []

    /// One line such as `line 3, column 5: expected a comma ...; found "log"`; nil if the walk finds no
    /// fault.
    static func find(in bytes: [UInt8]) -> String? {
        var walk = SyntaxFault(bytes: bytes)
        return walk.run()
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func run() -> String? {
        while true {
            guard skipBlanks() else { return fault(at: index, "the comment is never closed") }
            let start = index
            guard index < bytes.count else {
                return next == .end
                    ? nil : fault(at: start, "expected \(next.words); found the end of the file")
            }
            guard let token = readToken() else {
                return fault(at: start, "the string is never closed on its line")
            }
            guard accept(token) else {
                let shown = Masking.line(String(decoding: token.prefix(30), as: UTF8.self))
                return fault(at: start, "expected \(next.words); found \(shown)")
            }
        }
    }

    private mutating func accept(_ token: ArraySlice<UInt8>) -> Bool {
        let first = token[token.startIndex]
        switch (first, next) {
        case (UInt8(ascii: "{"), .value), (UInt8(ascii: "{"), .valueOrClose):
            closers.append(UInt8(ascii: "}"))
            next = .keyOrClose
        case (UInt8(ascii: "["), .value), (UInt8(ascii: "["), .valueOrClose):
            closers.append(UInt8(ascii: "]"))
            next = .valueOrClose
        case (UInt8(ascii: "}"), .keyOrClose), (UInt8(ascii: "]"), .valueOrClose),
            (UInt8(ascii: "}"), .commaOrClose),
            (UInt8(ascii: "]"), .commaOrClose):
            guard closers.popLast() == first else { return false }
            next = closers.isEmpty ? .end : .commaOrClose
        case (UInt8(ascii: ","), .commaOrClose):
            next = closers.last == UInt8(ascii: "}") ? .keyOrClose : .valueOrClose
        case (UInt8(ascii: ":"), .colon):
            next = .value
        case (_, .key), (_, .keyOrClose):
            guard isString(first) || Self.isWord(first) else { return false }
            next = .colon
        case (_, .value), (_, .valueOrClose):
            guard isString(first) || Self.isScalar(token) else { return false }
            next = closers.isEmpty ? .end : .commaOrClose
        default: return false
        }
        return true
    }

    /// A string, a word or number, or one other byte; nil for a string without its end.
    private mutating func readToken() -> ArraySlice<UInt8>? {
        let start = index
        let first = bytes[index]
        index += 1
        if isString(first) {
            while index < bytes.count, bytes[index] != first {
                if bytes[index] == UInt8(ascii: "\n") { return nil }
                index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
            }
            index += 1
            return index <= bytes.count ? bytes[start..<index] : nil
        }
        if Self.isWord(first) { while index < bytes.count, Self.isWord(bytes[index]) { index += 1 } }
        return bytes[start..<index]
    }

    /// false for a comment that is never closed.
    private mutating func skipBlanks() -> Bool {
        while index < bytes.count {
            if [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) {
                index += 1
            } else if bytes[index...].starts(with: "//".utf8) {
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
            } else if bytes[index...].starts(with: "/*".utf8) {
                let start = index
                index += 2
                while index < bytes.count, !bytes[index...].starts(with: "*/".utf8) { index += 1 }
                if index >= bytes.count {
                    index = start
                    return false
                }
                index += 2
            } else {
                break
            }
        }
        return true
    }

    private func isString(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
            true
        default: "_$+-.".utf8.contains(byte)
        }
    }

    private static func isScalar(_ token: ArraySlice<UInt8>) -> Bool {
        let text = String(decoding: token, as: UTF8.self)
        return ["true", "false", "null"].contains(text) || Double(text) != nil
    }

    private func fault(at place: Int, _ message: String) -> String {
        let before = bytes[..<min(place, bytes.count)]
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return "line \(line), column \(before.count - lineStart + 1): \(message)"
    }
}
