// SPDX-License-Identifier: Apache-2.0

import JobModel

/// What a mirror's answer to a range has to show before a byte of it goes into a file that another source is bringing
/// as well. The length and the range itself are checked besides. Pure.
///
/// ETags of two servers may differ although the file is the same, and one file's time is the same on all that copy it
/// faithfully. Nothing of this is asked for with If-Range: what the mirror has is judged by its head.
struct Agreement: Sendable, Hashable {
    /// What a mirror's earlier answer had.
    struct Shown: Sendable, Hashable {
        var etag: String?
        var lastModified: String?
    }

    /// Digests of the list have the last word: the length alone need be the same.
    var isProven: Bool
    /// Strong validators of the file's first source.
    var etag: String?
    var lastModified: String?
    /// The same mirror has answered before.
    var shown: Shown?

    /// Why the answer may be of another file; nil where it agrees.
    func doubt(about head: ResponseHead) -> String? {
        if let shown,
            !Self.agrees(shown.etag, head.etag) || !Self.agrees(shown.lastModified, head.lastModified)
        {
            return "the mirror's file has changed"
        }
        if isProven { return nil }
        let isSame =
            HeadPolicy.same(head.strongETag, etag) || HeadPolicy.same(head.strongLastModified, lastModified)
        return isSame ? nil : "nothing shows that the mirror has the same file"
    }

    private static func agrees(_ a: String?, _ b: String?) -> Bool {
        a == nil && b == nil || HeadPolicy.same(a, b)
    }
}
