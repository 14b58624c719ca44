// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// What the name of a dropped file says about it. Names are compared by bytes, extensions in any case.
public struct ListName: Sendable, Hashable {
    public enum Verdict: Sendable, Hashable {
        /// A hidden or unfinished file: left alone.
        case ignored
        case list(ListFormat, isGzip: Bool)
        /// Not a list; the reason names what is taken.
        case refused(String)
    }

    public let text: String
    public init(_ text: String) { self.text = text }

    static let whatIsTaken =
        "Taken are text lists (any name, one URL a line), JSON Lines (*.jsonl), Metalink 4 (*.meta4), and each as .gz."

    /// Extensions of files that people drop by mistake, and what they are.
    private static let refusedExtensions: Set<String> = [
        "csv", "tsv", "json", "parquet", "metalink", "torrent", "xml", "html", "zip", "xz", "zst",
    ]
    private static let ignoredEndings = ["~", ".tmp", ".part"]

    /// Decides by the name alone.
    public var verdict: Verdict {
        if text.utf8.first == UInt8(ascii: ".") { return .ignored }
        if Self.ignoredEndings.contains(where: { text.hasSuffix($0) }) { return .ignored }
        let lowered = text.lowercased()
        let isGzip = lowered.hasSuffix(".gz")
        let plain = isGzip ? String(lowered.dropLast(3)) : lowered
        if plain.hasSuffix(".results.jsonl") {
            return .refused("results are not a list; to try again what failed, drop STEM.failed.jsonl")
        }
        guard let dot = plain.utf8.lastIndex(of: UInt8(ascii: ".")) else {
            return .list(.text, isGzip: isGzip)
        }
        let ending = String(plain[plain.index(after: dot)...])
        if ending == "jsonl" { return .list(.jsonLines, isGzip: isGzip) }
        if ending == "meta4" { return .list(.metalink, isGzip: isGzip) }
        if Self.refusedExtensions.contains(ending) {
            return .refused("*.\(ending) is not a format of lists. \(Self.whatIsTaken)")
        }
        return .list(.text, isGzip: isGzip)
    }

    /// The name without extension, and the extension with its dot; `.gz` counts as part of the extension before it.
    /// `a.txt.gz` is `a` and `.txt.gz`; a name without a dot, or with one in front only, has no extension.
    public var parts: (stem: String, ending: String) {
        var end = text.endIndex
        if text.lowercased().hasSuffix(".gz") { end = text.index(text.endIndex, offsetBy: -3) }
        let body = text[..<end]
        guard let dot = body.utf8.lastIndex(of: UInt8(ascii: ".")), dot != body.startIndex else {
            return (String(body), String(text[end...]))
        }
        return (String(text[..<dot]), String(text[dot...]))
    }

    /// What a directory entry can be long, in bytes (NAME_MAX).
    static let longest = 255
    /// Whether the name leaves room for what is put beside a list.
    var fits: Bool { results.utf8.count <= Self.longest }

    /// The id before the extension: `hourly.txt` becomes `hourly.4711.txt`. The stem is cut where the name would not
    /// leave room for what is put beside a list.
    public func numbered(_ number: Int64) -> String {
        var (stem, ending) = parts
        if ending.utf8.count > 64 { (stem, ending) = (text, "") }
        let room = Self.longest - ".results.jsonl".utf8.count - ".\(number)".utf8.count - ending.utf8.count
        while stem.utf8.count > room { stem.removeLast() }
        return "\(stem).\(number)\(ending)"
    }

    /// `NAME.results.jsonl`.
    public var results: String { text + ".results.jsonl" }
    /// `STEM.failed.jsonl`.
    public var failed: String { parts.stem + ".failed.jsonl" }
    /// `NAME.reason.txt`.
    public var reason: String { text + ".reason.txt" }
}
