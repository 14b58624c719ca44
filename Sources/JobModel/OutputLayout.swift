// SPDX-License-Identifier: Apache-2.0

/// Why a layout template cannot be used; the message is for `dld check`.
public struct LayoutError: Error, Sendable, Hashable {
    /// What was expected.
    public let message: String
    /// With its message.
    public init(_ message: String) { self.message = message }
}

/// Where below the output directory a download goes (`output.layout`, and an entry's `out` and `dir`).
///
/// The name comes from the first URL as the list gave it, never from a redirect or a server's header.
public struct OutputLayout: Sendable, Hashable {
    /// The template as the config gave it.
    public let template: String
    private let pieces: [LayoutPiece]

    /// `flat`, `host_path`, or a template of {host} {port} {dirs} {name} {stem} {ext} {query} {list} {line}
    /// {job} {sha256:N}; `{{` and `}}` are braces. {ext} comes with its dot or is empty; {sha256:N} is the
    /// first N hex digits of the SHA-256 of the URL.
    public init(template: String) throws(LayoutError) {
        self.template = template
        pieces =
            switch template {
            case "flat": [.field(.name)]
            case "host_path":
                [.field(.hostAndPort), .literal("/"), .field(.dirs), .literal("/"), .field(.nameAndQuery)]
            default: try LayoutPiece.parse(template)
            }
    }

    /// The final path of one download, safe and relative to the output directory.
    ///
    /// - Parameters:
    ///   - urlPath: path of the first URL, percent-encoded, as `curl_url` gives it.
    ///   - query: its query without `?`, percent-encoded; nil without one.
    ///   - outputRoot: absolute path of the output directory, for an absolute `dir` or `out`.
    /// - Throws: `outside_output` for a `dir` or `out` that leads elsewhere, `bad_option` for one that
    ///   names no file
    ///   or is longer than a path may be.
    public func path(
        for url: DownloadURL, urlPath: String, query: String?, options: JobOptions, list: ListID, line: Int,
        job: JobID,
        outputRoot: String
    ) throws(JobError) -> OutputPath {
        let root = Array(outputRoot.utf8)
        var folders: [[UInt8]] = []
        if let dir = options.dir { folders = try Self.components(of: dir, option: "dir", root: root) }
        let isGiven: Bool
        var parts: [[UInt8]]
        if let out = options.out {
            isGiven = true
            guard !out.isEmpty, out.utf8.last != UInt8(ascii: "/") else {
                throw JobError(.badOption, "out=\(Masking.text(out)) names no file")
            }
            parts = try Self.components(of: out, option: "out", root: root)
            guard !parts.isEmpty else { throw JobError(.badOption, "out=\(Masking.text(out)) names no file") }
            if out.utf8.first == UInt8(ascii: "/") { folders = [] }
        } else {
            isGiven = false
            let source = LayoutSource(
                url: url, urlPath: urlPath, query: query, list: list, line: line, job: job)
            parts = source.components(of: pieces)
        }
        try Self.refuseReserved(folders.isEmpty && !isGiven ? [] : folders + parts)
        let names = (folders + parts).enumerated().map { OutputName.safe($1, isTop: $0 == 0) }
        return try Self.joined(names, folders: folders.count, isGiven: isGiven, root: root)
    }

    /// Room for the longest path below the root: PATH_MAX is 4096 with its NUL.
    private static func longest(_ root: [UInt8]) -> Int { max(512, 4000 - root.count) }

    private static func joined(
        _ names: [String], folders: Int, isGiven: Bool, root: [UInt8]
    ) throws(JobError) -> OutputPath {
        let path = names.joined(separator: "/")
        if path.utf8.count <= longest(root) { return OutputPath(trusted: path) }
        // A URL of thousands of bytes is the server's doing, so its directories shrink to their hash. A
        // `dir` or `out` is the user's own word: refused, not changed.
        let middle = names.dropFirst(folders).dropLast()
        guard !isGiven, !middle.isEmpty else {
            throw JobError(
                .badOption, "the path from out= and dir= is \(path.utf8.count) bytes long; Linux takes 4095")
        }
        let hash = NameDigest.hex(Array(middle.joined(separator: "/").utf8), count: 32)
        let short = names.prefix(folders) + [hash, names[names.count - 1]]
        let shortPath = short.joined(separator: "/")
        guard shortPath.utf8.count <= longest(root) else {
            throw JobError(
                .badOption, "the path from dir= is \(shortPath.utf8.count) bytes long; Linux takes 4095")
        }
        return OutputPath(trusted: shortPath)
    }

    /// The components of a user's own path. Absolute ones must lie below the root, `..` is never taken:
    /// what it means depends on symbolic links that are not looked at here.
    private static func components(
        of text: String, option: String, root: [UInt8]
    ) throws(JobError) -> [[UInt8]] {
        let slash = UInt8(ascii: "/")
        func parts(_ bytes: some Collection<UInt8>) -> [[UInt8]] {
            bytes.split(separator: slash).map { Array($0) }.filter { $0 != [UInt8(ascii: ".")] }
        }
        var found = parts(text.utf8)
        guard !found.contains(Array("..".utf8)) else {
            throw JobError(.outsideOutput, "\(option)=\(Masking.text(text)) has a \"..\" in it")
        }
        if text.utf8.first == slash {
            let base = parts(root)
            guard found.starts(with: base) else {
                let place = Masking.text(String(decoding: root, as: UTF8.self))
                throw JobError(
                    .outsideOutput,
                    "\(option)=\(Masking.text(text)) is not below the output directory \(place)")
            }
            found.removeFirst(base.count)
        }
        return found
    }

    /// A name of the user's own that would land in dld's folder is refused, not renamed behind their back.
    private static func refuseReserved(_ parts: [[UInt8]]) throws(JobError) {
        guard let top = parts.first, OutputName.isReserved(top) else { return }
        let name = Masking.text(String(decoding: top, as: UTF8.self))
        throw JobError(
            .outsideOutput, "\(name): names that begin with .dld are dld's own at the top of the output")
    }
}
