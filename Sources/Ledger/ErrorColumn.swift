// SPDX-License-Identifier: Apache-2.0

internal import JobModel

/// Error codes as the ledger spells them: the words of the outside contract, so that the table reads well. On disk:
/// words are added, never changed.
enum ErrorColumn {
    static func word(_ code: ErrorCode) -> String {
        if case .http(let status) = code { return "http_\(status)" }
        return words.first { $0.code == code }?.word ?? "bad_line"
    }
    static func code(_ word: String) -> ErrorCode? {
        if let found = words.first(where: { $0.word == word }) { return found.code }
        guard word.utf8.starts(with: "http_".utf8), let status = Int(word.dropFirst(5)) else { return nil }
        return .http(status)
    }
    /// Both columns; a word of a later version reads as a local error with its message kept.
    static func error(_ word: String?, _ message: String?) -> JobError? {
        word.map { JobError(code($0) ?? .disk, message ?? "") }
    }

    private static let words: [(code: ErrorCode, word: String)] = [
        (.badLine, "bad_line"), (.badURL, "bad_url"), (.badOption, "bad_option"), (.badNumber, "bad_number"),
        (.badRange, "bad_range"), (.outsideOutput, "outside_output"), (.pathConflict, "path_conflict"),
        (.exists, "exists"), (.nameTaken, "name_taken"), (.redirectLimit, "redirect_limit"),
        (.redirectScheme, "redirect_scheme"), (.privateAddress, "private_address"), (.dns, "dns"),
        (.connect, "connect"), (.tlsVerify, "tls_verify"), (.tls, "tls"), (.timeout, "timeout"),
        (.stalled, "stalled"), (.protocol, "protocol"), (.headerTooLarge, "header_too_large"),
        (.tooLarge, "too_large"), (.badLength, "bad_length"), (.truncated, "truncated"),
        (.digestMismatch, "digest_mismatch"), (.hostUnavailable, "host_unavailable"),
        (.jobDeadline, "job_deadline"), (.quarantined, "quarantined"), (.workerDied, "worker_died"),
        (.oom, "oom"), (.disk, "disk"), (.cancelled, "cancelled"),
    ]
}
