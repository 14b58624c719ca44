// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel

/// What an entry may name as its list of digests: a URL like any other, or a local file.
///
/// Whoever writes a list of jobs may not be allowed to read what dld can. So a file must lie below the output, where
/// everybody sees what dld fetched, or in the spool, where members of its group put files for dld to read.
struct ChecksumsRule {
    let protocols: Set<String>
    let outputRoot: String
    let spool: String

    /// nil: the entry is not checked by a list.
    /// - Parameters:
    ///   - options: the entry's own over the list's.
    ///   - first: of its URLs.
    func wish(_ options: JobOptions, first: DownloadURL) throws(JobError) -> DigestListWish? {
        guard let text = options.checksums, text != DigestSource.none, options.checksum == nil else {
            return nil
        }
        let source = try source(text)
        return DigestListWish(
            source: source, checksum: options.checksumsDigest,
            options: Self.options(for: source, of: options, first: first))
    }

    private func source(_ text: String) throws(JobError) -> DigestSource {
        if text.utf8.contains(UInt8(ascii: ":")), text.utf8.first != UInt8(ascii: "/"),
            text.contains("://")
        {
            let url = try URLRule.parse(text, protocols: protocols)
            return .url(DownloadURL(text: url.text, scheme: url.scheme, host: HostKey(url.hostKeyText)))
        }
        return .file(try file(text))
    }

    /// Relative to the output; absolute below output or spool.
    private func file(_ text: String) throws(JobError) -> String {
        let shown = "checksums=\(Masking.text(text))"
        let slash = UInt8(ascii: "/")
        let parts = text.utf8.split(separator: slash).filter { !$0.elementsEqual(".".utf8) }
        guard !parts.isEmpty, !text.utf8.contains(0) else { throw JobError(.badOption, "\(shown): no file") }
        guard !parts.contains(where: { $0.elementsEqual("..".utf8) }) else {
            throw JobError(.outsideOutput, "\(shown) has a \"..\" in it")
        }
        let path = parts.map { "/" + String(Substring($0)) }.joined()
        guard text.utf8.first == slash else { return try below(outputRoot, path, shown) }
        for root in [outputRoot, spool] where path.utf8.starts(with: (root + "/").utf8) {
            return try below(root, String(Substring(path.utf8.dropFirst(root.utf8.count))), shown)
        }
        throw JobError(.outsideOutput, "\(shown) is below neither \(outputRoot) nor \(spool)")
    }

    private func below(_ root: String, _ path: String, _ shown: String) throws(JobError) -> String {
        guard !path.utf8.starts(with: "/.dld".utf8) else {
            throw JobError(.outsideOutput, "\(shown): names that begin with .dld are dld's own")
        }
        return root + path
    }

    /// How the list is fetched. What was given for the entry's origin goes to no other.
    private static func options(
        for source: DigestSource, of entry: JobOptions, first: DownloadURL
    ) -> JobOptions {
        var options = JobOptions()
        guard case .url(let url) = source else { return options }
        if RedirectPolicy.isSameOrigin(first, url) {
            options.headers = entry.headers
            options.username = entry.username
            options.password = entry.password
        }
        options.userAgent = entry.userAgent
        options.proxy = entry.proxy
        options.maxAttempts = entry.maxAttempts
        options.retryDelaySeconds = entry.retryDelaySeconds
        options.timeoutSeconds = entry.timeoutSeconds
        options.connectTimeoutSeconds = entry.connectTimeoutSeconds
        options.checkCertificate = entry.checkCertificate
        // It has no name that could be taken.
        options.exists = .overwrite
        options.remoteTime = false
        return options
    }
}
