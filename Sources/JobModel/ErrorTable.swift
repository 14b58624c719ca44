// SPDX-License-Identifier: Apache-2.0

// The one table of error codes: name, class, whether another try may help. `docs/errors.md` shows the same
// rows to people, and a test compares the two.

extension ErrorCode {
    /// Every code but `http(_:)`, which stands for the statuses 100 to 999.
    public static let fixed: [ErrorCode] = [
        .badLine, .badURL, .badOption, .badNumber, .badRange,
        .outsideOutput, .pathConflict, .exists, .nameTaken,
        .redirectLimit, .redirectScheme, .privateAddress,
        .dns, .connect, .tlsVerify, .tls,
        .timeout, .stalled, .protocol, .headerTooLarge, .tooLarge, .badLength, .truncated,
        .digestMismatch, .digestMissing,
        .hostUnavailable, .jobDeadline, .quarantined, .workerDied, .oom, .disk, .cancelled,
    ]

    /// The stable word of the outside contract: `bad_line`, `http_404`, ... Any thread.
    public var name: String {
        switch self {
        case .badLine: "bad_line"
        case .badURL: "bad_url"
        case .badOption: "bad_option"
        case .badNumber: "bad_number"
        case .badRange: "bad_range"
        case .outsideOutput: "outside_output"
        case .pathConflict: "path_conflict"
        case .exists: "exists"
        case .nameTaken: "name_taken"
        case .http(let status): "http_\(status)"
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
        case .digestMissing: "digest_missing"
        case .hostUnavailable: "host_unavailable"
        case .jobDeadline: "job_deadline"
        case .quarantined: "quarantined"
        case .workerDied: "worker_died"
        case .oom: "oom"
        case .disk: "disk"
        case .cancelled: "cancelled"
        }
    }

    /// The code of a stored or shown name; nil for a word that is none. `http_` takes exactly three digits.
    public init?(name: String) {
        if name.utf8.starts(with: "http_".utf8) {
            let digits = name.utf8.dropFirst(5)
            guard digits.count == 3, digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
                return nil
            }
            let status = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
            guard status >= 100 else { return nil }
            self = .http(status)
            return
        }
        guard let code = Self.byName[name] else { return nil }
        self = code
    }

    private static let byName = Dictionary(uniqueKeysWithValues: fixed.map { ($0.name, $0) })

    /// Who has to look at it.
    public var errorClass: ErrorClass {
        switch self {
        case .badLine, .badURL, .badOption, .badNumber, .badRange: .input
        case .outsideOutput, .exists, .redirectLimit, .redirectScheme, .privateAddress, .tooLarge,
            .jobDeadline:
            .policy
        case .http: .http
        case .dns: .dns
        case .connect, .hostUnavailable: .connect
        case .tlsVerify, .tls: .tls
        case .timeout, .stalled, .protocol, .headerTooLarge, .badLength, .truncated: .transfer
        case .digestMismatch, .digestMissing: .integrity
        case .pathConflict, .nameTaken, .quarantined, .workerDied, .oom, .disk: .local
        case .cancelled: .cancelled
        }
    }

    /// Whether the same job may well succeed another time with nothing changed on our side.
    ///
    /// `RetryPolicy` tries again only for codes that say true here, and not for all of those:
    /// `host_unavailable` and `job_deadline` are true for the user, who may try tomorrow, and the end of
    /// the road for the job.
    public var isRetryable: Bool {
        switch self {
        case .http(let status): status == 408 || status == 425 || status == 429 || 500...599 ~= status
        case .dns, .connect, .tls, .timeout, .stalled, .protocol, .truncated: true
        case .hostUnavailable, .jobDeadline, .workerDied, .oom, .disk: true
        case .badLine, .badURL, .badOption, .badNumber, .badRange: false
        case .outsideOutput, .pathConflict, .exists, .nameTaken: false
        case .redirectLimit, .redirectScheme, .privateAddress: false
        case .tlsVerify, .headerTooLarge, .tooLarge, .badLength: false
        case .digestMismatch, .digestMissing, .quarantined, .cancelled: false
        }
    }
}

extension JobError {
    /// Whether another try may help: the code's own answer.
    public var isRetryable: Bool { code.isRetryable }
}
