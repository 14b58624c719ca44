// SPDX-License-Identifier: Apache-2.0

/// What a list may ask for: the part of the config that decides whether a line is good.
public struct ListRules: Sendable, Hashable {
    /// Schemes a list may name, lower case.
    public var protocols: Set<String>
    /// A sum of more terms is a bad line.
    public var maxSumTerms: UInt128
    /// Bytes of a list, on disk and unpacked; nil is no limit.
    public var maxListSize: Int64?
    /// An entry whose `size` is larger is a bad line; nil is no limit.
    public var maxFileSize: Int64?
    /// The spool directory, absolute: a local list of digests may lie in it.
    public var spool: String
    public init(
        protocols: Set<String> = ["http", "https"], maxSumTerms: UInt128 = 10_000_000_000_000,
        maxListSize: Int64? = nil, maxFileSize: Int64? = nil, spool: String = "/var/spool/dld"
    ) {
        self.spool = spool
        self.protocols = protocols
        self.maxSumTerms = maxSumTerms
        self.maxListSize = maxListSize
        self.maxFileSize = maxFileSize
    }
}
