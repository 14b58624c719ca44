// SPDX-License-Identifier: Apache-2.0

/// One piece of a parsed layout template.
enum LayoutPiece: Sendable, Hashable {
    case literal(String)
    case field(LayoutField)

    /// Reads a template; see `OutputLayout.init`.
    static func parse(_ template: String) throws(LayoutError) -> [LayoutPiece] {
        var pieces: [LayoutPiece] = []
        var literal: [UInt8] = []
        let bytes = Array(template.utf8)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            let next = index + 1 < bytes.count ? bytes[index + 1] : 0
            if byte == UInt8(ascii: "{"), next != byte {
                guard let close = bytes[index...].firstIndex(of: UInt8(ascii: "}")) else {
                    throw LayoutError("\"{\" at byte \(index) is never closed; a brace itself is written {{")
                }
                if !literal.isEmpty { pieces.append(.literal(String(decoding: literal, as: UTF8.self))) }
                literal = []
                pieces.append(
                    .field(try LayoutField(String(decoding: bytes[(index + 1)..<close], as: UTF8.self))))
                index = close + 1
            } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}") {
                guard next == byte else {
                    throw LayoutError("\"}\" at byte \(index) closes nothing; write }}")
                }
                literal.append(byte)
                index += 2
            } else {
                literal.append(byte)
                index += 1
            }
        }
        if !literal.isEmpty { pieces.append(.literal(String(decoding: literal, as: UTF8.self))) }
        try check(pieces)
        return pieces
    }

    private static func check(_ pieces: [LayoutPiece]) throws(LayoutError) {
        var shape: [UInt8] = []
        var fields = 0
        for piece in pieces {
            switch piece {
            case .literal(let text): shape += text.utf8
            case .field:
                shape.append(UInt8(ascii: "x"))
                fields += 1
            }
        }
        guard fields > 0 else {
            throw LayoutError("expected \"flat\", \"host_path\" or a template with a field such as {name}")
        }
        guard shape.first != UInt8(ascii: "/") else {
            throw LayoutError("a template is relative to output_dir: no leading /")
        }
        guard shape.last != UInt8(ascii: "/") else {
            throw LayoutError("a template ends in a file name, not in /")
        }
        guard !shape.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw LayoutError("control characters are not taken in a template")
        }
        let components = shape.split(separator: UInt8(ascii: "/"))
        guard !components.contains(where: { $0.elementsEqual("..".utf8) || $0.elementsEqual(".".utf8) })
        else {
            throw LayoutError("\".\" and \"..\" are not taken in a template")
        }
        if let top = components.first, OutputName.isReserved(Array(top)) {
            throw LayoutError("names that begin with .dld are dld's own at the top of the output")
        }
    }
}

/// What a field of a template stands for.
enum LayoutField: Sendable, Hashable {
    case host, port, dirs, name, stem, ext, query, list, line, job
    case sha256(Int)
    /// Of `host_path` only.
    case hostAndPort, nameAndQuery

    init(_ text: String) throws(LayoutError) {
        switch text {
        case "host": self = .host
        case "port": self = .port
        case "dirs": self = .dirs
        case "name": self = .name
        case "stem": self = .stem
        case "ext": self = .ext
        case "query": self = .query
        case "list": self = .list
        case "line": self = .line
        case "job": self = .job
        default:
            if text.utf8.starts(with: "sha256:".utf8) {
                let digits = text.dropFirst(7)
                guard digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
                    let count = Int(digits),
                    1...64 ~= count
                else { throw LayoutError("{\(Masking.text(text))}: expected {sha256:N} with N from 1 to 64") }
                self = .sha256(count)
                return
            }
            throw LayoutError(
                "unknown field {\(Masking.text(text))}; there are {host} {port} {dirs} {name} {stem} {ext} {query} "
                    + "{list} {line} {job} {sha256:N}")
        }
    }
}

/// The values that a template's fields take for one download.
struct LayoutSource {
    let url: DownloadURL
    let list: ListID
    let line: Int
    let job: JobID
    private let query: [UInt8]?
    /// Of the path, as they stand in it.
    private let folders: [ArraySlice<UInt8>]
    /// Decoded once and safe.
    private let name: [UInt8]

    init(url: DownloadURL, urlPath: String, query: String?, list: ListID, line: Int, job: JobID) {
        self.url = url
        self.list = list
        self.line = line
        self.job = job
        self.query = query.map { Array($0.utf8) }
        var segments = Array(urlPath.utf8).split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        name = Array(OutputName.safe(PercentText.decodedSegment(Array(segments.popLast() ?? []))).utf8)
        folders = segments
    }

    /// Where a template asks for them.
    private var dirs: [[UInt8]] {
        folders.compactMap { segment in
            let decoded = PercentText.decodedSegment(Array(segment))
            if decoded.isEmpty || decoded == Array(".".utf8) { return nil }
            // Not dropped: `a/%2E%2E/b` and `a/b` are two places.
            return decoded == Array("..".utf8) ? Array("%2E%2E".utf8) : decoded
        }
    }

    /// The rendered template, split at slashes; empty components vanish, and the result is never empty.
    func components(of pieces: [LayoutPiece]) -> [[UInt8]] {
        var text: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .literal(let literal): text += literal.utf8
            case .field(.dirs): text += Array(dirs.map(slashless).joined(separator: [UInt8(ascii: "/")]))
            case .field(let field): text += slashless(value(of: field))
            }
        }
        var parts = text.split(separator: UInt8(ascii: "/")).map { Array($0) }
        // `{query}` alone and no query.
        if text.isEmpty || text.last == UInt8(ascii: "/") { parts.append(Array("index".utf8)) }
        return parts
    }

    /// Only {dirs} makes directories.
    private func slashless(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.contains(UInt8(ascii: "/")) else { return bytes }
        return bytes.flatMap { $0 == UInt8(ascii: "/") ? PercentText.encoded($0) : [$0] }
    }

    private func value(of field: LayoutField) -> [UInt8] {
        let dot = OutputName.extensionStart(name) ?? name.count
        switch field {
        case .host: return Array(hostAndPort.host.utf8)
        case .port: return Array(hostAndPort.port.utf8)
        case .dirs: return []
        case .name: return name
        case .stem: return Array(name[..<dot])
        case .ext: return Array(name[dot...])
        case .query: return query ?? []
        case .list: return Array(list.description.utf8)
        case .line: return Array(String(line).utf8)
        case .job: return Array(job.description.utf8)
        case .sha256(let count): return Array(NameDigest.hex(Array(url.text.utf8), count: count).utf8)
        case .hostAndPort: return Array(url.host.rawValue.utf8)
        case .nameAndQuery: return query.map { name + Array("?".utf8) + $0 } ?? name
        }
    }

    private var hostAndPort: (host: String, port: String) {
        let key = url.host.rawValue
        if let colon = key.utf8.lastIndex(of: UInt8(ascii: ":")), key.utf8.last != UInt8(ascii: "]") {
            return (String(key[..<colon]), String(key[key.utf8.index(after: colon)...]))
        }
        let usual = ["http": "80", "https": "443", "ftp": "21", "ftps": "990", "sftp": "22", "scp": "22"]
        return (key, usual[url.scheme] ?? "")
    }
}
