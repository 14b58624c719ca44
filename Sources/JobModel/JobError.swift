// SPDX-License-Identifier: Apache-2.0

/// The family of an error: who has to look at it.
public enum ErrorClass: String, Sendable, Codable, CaseIterable {
    case input, policy, dns, connect, tls, http, transfer, integrity, local, cancelled
}

/// Why a job ended badly, or an attempt broke. The one enum of codes; `docs/errors.md` is its table.
///
/// A code is a stable word of the outside contract: added, never renamed.
public enum ErrorCode: Sendable, Hashable {
    case badLine, badURL, badOption, badNumber, badRange
    case outsideOutput, pathConflict, exists, nameTaken
    case http(Int)
    case redirectLimit, redirectScheme, privateAddress
    case dns, connect, tlsVerify, tls
    case timeout, stalled, `protocol`, headerTooLarge, tooLarge, badLength, truncated
    case digestMismatch, digestMissing
    case hostUnavailable, jobDeadline, quarantined, workerDied, oom, disk, cancelled
}

/// One error as results, logs and status show it.
public struct JobError: Error, Sendable, Hashable {
    public let code: ErrorCode
    /// One line for people: what happened, to what, what was expected. Secrets masked by the maker.
    public let message: String
    public init(_ code: ErrorCode, _ message: String) {
        self.code = code
        self.message = message
    }
}
