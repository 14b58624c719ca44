// SPDX-License-Identifier: Apache-2.0

/// One line of a list of digests: `SHA256SUMS`, `MD5SUMS`, `name.iso.sha256`.
public enum DigestListLine: Sendable, Hashable {
    case entry(DigestListEntry)
    /// A digest alone: what some sites put into `name.iso.sha256`, where the name goes without saying.
    case bare(Checksum)
    /// Nothing, or a comment.
    case blank
    case malformed(DigestListFault)
}

/// A file and the digest it must have.
public struct DigestListEntry: Sendable, Hashable {
    public var checksum: Checksum
    /// As it stands in the list, escapes undone: never empty, no zero byte; may be a path, absolute or with `..`, and
    /// need not be UTF-8.
    public var name: [UInt8]
    /// Marked with `*`: read in binary mode, which means nothing on Linux.
    public var isBinary: Bool
    public init(checksum: Checksum, name: [UInt8], isBinary: Bool = false) {
        self.checksum = checksum
        self.name = name
        self.isBinary = isBinary
    }
}

/// Why a line says nothing.
public enum DigestListFault: String, Sendable, Hashable, CaseIterable {
    /// Neither `HEX  name` nor `ALGORITHM (name) = HEX`.
    case shape = "neither a digest and a name nor ALGORITHM (name) = digest"
    /// `ALGORITHM (name) = HEX` of something that sumd does not compute.
    case algorithm = "an algorithm that is not known"
    /// Digits that are no hex, or not as many as the algorithm has.
    case digest = "a digest with the wrong number of hex digits"
    /// The line is marked as escaped, and the name has an escape that there is none of, or a zero byte.
    case name = "a name with a broken escape"
    /// Lines with one blank before the name (BSD's `-r`) and with two do not mix: a name may begin with a blank.
    case mixed = "one blank before the name in a list whose other lines have two"
}

/// Reads the lines of one list, as coreutils do: GNU lines (`HEX  name`, `HEX *name`), BSD lines (`SHA256 (name) = HEX`;
/// also without the blanks, as openssl has it), BSD's reversed ones (`HEX name`), and a backslash before lines whose
/// name is escaped (`\\`, `\n`, `\r`).
///
/// Pure. Nothing here traps on what a line holds; a line of any length costs its own length.
public struct DigestListReader: Sendable {
    /// What hex digits of a fitting number are where the line does not say: SHA-512 and BLAKE2b look alike.
    private let hint: DigestAlgorithm?
    /// Whether the names of this list stand behind one blank; known from its first line on.
    private var isReversed: Bool?

    /// - Parameter hint: the algorithm by the name of the list (see `DigestAlgorithm(listName:)`) or by a user's word.
    public init(hint: DigestAlgorithm? = nil) { self.hint = hint }

    /// The next line, without its line feed; a carriage return at its end is dropped.
    public mutating func read(_ line: some BidirectionalCollection<UInt8>) -> DigestListLine {
        var rest = Array(line)[...]
        if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
        if rest.isEmpty || rest.first == UInt8(ascii: "#") { return .blank }
        rest = rest.drop { Self.isBlank($0) }
        let isEscaped = rest.first == UInt8(ascii: "\\")
        if isEscaped { rest.removeFirst() }
        let digits = rest.prefix { PercentText.nibble($0) != nil }
        let behind = rest[digits.endIndex...]
        if behind.isEmpty, !isEscaped, let checksum = checksum(digits) { return .bare(checksum) }
        if let blank = behind.first, Self.isBlank(blank), let checksum = checksum(digits) {
            return plain(checksum, behind.dropFirst(), isEscaped)
        }
        return tagged(rest, isEscaped)
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }

    /// By the hint, else by what has so many digits and is most in use. Eight are left alone: CRC-32 is not CRC-32C.
    private func checksum(_ digits: ArraySlice<UInt8>) -> Checksum? {
        let common: [DigestAlgorithm] = [.sha256, .sha512, .sha1, .md5, .sha384, .sha224]
        let candidates = [hint].compactMap { $0 } + common
        guard let algorithm = candidates.first(where: { $0.byteCount * 2 == digits.count }) else {
            return nil
        }
        return Checksum.bytes(hex: digits.span).map { Checksum(algorithm: algorithm, bytes: $0) }
    }

    private mutating func plain(
        _ checksum: Checksum, _ rest: ArraySlice<UInt8>, _ isEscaped: Bool
    ) -> DigestListLine {
        guard let mark = rest.first else { return .malformed(.shape) }
        let isMark = mark == UInt8(ascii: " ") || mark == UInt8(ascii: "*")
        var name = rest
        var isBinary = false
        if rest.count == 1 || !isMark {
            if isReversed == false { return .malformed(.mixed) }
            isReversed = true
        } else if isReversed != true {
            isReversed = false
            isBinary = mark == UInt8(ascii: "*")
            name = rest.dropFirst()
        }
        return Self.entry(checksum, name, isBinary, isEscaped)
    }

    /// `ALGORITHM (name) = HEX`; the name may hold brackets and anything else.
    private func tagged(_ line: ArraySlice<UInt8>, _ isEscaped: Bool) -> DigestListLine {
        guard let open = line.firstIndex(of: UInt8(ascii: "(")),
            let close = line.lastIndex(of: UInt8(ascii: ")")),
            open < close
        else { return .malformed(.shape) }
        var tag = line[..<open]
        if tag.last == UInt8(ascii: " ") { tag.removeLast() }
        var rest = line[(close + 1)...].drop { Self.isBlank($0) }
        guard rest.first == UInt8(ascii: "="), !tag.isEmpty else { return .malformed(.shape) }
        rest = rest.dropFirst().drop { Self.isBlank($0) }
        guard let algorithm = Self.algorithm(tag) else { return .malformed(.algorithm) }
        guard let bytes = Checksum.bytes(hex: rest.span), bytes.count == algorithm.byteCount else {
            return .malformed(.digest)
        }
        return Self.entry(
            Checksum(algorithm: algorithm, bytes: bytes), line[(open + 1)..<close], false, isEscaped)
    }

    private static func algorithm(_ tag: ArraySlice<UInt8>) -> DigestAlgorithm? {
        tag.count <= 16 ? DigestAlgorithm(spelled: String(decoding: tag, as: UTF8.self)) : nil
    }

    private static func entry(
        _ checksum: Checksum, _ name: ArraySlice<UInt8>, _ isBinary: Bool, _ isEscaped: Bool
    ) -> DigestListLine {
        guard !name.isEmpty else { return .malformed(.shape) }
        guard !name.contains(0), let plain = isEscaped ? unescaped(name) : Array(name) else {
            return .malformed(.name)
        }
        return .entry(DigestListEntry(checksum: checksum, name: plain, isBinary: isBinary))
    }

    private static func unescaped(_ name: ArraySlice<UInt8>) -> [UInt8]? {
        var plain: [UInt8] = []
        var isAfterBackslash = false
        for byte in name {
            switch (isAfterBackslash, byte) {
            case (false, UInt8(ascii: "\\")):
                isAfterBackslash = true
                continue
            case (false, _): plain.append(byte)
            case (true, UInt8(ascii: "\\")): plain.append(byte)
            case (true, UInt8(ascii: "n")): plain.append(UInt8(ascii: "\n"))
            case (true, UInt8(ascii: "r")): plain.append(UInt8(ascii: "\r"))
            case (true, _): return nil
            }
            isAfterBackslash = false
        }
        return isAfterBackslash ? nil : plain
    }
}

extension DigestListEntry {
    /// The line as coreutils print it, without a line feed: `HEX  name`, or with `tagged` the BSD one. `escaped` false:
    /// the name as it is, for lines that end with a zero byte.
    public func line(tagged: Bool = false, escaped: Bool = true) -> [UInt8] {
        let (shown, isEscaped) = escaped ? Self.escaped(name) : (name, false)
        let mark = isEscaped ? [UInt8(ascii: "\\")] : []
        let hex = checksum.hex.utf8
        if tagged { return mark + "\(checksum.algorithm.tag) (".utf8 + shown + ") = ".utf8 + hex }
        return mark + hex + (isBinary ? " *" : "  ").utf8 + shown
    }

    /// A name with its backslashes and line ends as `\\`, `\n`, `\r`, and whether it has any.
    public static func escaped(_ name: [UInt8]) -> (bytes: [UInt8], isEscaped: Bool) {
        var shown: [UInt8] = []
        for byte in name {
            switch byte {
            case UInt8(ascii: "\\"): shown += "\\\\".utf8
            case UInt8(ascii: "\n"): shown += "\\n".utf8
            case UInt8(ascii: "\r"): shown += "\\r".utf8
            default: shown.append(byte)
            }
        }
        return (shown, shown.count != name.count)
    }
}

extension DigestAlgorithm {
    /// The algorithm that the name of a list stands for, in any case: `SHA256SUMS`, `MD5SUMS.txt`, `B2SUMS`,
    /// `name.iso.sha256`, `sha256sum.txt`; nil for `CHECKSUMS` and the like. A path may stand before it.
    public init?(listName: String) {
        let name = (listName.lowercased().split(separator: "/").last ?? "")
        let words = name.split { !$0.isLetter && !$0.isNumber }
        for word in words.reversed() {
            let stem =
                word.hasSuffix("sums")
                ? word.dropLast(4) : word.hasSuffix("sum") ? word.dropLast(3) : word[...]
            if stem == "b2" {
                self = .blake2b
            } else if let match = Self(spelled: stem) {
                self = match
            } else {
                continue
            }
            return
        }
        return nil
    }
}
