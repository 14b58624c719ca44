// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel

/// Whether a part may be gone on with at a URL. Pure; the answer is checked all the same.
///
/// A strong ETag tells versions of one resource apart, and no more: two files of one server may bear the same
/// one. So elsewhere than where the bytes came from it takes more.
enum ResumePolicy {
    /// - Parameter hasDigest: the finished file will be compared with a digest that the list gave.
    static func mayGoOn(from point: ResumePoint, at url: ParsedURL, hasDigest: Bool) -> Bool {
        guard url.scheme == "http" || url.scheme == "https" else { return false }
        if HeadPolicy.same(point.url, url.text) {
            return point.etag.map { ResponseHead.isStrong($0) } ?? (point.lastModified != nil)
        }
        guard let etag = point.etag, ResponseHead.isStrong(etag), point.total != nil else { return false }
        // Another mirror, another path: should it be another file after all, the digest says so at the end.
        if hasDigest { return true }
        // The same file with a signature of its own each time it is asked for.
        guard let from = try? ParsedURL.parse(point.url) else { return false }  // unreadable: not the same
        return from.hasSameOrigin(as: url) && HeadPolicy.same(from.path, url.path)
    }
}
