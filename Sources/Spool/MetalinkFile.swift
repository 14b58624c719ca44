// SPDX-License-Identifier: Apache-2.0

import JobModel

/// One `<file>` of a Metalink, while its elements come in.
///
/// Of several digests the strongest that is known counts, of several sets of pieces the one with the strongest. What
/// contradicts itself (a digest of the wrong length, a size that the pieces do not make) costs the file: fetched
/// unchecked it would look as good as one that was checked.
struct MetalinkFile {
    /// A field's text, and mirrors of one file.
    static let textLimit = 65_536
    static let mirrorLimit = 1000

    let line: Int
    private let name: String?
    private var size: Int64?
    private var checksum: Checksum?
    private var pieces: PieceHashes?
    private var urls: [(priority: Int, text: String)] = []
    private var mirrorBytes = 0
    private var fault: (line: Int, error: JobError)?
    private(set) var remarks: [ListRemark] = []

    // The `<pieces>` under way; nil: of no use.
    private var piecesOf: DigestAlgorithm?
    private var piecesLine = 0
    private var pieceLength: Int64 = 0
    private var pieceBytes: [UInt8] = []
    private var isPiecesTooLong = false

    init(_ element: XMLElement) {
        line = element.line
        name = element["name"]
    }

    /// The first fault is the one that is told.
    mutating func fail(_ line: Int, _ code: ErrorCode, _ message: String) {
        if fault == nil { fault = (line, JobError(code, message)) }
    }

    private mutating func warn(_ line: Int, _ message: String) {
        remarks.append(ListRemark(level: .warning, line: line, message: message))
    }

    mutating func add(size text: String, _ line: Int) {
        do { size = try OptionValues.integer(text, 0...Int64.max) } catch {
            fail(line, .badOption, "<size>: \(error.message)")
        }
    }

    mutating func add(url text: String, priority: String?, _ line: Int) {
        // RFC 5854 4.2.16.1: 1 comes first; what has no priority comes last.
        let place = priority.flatMap { Int($0) } ?? .max
        guard urls.count < Self.mirrorLimit, mirrorBytes + text.utf8.count <= Self.textLimit else {
            if urls.count == Self.mirrorLimit || mirrorBytes <= Self.textLimit {
                warn(line, "more URLs than are kept of one file (1,000, or 64 KiB)")
                mirrorBytes = .max / 2
            }
            return
        }
        mirrorBytes += text.utf8.count
        urls.append((place, text))
    }

    mutating func add(hash text: String, type: String?, _ line: Int) {
        guard let type, let algorithm = DigestAlgorithm(spelled: type) else {
            return warn(line, "<hash type=\"\(excerpt(type ?? ""))\"> is not used")
        }
        guard let bytes = Self.digest(text, algorithm) else {
            let expected = "\(algorithm.byteCount * 2) hex digits"
            return fail(
                line, .badOption,
                "<hash type=\"\(algorithm.rawValue)\">: expected \(expected), "
                    + "not \"\(excerpt(text))\"")
        }
        if let checksum, checksum.algorithm.strength >= algorithm.strength { return }
        checksum = Checksum(algorithm: algorithm, bytes: bytes)
    }

    private static func digest(_ text: String, _ algorithm: DigestAlgorithm) -> [UInt8]? {
        guard text.utf8.count == algorithm.byteCount * 2 else { return nil }
        return Checksum(algorithm.rawValue + "=" + text)?.bytes
    }

    /// `<pieces>` begins.
    mutating func begin(pieces element: XMLElement) {
        pieceBytes = []
        piecesLine = element.line
        isPiecesTooLong = false
        piecesOf = element["type"].flatMap { DigestAlgorithm(spelled: $0) }
        guard let piecesOf else {
            return warn(element.line, "<pieces type=\"\(excerpt(element["type"] ?? ""))\"> is not used")
        }
        do { pieceLength = try OptionValues.integer(element["length"] ?? "", 1...Int64.max) } catch {
            fail(element.line, .badOption, "length of <pieces>: \(error.message)")
            self.piecesOf = nil
        }
        if let pieces, pieces.layout.algorithm.strength >= piecesOf.strength { self.piecesOf = nil }
    }

    mutating func add(piece text: String, _ line: Int) {
        guard let piecesOf, !isPiecesTooLong else { return }
        guard let bytes = Self.digest(text, piecesOf) else {
            self.piecesOf = nil
            let expected = "\(piecesOf.byteCount * 2) hex digits"
            return fail(
                line, .badOption, "<hash> of a piece: expected \(expected), not \"\(excerpt(text))\"")
        }
        guard pieceBytes.count + bytes.count <= PieceHashes.limit else {
            isPiecesTooLong = true
            pieceBytes = []
            return warn(line, "more piece digests than are kept of one file (1 MiB): they are not used")
        }
        pieceBytes += bytes
    }

    /// `</pieces>`.
    mutating func endPieces() {
        defer { piecesOf = nil }
        guard let piecesOf, !isPiecesTooLong else { return }
        guard let made = PieceHashes(algorithm: piecesOf, length: pieceLength, bytes: pieceBytes) else {
            return fail(piecesLine, .badOption, "<pieces> without a <hash>")
        }
        pieces = made
    }

    /// `</file>`.
    mutating func entry(_ rules: ListRules) -> ListEntry {
        if name ?? "" == "" { fail(line, .badLine, "a <file> without a name") }
        if let size, let pieces, !pieces.layout.fits(size: size) {
            let layout = pieces.layout
            fail(
                line, .badOption,
                "\(layout.count) pieces of \(layout.length) bytes do not make a file of \(size) bytes")
        }
        let mirrors = usable(rules)
        if let fault {
            let message = "line \(fault.line): \(fault.error.message)"
            return ListEntry(line: line, body: .bad(JobError(fault.error.code, message)))
        }
        var options = JobOptions()
        options.out = name
        options.size = size
        options.checksum = checksum
        // A single piece is the file.
        if let only = pieces, only.layout.count == 1 {
            if checksum == nil { options.checksum = only[0] }
            pieces = nil
        }
        options.pieces = pieces?.layout
        var entry = ListEntry(line: line, body: .urls(mirrors), options: SharedOptions(options))
        entry.pieces = pieces
        return entry
    }

    /// By priority. Those that dld cannot fetch are left out, as long as another is there.
    private mutating func usable(_ rules: ListRules) -> [String] {
        let order = urls.enumerated().sorted {
            ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
        }
        var first: JobError?
        let mirrors = order.map(\.element.text).filter { text in
            do throws(JobError) {
                _ = try URLRule.parse(text, protocols: rules.protocols)
                return true
            } catch {
                first = first ?? error
                return false
            }
        }
        if !mirrors.isEmpty { return mirrors }
        if let first {
            fail(line, first.code, "no URL in it that can be fetched; the first: \(first.message)")
        } else {
            fail(line, .badURL, "no <url> in it")
        }
        return []
    }
}
