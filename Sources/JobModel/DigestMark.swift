// SPDX-License-Identifier: Apache-2.0

/// Where a file's digest is written, beside the ledger and the results (`digest.write`).
public enum DigestMark: String, Sendable, CaseIterable {
    case none
    /// As an extended attribute of the file.
    case xattr
    /// As a file beside it, in the format of `sha256sum`.
    case sidecar
}

extension Checksum {
    /// The attribute that a file's digest is kept in: the name that Bazel, passim and others read and write.
    /// Its value is the digest in hex.
    public var attributeName: String { "user.checksum.\(algorithm.shortName)" }

    /// What the sidecar of a file is called: `a.iso.sha256`.
    public func sidecarName(of name: String) -> String { "\(name).\(algorithm.shortName)" }

    /// The text of a sidecar: one line, as GNU's `sha256sum` writes and checks it. A name with a backslash or a line
    /// break in it is escaped, and a backslash before the line says so.
    public func sidecarText(of name: String) -> [UInt8] {
        DigestListEntry(checksum: self, name: Array(name.utf8)).line() + [UInt8(ascii: "\n")]
    }
}
