// SPDX-License-Identifier: Apache-2.0

internal import JobModel

/// Finds keys given twice in one object: a decoder keeps one of them and says nothing, and the reader of
/// the file believes the other.
///
/// Runs on text that has been decoded already, so it only walks: strings (both quotes of JSON5), bare keys,
/// comments and brackets.
enum DuplicateKeys {
    /// Paths of the second occurrences.
    static func find(in bytes: [UInt8]) -> [String] {
        var walk = Walk(bytes: bytes)
        walk.run()
        return walk.found
    }

    private struct Walk {
        let bytes: [UInt8]
        var index = 0
        var found: [String] = []
        /// Keys seen and the key being read, for every open object; nil for an array.
        var open: [(seen: Set<String>, key: String)?] = []
        /// The last string or word, which a `:` makes a key.
        var last = ""

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func run() {
            while index < bytes.count {
                let byte = bytes[index]
                switch byte {
                case UInt8(ascii: "\""), UInt8(ascii: "'"): last = string(byte)
                case UInt8(ascii: "/"): skipComment()
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    open.append(byte == UInt8(ascii: "{") ? ([], "") : nil)
                    index += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if !open.isEmpty { open.removeLast() }
                    index += 1
                case UInt8(ascii: ":"):
                    note()
                    index += 1
                default: isWord(byte) ? (last = word()) : (index += 1)
                }
            }
        }

        private mutating func note() {
            guard let level = open.indices.last, var object = open[level] else { return }
            object.key = last
            if !object.seen.insert(last).inserted {
                let above = open.dropLast().compactMap { $0?.key }
                found.append((above + [last]).map { Masking.text($0) }.joined(separator: "."))
            }
            open[level] = object
        }

        private mutating func string(_ quote: UInt8) -> String {
            let start = index + 1
            index = start
            while index < bytes.count, bytes[index] != quote {
                index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
            }
            let end = min(index, bytes.count)
            index = end + 1
            return String(decoding: bytes[start..<max(start, end)], as: UTF8.self)
        }

        private mutating func word() -> String {
            let start = index
            while index < bytes.count, isWord(bytes[index]) { index += 1 }
            return String(decoding: bytes[start..<index], as: UTF8.self)
        }

        private mutating func skipComment() {
            let next = index + 1 < bytes.count ? bytes[index + 1] : 0
            index += 2
            if next == UInt8(ascii: "/") {
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
            } else if next == UInt8(ascii: "*") {
                while index + 1 < bytes.count,
                    !(bytes[index] == UInt8(ascii: "*") && bytes[index + 1] == UInt8(ascii: "/"))
                {
                    index += 1
                }
                index += 2
            }
        }

        private func isWord(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...:
                true
            default: false
            }
        }
    }
}
