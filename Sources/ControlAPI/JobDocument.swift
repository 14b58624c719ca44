// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// A job as `/v1/jobs` shows it: the object of `NAME.results.jsonl`, and `wait` beside it.
///
/// A download and a sum have their own keys, as in the results; which they are says `kind`. URLs are masked.
public struct JobDocument: Sendable, Hashable {
    public var list: Int64 = 0
    public var line = 0
    /// nil for a bad line.
    public var job: String?
    /// The user's own.
    public var id: String?
    public var kind = Kind.download
    public var state = JobState.queued
    public var attempts = 0
    public var flags: [String] = []
    public var error: JobErrorDocument?
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    public var timings = JobTimings()
    /// While the job has not ended and could run: why it does not.
    public var wait: WaitDocument?
    /// Set for `kind == .download`.
    public var download = DownloadDocument()
    /// Set for `kind == .sum`.
    public var sum = SumDocument()
    public init() {}

    public enum Kind: String, Codable, Sendable, Hashable { case download, sum }
}

/// What only a download has.
public struct DownloadDocument: Sendable, Hashable {
    public var urls: [String] = []
    public var url: String?
    public var finalURL: String?
    public var host: String?
    public var path: String?
    public var bytes: Int64?
    public var fetchedBytes: Int64 = 0
    public var resumedBytes: Int64 = 0
    public var digest: String?
    public var contentType: String?
    public var etag: String?
    public var lastModified: String?
    public var httpStatus: Int?
    public var httpVersion: String?
    public var remoteIP: String?
    public init() {}
}

/// What only a sum has; decimal strings, as the numbers may not fit a double.
public struct SumDocument: Sendable, Hashable {
    public var from = "0"
    public var to = "0"
    public var value: String?
    public init() {}
}

public struct JobErrorDocument: Codable, Sendable, Hashable {
    public var code: String
    public var errorClass: String
    public var message: String
    public var retryable: Bool
    public init(code: String, errorClass: String, message: String, retryable: Bool) {
        self.code = code
        self.errorClass = errorClass
        self.message = message
        self.retryable = retryable
    }
    enum CodingKeys: String, CodingKey {
        case code, message, retryable
        case errorClass = "class"
    }
}

public struct WaitDocument: Codable, Sendable, Hashable {
    public var reason: WaitReason
    @Nullable public var until: Timestamp?
    public init(reason: WaitReason, until: Timestamp?) {
        self.reason = reason
        self.until = until
    }
}
