// SPDX-License-Identifier: Apache-2.0

import Curl
public import JobModel

/// Makes entries fit for the ledger: URLs parsed and checked against the rules, the final path decided.
public struct EntryBuilder: Sendable {
    private let rules: ListRules
    private let layout: OutputLayout
    private let outputRoot: String
    private let cipher: JobIDCipher

    public init(rules: ListRules, layout: OutputLayout, outputRoot: String, cipher: JobIDCipher) {
        self.rules = rules
        self.layout = layout
        self.outputRoot = outputRoot
        self.cipher = cipher
    }

    /// - Parameters:
    ///   - seq: the job's number, given out by the caller.
    ///   - defaults: the list's; looked at for the path, the priority and `pause`, not mixed into the entry.
    public func admitted(_ entry: ListEntry, list: ListID, seq: JobSeq, defaults: JobOptions) -> AdmittedEntry
    {
        var admitted = AdmittedEntry(
            seq: seq, line: entry.line, kind: .sum(SumRange(from: 0, to: 0)), options: entry.sharedOptions,
            gid: entry.gid, priority: entry.options.priority ?? defaults.priority ?? 0,
            startsPaused: entry.options.pause ?? defaults.pause ?? false)
        // Most entries have none of their own.
        let options = admitted.hasRare ? entry.options.over(defaults) : defaults
        admitted.kind = kind(of: entry, list: list, seq: seq, options: options)
        guard case .download(let urls, _) = admitted.kind, let first = urls.first else { return admitted }
        if let pieces = entry.pieces { admitted.pieces = pieces }
        guard options.checksums != nil else { return admitted }
        let rule = ChecksumsRule(protocols: rules.protocols, outputRoot: outputRoot, spool: rules.spool)
        do throws(JobError) {
            admitted.digestList = try rule.wish(options, first: first)
        } catch {
            admitted.kind = .bad(JobError(error.code, "line \(entry.line): \(error.message)"))
        }
        return admitted
    }

    private func kind(
        of entry: ListEntry, list: ListID, seq: JobSeq, options: JobOptions
    ) -> AdmittedEntry.Kind {
        switch entry.body {
        case .bad(let error): return .bad(error)
        case .sum(let range): return .sum(range)
        case .urls(let texts):
            do throws(JobError) {
                return try download(texts, entry, list: list, seq: seq, options: options)
            } catch {
                return .bad(JobError(error.code, "line \(entry.line): \(error.message)"))
            }
        }
    }

    private func download(
        _ texts: [String], _ entry: ListEntry, list: ListID, seq: JobSeq, options: JobOptions
    ) throws(JobError) -> AdmittedEntry.Kind {
        if let size = options.size, let limit = rules.maxFileSize, size > limit {
            throw JobError(.tooLarge, "size \(size) is over limits.max_file_size, \(limit)")
        }
        var urls: [DownloadURL] = []
        var first: ParsedURL?
        for text in texts {
            let url = try URLRule.parse(text, protocols: rules.protocols)
            first = first ?? url
            urls.append(DownloadURL(text: url.text, scheme: url.scheme, host: HostKey(url.hostKeyText)))
        }
        guard let first else { throw JobError(.badURL, "no URL") }
        let path = try layout.path(
            for: urls[0], urlPath: first.path, query: first.query, options: options, list: list,
            line: entry.line,
            job: entry.gid ?? cipher.id(of: seq), outputRoot: outputRoot)
        return .download(urls: urls, path: path)
    }
}

/// What a list may name as a URL, beyond what `curl_url` takes.
enum URLRule {
    /// - Throws: `bad_url` or `bad_line`, with a hint where the mistake is a usual one. Passwords are not in it.
    static func parse(_ text: String, protocols: Set<String>) throws(JobError) -> ParsedURL {
        let bytes = Array(text.utf8)
        if hasSecondURL(bytes) {
            throw JobError(
                .badLine,
                "a space before another URL: mirrors of one file are separated by TAB, other files by lines")
        }
        let scheme = try scheme(of: bytes, text)
        guard protocols.contains(scheme) else {
            let allowed = protocols.sorted().joined(separator: ", ")
            throw JobError(.badURL, "\(excerpt(scheme)): is not among the allowed protocols (\(allowed))")
        }
        do {
            let url = try ParsedURL.parse(text)
            guard !url.host.isEmpty else { throw CurlRefusal.noHost }
            return url
        } catch let error as CurlURLError {
            throw JobError(.badURL, "\(shown(text)): \(error.message)")
        } catch {
            throw JobError(.badURL, "\(shown(text)): no host")
        }
    }

    private enum CurlRefusal: Error { case noHost }

    private static func shown(_ text: String) -> String { excerpt(Masking.url(text)) }

    /// The lower-case word before `://`. A name with a port (`host:8080/x`) is no scheme.
    private static func scheme(of bytes: [UInt8], _ text: String) throws(JobError) -> String {
        let word = bytes.prefix(while: isSchemeByte)
        let rest = bytes[word.count...]
        let name = String(decoding: word, as: UTF8.self).lowercased()
        let beginsWell = word.first.map { isLetter($0) } ?? false
        if beginsWell, rest.starts(with: "://".utf8) { return name }
        if beginsWell, rest.first == UInt8(ascii: ":"), schemesWithoutSlashes.contains(name) { return name }
        throw JobError(.badURL, "\(shown(text)): no scheme; write https://... or http://...")
    }

    private static let schemesWithoutSlashes: Set<String> = [
        "file", "magnet", "data", "mailto", "javascript", "http", "https",
    ]

    /// A space, then `scheme://`.
    private static func hasSecondURL(_ bytes: [UInt8]) -> Bool {
        guard let space = bytes.firstIndex(of: UInt8(ascii: " ")) else { return false }
        var start = space
        while start < bytes.count {
            if bytes[start] == UInt8(ascii: " ") {
                let word = bytes[(start + 1)...].prefix(while: isSchemeByte)
                if let first = word.first, isLetter(first), bytes[word.endIndex...].starts(with: "://".utf8) {
                    return true
                }
                start = word.endIndex
            } else {
                start += 1
            }
        }
        return false
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
    }
    /// RFC 3986 3.1.
    private static func isSchemeByte(_ byte: UInt8) -> Bool {
        isLetter(byte) || OptionValues.isDigit(byte) || "+-.".utf8.contains(byte)
    }
}
