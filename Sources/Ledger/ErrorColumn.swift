// SPDX-License-Identifier: Apache-2.0

internal import JobModel

/// Error codes as the ledger spells them: the words of the outside contract, so that the table reads well. On
/// disk: words are added, never changed.
enum ErrorColumn {
    static func word(_ code: ErrorCode) -> String {
        switch code {
        case .http(let status): "http_\(status)"
        case .badLine: "bad_line"
        case .badURL: "bad_url"
        case .badOption: "bad_option"
        case .badNumber: "bad_number"
        case .badRange: "bad_range"
        case .outsideOutput: "outside_output"
        case .pathConflict: "path_conflict"
        case .exists: "exists"
        case .nameTaken: "name_taken"
        case .redirectLimit: "redirect_limit"
        case .redirectScheme: "redirect_scheme"
        case .privateAddress: "private_address"
        case .dns: "dns"
        case .connect: "connect"
        case .tlsVerify: "tls_verify"
        case .tls: "tls"
        case .timeout: "timeout"
        case .stalled: "stalled"
        case .protocol: "protocol"
        case .headerTooLarge: "header_too_large"
        case .tooLarge: "too_large"
        case .badLength: "bad_length"
        case .truncated: "truncated"
        case .digestMismatch: "digest_mismatch"
        case .hostUnavailable: "host_unavailable"
        case .jobDeadline: "job_deadline"
        case .quarantined: "quarantined"
        case .workerDied: "worker_died"
        case .oom: "oom"
        case .disk: "disk"
        case .cancelled: "cancelled"
        }
    }

    static func code(_ word: String) -> ErrorCode? {
        if let known = codes[word] { return known }
        guard word.utf8.starts(with: "http_".utf8), let status = Int(word.dropFirst(5)) else { return nil }
        return .http(status)
    }

    /// Both columns; a word of a later version reads as a local error with its message kept.
    static func error(_ word: String?, _ message: String?) -> JobError? {
        word.map { JobError(code($0) ?? .disk, message ?? "") }
    }

    /// The way back. A case that is missing here is read as `disk`; the tests try them all.
    static let all: [ErrorCode] = [
        .badLine, .badURL, .badOption, .badNumber, .badRange, .outsideOutput, .pathConflict, .exists,
        .nameTaken, .redirectLimit, .redirectScheme, .privateAddress, .dns, .connect, .tlsVerify, .tls,
        .timeout, .stalled, .protocol, .headerTooLarge, .tooLarge, .badLength, .truncated,
        .digestMismatch, .hostUnavailable, .jobDeadline, .quarantined, .workerDied, .oom, .disk,
        .cancelled,
    ]
    private static let codes = Dictionary(uniqueKeysWithValues: all.map { (word($0), $0) })
}
