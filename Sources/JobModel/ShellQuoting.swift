// SPDX-License-Identifier: Apache-2.0

/// A name as coreutils show it in a message: as it is where a shell would take it so, else in the quotes that make a
/// shell take it; control characters and bytes that are no UTF-8 as `$'\n'`. A colon is quoted too, since one follows.
public enum ShellQuoting {
    public static func quoted(_ name: [UInt8]) -> String {
        if name.isEmpty { return "''" }
        let pieces = pieces(name)
        let isPlain = pieces.enumerated().allSatisfy { place, piece in
            !needsQuotes(piece, place, of: pieces.count)
        }
        if isPlain { return text(pieces) }
        if pieces.contains(.shown("'")), pieces.allSatisfy(fitsDoubleQuotes) {
            return "\"" + text(pieces) + "\""
        }
        return singleQuoted(pieces)
    }

    private enum Piece: Hashable {
        case shown(Unicode.Scalar)
        /// Its escape, without `$'` and `'`.
        case hidden(String)
    }

    private static func pieces(_ name: [UInt8]) -> [Piece] {
        var pieces: [Piece] = []
        var decoder = UTF8()
        var bytes = name.makeIterator()
        var taken = 0
        while true {
            switch decoder.decode(&bytes) {
            case .scalarValue(let scalar):
                let width = UTF8.width(scalar)
                pieces += isShown(scalar) ? [.shown(scalar)] : name[taken..<(taken + width)].map(hidden)
                taken += width
            case .error:
                pieces.append(hidden(name[taken]))
                taken += 1
                // What the decoder read ahead is looked at again.
                decoder = UTF8()
                bytes = Array(name[taken...]).makeIterator()
            case .emptyInput:
                return pieces
            }
        }
    }

    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }

    private static func hidden(_ byte: UInt8) -> Piece {
        switch byte {
        case 7: .hidden("\\a")
        case 8: .hidden("\\b")
        case 9: .hidden("\\t")
        case 10: .hidden("\\n")
        case 11: .hidden("\\v")
        case 12: .hidden("\\f")
        case 13: .hidden("\\r")
        default:
            .hidden("\\" + [byte >> 6, byte >> 3 & 7, byte & 7].map(String.init).joined())
        }
    }

    private static func needsQuotes(_ piece: Piece, _ place: Int, of count: Int) -> Bool {
        guard case .shown(let scalar) = piece else { return true }
        switch scalar {
        case "#", "~": return place == 0
        case "{", "}": return count == 1
        default: return " !\"$&'()*:;<=>?[\\^`|".unicodeScalars.contains(scalar)
        }
    }

    private static func fitsDoubleQuotes(_ piece: Piece) -> Bool {
        guard case .shown(let scalar) = piece else { return false }
        return !"!\"$&()*;<=>?[\\^`|{}~".unicodeScalars.contains(scalar)
    }

    private static func text(_ pieces: [Piece]) -> String {
        var text = ""
        for case .shown(let scalar) in pieces { text.unicodeScalars.append(scalar) }
        return text
    }

    private static func singleQuoted(_ pieces: [Piece]) -> String {
        var text = "'"
        var isHidden = false
        for piece in pieces {
            switch piece {
            case .shown(let scalar):
                // Its quote closes the one before it, of either kind.
                if scalar == "'" {
                    text += "'\\''"
                } else {
                    if isHidden { text += "''" }
                    text.unicodeScalars.append(scalar)
                }
                isHidden = false
            case .hidden(let escape):
                if !isHidden { text += "'$'" }
                isHidden = true
                text += escape
            }
        }
        return text + "'"
    }
}
