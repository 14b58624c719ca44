// SPDX-License-Identifier: Apache-2.0

/// Whether a redirect is followed. dld follows redirects itself, hop by hop; libcurl's own defaults are any
/// number of hops, and FTP among the targets.
///
/// Addresses are `AddressPolicy`'s business, at every hop.
public struct RedirectPolicy: Sendable, Hashable {
    /// Hops that one download may take.
    public let maxRedirects: Int
    /// Lower-case schemes.
    public let protocols: Set<String>
    /// Whether https may lead to http.
    public let allowsDowngrade: Bool

    /// From `limits.max_redirects`, `network.protocols` and `network.https_downgrade`.
    public init(maxRedirects: Int, protocols: Set<String>, allowsDowngrade: Bool) {
        self.maxRedirects = maxRedirects
        self.protocols = protocols
        self.allowsDowngrade = allowsDowngrade
    }

    /// nil: follow. Else `redirect_limit` or `redirect_scheme`; neither is ever tried again. Any thread.
    ///
    /// - Parameter hops: redirects followed before this one, from 0.
    public func verdict(from: DownloadURL, to: DownloadURL, hops: Int) -> JobError? {
        guard hops < maxRedirects else {
            return JobError(
                .redirectLimit, "more than \(maxRedirects) redirects; the last led to \(shown(to))")
        }
        guard protocols.contains(to.scheme) else {
            let allowed = protocols.sorted().joined(separator: ", ")
            return JobError(
                .redirectScheme,
                "redirect to \(shown(to)): \(Masking.text(to.scheme)) is not among \(allowed)")
        }
        if Self.isEncrypted(from.scheme), !Self.isEncrypted(to.scheme), !allowsDowngrade {
            return JobError(
                .redirectScheme,
                "redirect from \(from.scheme) down to \(shown(to)); network.https_downgrade is false")
        }
        return nil
    }

    /// Whether headers, credentials and cookies meant for one URL may go to the other: same scheme, host
    /// and port.
    public static func isSameOrigin(_ a: DownloadURL, _ b: DownloadURL) -> Bool {
        a.scheme == b.scheme && a.host == b.host
    }

    private static func isEncrypted(_ scheme: String) -> Bool {
        ["https", "ftps", "sftp", "scp"].contains(scheme)
    }

    private func shown(_ url: DownloadURL) -> String { Masking.text(Masking.url(url.text)) }
}
