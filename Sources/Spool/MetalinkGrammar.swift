// SPDX-License-Identifier: Apache-2.0

import JobModel

/// The grammar of Metalink 4 (RFC 5854): one entry for each `<file>`. Fed by an `XMLScanner`; holds one file.
///
/// Elements that it does not know, of its own namespace or of another, are passed over with all that is in them, as
/// RFC 5854 4.3 and 5 want it.
final class MetalinkGrammar: XMLTaker {
    static let namespace: StaticString = "urn:ietf:params:xml:ns:metalink"
    static let depthLimit = 32

    private enum Field {
        case url(priority: String?)
        case hash(type: String?)
        case size, pieceHash
    }
    private enum Place {
        case outside, root, file, pieces
        case field(Field, line: Int, within: FieldHome)
    }
    private enum FieldHome { case file, pieces }

    private let rules: ListRules
    private var place = Place.outside
    private var depth = 0
    /// How deep it is in what is passed over; 0: not in such a thing.
    private var passed = 0
    private var text: [UInt8] = []
    private var isTextTooLong = false
    private var file: MetalinkFile?
    private var hasToldMetaURL = false

    /// What has come since they were taken last.
    var entries: [ListEntry] = []
    var remarks: [ListRemark] = []
    /// Why it is no Metalink at all.
    private(set) var refusal: XMLFault?

    init(rules: ListRules) { self.rules = rules }

    private func refuse(_ line: Int, _ message: String) -> Bool {
        refusal = XMLFault(line: line, column: 1, message: message)
        return false
    }

    func start(_ element: XMLElement) -> Bool {
        depth += 1
        guard depth <= Self.depthLimit else {
            return refuse(element.line, "elements in elements, more than \(Self.depthLimit) deep")
        }
        if passed > 0 {
            passed += 1
            return true
        }
        let name = element.space == .ours ? element.name : ""
        switch (place, name) {
        case (.outside, "metalink"): place = .root
        case (.outside, _): return refuse(element.line, Self.complaint(about: element))
        case (.root, "file"):
            file = MetalinkFile(element)
            place = .file
        case (.file, "url"): begin(.url(priority: element["priority"]), element, .file)
        case (.file, "hash"): begin(.hash(type: element["type"]), element, .file)
        case (.file, "size"): begin(.size, element, .file)
        case (.file, "pieces"):
            file?.begin(pieces: element)
            place = .pieces
        case (.pieces, "hash"): begin(.pieceHash, element, .pieces)
        case (.file, "metaurl"):
            noteMetaURL(element)
            passed = 1
        default: passed = 1
        }
        return true
    }

    private static func complaint(about element: XMLElement) -> String {
        let expected = "expected <metalink xmlns=\"\(namespace)\">"
        guard element.name == "metalink" else { return "\(expected), not <\(excerpt(element.name))>" }
        switch element.space {
        case .other(let space): return "\(expected); its namespace is \"\(excerpt(space))\""
        case .none, .ours: return "\(expected); it has no namespace"
        }
    }

    private func noteMetaURL(_ element: XMLElement) {
        guard !hasToldMetaURL else { return }
        hasToldMetaURL = true
        remarks.append(
            ListRemark(
                level: .note, line: element.line,
                message:
                    "<metaurl mediatype=\"\(excerpt(element["mediatype"] ?? ""))\"> is not used; only <url> is"
            ))
    }

    private func begin(_ field: Field, _ element: XMLElement, _ home: FieldHome) {
        text.removeAll(keepingCapacity: true)
        isTextTooLong = false
        place = .field(field, line: element.line, within: home)
    }

    func text(_ bytes: borrowing RawSpan) -> Bool {
        guard passed == 0, case .field = place, !isTextTooLong else { return true }
        guard text.count + bytes.byteCount <= MetalinkFile.textLimit else {
            isTextTooLong = true
            return true
        }
        text.append(bytes)
        return true
    }

    func end() -> Bool {
        depth -= 1
        if passed > 0 {
            passed -= 1
            return true
        }
        switch place {
        case .field(let field, let line, let home):
            take(field, line)
            place = home == .file ? .file : .pieces
        case .pieces:
            file?.endPieces()
            place = .file
        case .file:
            endFile()
            place = .root
        case .root, .outside: place = .outside
        }
        return true
    }

    private func take(_ field: Field, _ line: Int) {
        guard !isTextTooLong else {
            file?.fail(line, .badLine, "longer than 64 KiB")
            return
        }
        var rest = text.drop { $0 <= UInt8(ascii: " ") }
        while let last = rest.last, last <= UInt8(ascii: " ") { rest.removeLast() }
        let text = String(decoding: rest, as: UTF8.self)
        switch field {
        case .url(let priority): file?.add(url: text, priority: priority, line)
        case .hash(let type): file?.add(hash: text, type: type, line)
        case .size: file?.add(size: text, line)
        case .pieceHash: file?.add(piece: text, line)
        }
    }

    private func endFile() {
        guard var file else { return }
        self.file = nil
        entries.append(file.entry(rules))
        remarks += file.remarks
    }
}
