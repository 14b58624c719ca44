// SPDX-License-Identifier: Apache-2.0

/// How many columns of a terminal a text takes, and how to make it fit.
public enum TextWidth {
    /// Combining marks take none, East Asian wide characters and emoji two, the rest one. The text has no
    /// controls
    /// (`Masking.text` saw to that).
    public static func columns(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + columns($1) }
    }

    private static func columns(_ scalar: Unicode.Scalar) -> Int {
        if scalar.value < 0x300 { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
            0xA000...0xA4CF,
            0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE4F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
            0x1F300...0x1FAFF,
            0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }

    /// Cut in the middle to at most `width` columns: of a long name both the beginning and the ending tell
    /// something.
    public static func truncated(_ text: String, to width: Int) -> String {
        let total = columns(text)
        guard total > width else { return text }
        guard width > 3 else { return String(repeating: ".", count: max(0, width)) }
        let room = width - 3
        let tail = room / 2
        return prefix(text, room - tail) + "..." + suffix(text, tail)
    }

    /// Broken into lines of at most `width` columns: after commas where there are any in reach, else at
    /// spaces, so
    /// that a number stays with its word. A word that is longer is cut.
    public static func wrapped(_ text: String, to width: Int) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ").map({ truncated(String($0), to: width) }) {
            let last = lines[lines.count - 1]
            if last.isEmpty {
                lines[lines.count - 1] = word
            } else if columns(last) + 1 + columns(word) <= width {
                lines[lines.count - 1] = last + " " + word
            } else if let comma = last.lastIndex(of: ","), last.index(after: comma) != last.endIndex,
                columns(String(last[comma...])) + columns(word) < width / 2
            {
                lines[lines.count - 1] = String(last[...comma])
                lines.append(last[last.index(after: comma)...].drop { $0 == " " } + " " + word)
            } else {
                lines.append(word)
            }
        }
        return lines
    }

    /// Padded with spaces on the right.
    public static func leftAligned(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - columns(text)))
    }
    /// Padded with spaces on the left.
    public static func rightAligned(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - columns(text))) + text
    }

    private static func prefix(_ text: String, _ width: Int) -> String {
        var taken = ""
        var used = 0
        for character in text {
            let size = columns(String(character))
            if used + size > width { break }
            taken.append(character)
            used += size
        }
        return taken
    }
    private static func suffix(_ text: String, _ width: Int) -> String {
        var taken: [Character] = []
        var used = 0
        for character in text.reversed() {
            let size = columns(String(character))
            if used + size > width { break }
            taken.append(character)
            used += size
        }
        return String(taken.reversed())
    }
}
