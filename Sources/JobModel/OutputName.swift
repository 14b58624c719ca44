// SPDX-License-Identifier: Apache-2.0

/// Makes one component of an output path out of whatever a URL, a server or a list said.
public enum OutputName {
    /// The longest name that Linux file systems take, in bytes.
    public static let maxBytes = 255

    /// A name that is safe as one path component: valid UTF-8, 1 to `maxBytes` bytes, no `/`, no control
    /// character (C0, DEL, C1: percent-encoded, as are bytes that are no UTF-8), never `.` or `..`.
    ///
    /// Empty, `.` and `..` become `index`. Bytes are never normalised: "é" keeps the spelling it came in. A
    /// name that is too long keeps its extension and its beginning and gets 16 hex digits of its SHA-256 in
    /// between, so that two long names stay two. With `isTop` (a component directly below the output
    /// directory) a name that begins with `.dld` gets a `_` before it: that folder is dld's own.
    ///
    /// The same input gives the same name, in every process. Any thread.
    public static func safe(
        _ component: [UInt8], isTop: Bool = false, maxBytes: Int = OutputName.maxBytes
    ) -> String {
        var name = isPlain(component) ? component : encoded(component)
        if name.count <= 2, name.allSatisfy({ $0 == UInt8(ascii: ".") }) { name = Array("index".utf8) }
        if isTop, isReserved(name) { name.insert(UInt8(ascii: "_"), at: 0) }
        if name.count > maxBytes { name = shortened(name, to: maxBytes) }
        return String(decoding: name, as: UTF8.self)
    }

    /// Whether the name may reach dld's own folder at the top of the output: `.dld` in any case, also with
    /// characters between that a case-folding file system ignores.
    public static func isReserved(_ name: [UInt8]) -> Bool {
        let letters = name.lazy.filter { $0 < 0x80 }.map {
            UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 ? $0 | 0x20 : $0
        }
        return letters.starts(with: ".dld".utf8)
    }

    /// Where the extension begins (its dot), nil without one. A leading dot makes a hidden name, no
    /// extension; one that is long or has spaces is a sentence, not an extension.
    static func extensionStart(_ name: [UInt8]) -> Int? {
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > 0, dot < name.count - 1,
            name.count - dot <= 17, !name[dot...].contains(UInt8(ascii: " "))
        else { return nil }
        // `x.tar.gz` is one extension of two parts.
        let inner = Array(name[..<dot])
        if inner.count > 4, inner.suffix(4).elementsEqual(".tar".utf8) { return dot - 4 }
        return dot
    }

    /// ASCII, nothing in it to be encoded: nearly every name.
    private static func isPlain(_ component: [UInt8]) -> Bool {
        component.allSatisfy { 0x20...0x7E ~= $0 && $0 != UInt8(ascii: "/") }
    }

    private static func encoded(_ component: [UInt8]) -> [UInt8] {
        var name: [UInt8] = []
        name.reserveCapacity(component.count)
        var index = 0
        while index < component.count {
            let length = sequenceLength(component[index...])
            let byte = component[index]
            let isControl =
                byte < 0x20 || byte == 0x7F || (length == 2 && byte == 0xC2 && component[index + 1] < 0xA0)
            if length == 0 || isControl || byte == UInt8(ascii: "/") {
                for offset in 0..<max(1, length) { name += PercentText.encoded(component[index + offset]) }
            } else {
                name += component[index..<(index + length)]
            }
            index += max(1, length)
        }
        return name
    }

    /// Bytes of the well-formed UTF-8 sequence at the front (Unicode table 3-7), 0 if there is none.
    static func sequenceLength(_ bytes: ArraySlice<UInt8>) -> Int {
        guard let first = bytes.first else { return 0 }
        let length: Int
        let second: ClosedRange<UInt8>
        switch first {
        case 0...0x7F: return 1
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return 0
        }
        let tail = bytes.dropFirst().prefix(length - 1)
        guard tail.count == length - 1, let next = tail.first, second.contains(next),
            tail.dropFirst().allSatisfy({ 0x80...0xBF ~= $0 })
        else { return 0 }
        return length
    }

    /// At most `limit` bytes of the front, never ending inside a UTF-8 sequence.
    static func prefix(_ name: some Collection<UInt8>, _ limit: Int) -> [UInt8] {
        var kept = Array(name.prefix(max(0, limit)))
        guard kept.count < name.count else { return kept }
        // Take back a sequence that was cut: its first byte and what followed of it.
        var start = kept.count - 1
        while start >= 0, start > kept.count - 4, kept[start] & 0xC0 == 0x80 { start -= 1 }
        if start >= 0, kept[start] >= 0x80, sequenceLength(kept[start...]) == 0 {
            kept.removeSubrange(start...)
        }
        return kept
    }

    private static func shortened(_ name: [UInt8], to limit: Int) -> [UInt8] {
        let tail = extensionStart(name).map { Array(name[$0...]) } ?? []
        let hash = Array("~".utf8) + Array(NameDigest.hex(name, count: 16).utf8)
        let stem = prefix(name[..<(name.count - tail.count)], limit - tail.count - hash.count)
        return stem + hash + tail
    }
}
