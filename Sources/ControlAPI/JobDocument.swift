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

extension JobDocument {
    /// From the ledger's record. Masks what results mask. What only the snapshot or the reader knows
    /// (`wait`, the
    /// attempts so far of a job that has not ended) the caller adds.
    public init(_ record: ResultRecord, wait: WaitDocument? = nil) {
        self.init()
        list = record.list.rawValue
        line = record.line
        job = record.job?.description
        id = record.userID
        state = record.state
        self.wait = record.state.isTerminal ? nil : wait
        switch record.kind {
        case .download(let urls, let host):
            download.urls = urls.map { Masking.url($0) }
            download.url = download.urls.first
            download.host = host.rawValue
        case .badLine: break
        case .sum(let range):
            kind = .sum
            sum.from = String(range.from)
            sum.to = String(range.to)
        }
        if let outcome = record.outcome { fill(from: outcome) }
    }

    private mutating func fill(from outcome: Outcome) {
        attempts = outcome.attempts
        flags = outcome.flags.map(\.rawValue)
        error = outcome.error.map { JobErrorDocument($0) }
        startedAt = outcome.startedAt.map { Timestamp($0) }
        endedAt = Timestamp(outcome.endedAt)
        timings = outcome.timings
        sum.value = outcome.value
        download.finalURL = outcome.finalURL.map { Masking.url($0) }
        download.path = outcome.path?.description
        download.bytes = outcome.bytes
        download.fetchedBytes = outcome.fetchedBytes
        download.resumedBytes = outcome.resumedBytes
        download.digest = outcome.digest?.description
        download.contentType = outcome.contentType
        download.etag = outcome.etag
        download.lastModified = outcome.lastModified
        download.httpStatus = outcome.httpStatus
        download.httpVersion = outcome.httpVersion
        download.remoteIP = outcome.remoteIP
    }
}

extension JobErrorDocument {
    public init(_ error: JobError) {
        self.init(
            code: error.code.name, errorClass: error.code.errorClass.rawValue, message: error.message,
            retryable: error.isRetryable)
    }
}
