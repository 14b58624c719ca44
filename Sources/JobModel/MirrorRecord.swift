// SPDX-License-Identifier: Apache-2.0

/// What the mirrors of one job have shown so far, as the ledger keeps it for a restart. Nothing of a job with one URL.
public struct MirrorRecord: Sendable, Hashable, Codable {
    /// What became of one mirror when it was last tried.
    public struct Failure: Sendable, Hashable, Codable {
        /// Place among the job's URLs.
        public var mirror: Int
        /// Name of the error's code.
        public var code: String
        public var message: String
        /// It is not asked again: it has not got the file, or another one.
        public var isFinal: Bool
        public init(mirror: Int, code: String, message: String, isFinal: Bool) {
            self.mirror = mirror
            self.code = code
            self.message = message
            self.isFinal = isFinal
        }
        enum CodingKeys: String, CodingKey {
            case mirror, code, message
            case isFinal = "final"
        }
    }

    /// Place among the URLs of the one that is tried next.
    public var next = 0
    /// The last failure of each mirror that had one, in the order in which they came.
    public var failures: [Failure] = []
    /// Those that have failed since the job last rested for a time.
    public var tried: [Int] = []
    /// Length of the file as the mirror `measured` told it, bytes.
    public var size: Int64?
    public var measured: Int?
    /// What several mirrors brought together had a wrong digest: from then on each is asked for all of it.
    public var isAlone: Bool?

    public init() {}
}
