// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit
import SystemPackage

/// What was known of a transfer when libcurl ended it with an error.
struct BreakFacts: Sendable {
    var error: CurlError
    /// A connection was usable: name, connect and TLS are behind (`CURLINFO_PRETRANSFER_TIME` above 0).
    var isConnected = false
    /// The peer took the connection (`CURLINFO_CONNECT_TIME` above 0); TLS may still be under way.
    var isAccepted = false
    var hasHead = false
    var isHTTP2 = false
    /// The server had said a GOAWAY on the connection.
    var hasGoneAway = false
    var fetchedBytes: Int64 = 0
    var isPastDeadline = false
    var isPastAttempt = false
    /// The policy refused an address, and allowed no other.
    var deniedAddress: PeerAddress?
}

/// libcurl's codes, errno values and policy refusals as this program's errors. By class, never by one exact
/// code: the same fault came out as 16, 18, 56 or 92 in different runs.
enum FailureMap {
    static func failure(_ facts: BreakFacts) -> TransferFailure {
        if facts.isPastDeadline, facts.error.code == .timedOut {
            return TransferFailure(JobError(.jobDeadline, "the job's time is over"))
        }
        if facts.isPastAttempt, facts.error.code == .timedOut { return attemptOver }
        if let address = facts.deniedAddress {
            return TransferFailure(
                JobError(.privateAddress, "policy forbids to connect to \(AddressText.of(address))"))
        }
        if let local = local(facts) { return local }
        var failure = TransferFailure(JobError(code(facts), message(facts)))
        failure.isConnectFailure = !facts.hasHead && !facts.isConnected && isConnectCode(failure.error.code)
        failure.isUncharged = isUncharged(facts)
        failure.uplink = UplinkMap.sign(facts)
        return failure
    }

    /// `timeouts.attempt` has passed.
    static let attemptOver: TransferFailure = {
        var failure = TransferFailure(JobError(.timeout, "the attempt took longer than timeouts.attempt"))
        failure.uplink = .stalled
        return failure
    }()

    /// A disk or directory that refused.
    static func failure(_ error: SystemError) -> TransferFailure {
        var failure = TransferFailure(JobError(.disk, Masking.text(error.description)))
        failure.isLocal = true
        failure.systemCode = error.code.rawValue
        return failure
    }

    /// No descriptors, no memory, no network: not the host's doing.
    private static func local(_ facts: BreakFacts) -> TransferFailure? {
        let code: ErrorCode
        switch (facts.error.code, Errno(rawValue: facts.error.systemCode)) {
        case (.cannotConnect, .tooManyOpenFiles), (.cannotConnect, .tooManyOpenFilesInSystem): code = .disk
        case (.cannotConnect, .noBufferSpace), (.cannotConnect, .noMemory), (.failedInit, _): code = .oom
        // With a connection up, this is libcurl's word for a header line that is too long.
        case (.outOfMemory, _) where !facts.isConnected: code = .oom
        default: return nil
        }
        var failure = TransferFailure(JobError(code, message(facts)))
        failure.isLocal = true
        failure.systemCode = facts.error.systemCode
        return failure
    }

    private static func code(_ facts: BreakFacts) -> ErrorCode {
        let detail = facts.error.detail ?? ""
        switch facts.error.code {
        case .cannotResolveHost, .cannotResolveProxy: return .dns
        case .cannotConnect, .proxy: return .connect
        case .tlsPeerVerification, .tlsIssuer: return .tlsVerify
        case .tlsConnect, .tlsCipher, .tlsCertificateFile, .tlsShutdown: return .tls
        case .timedOut: return facts.isConnected ? .stalled : .timeout
        case .malformedURL: return .badURL
        // Also said of HTTP/0.9 and of versions that nobody has heard of.
        case .unsupportedProtocol: return facts.isConnected ? .protocol : .redirectScheme
        case .outOfMemory: return .headerTooLarge
        case .receiveError where detail.contains("Too large response headers"): return .headerTooLarge
        case .receiveError where detail.contains("chunk"): return .protocol
        // Said before any header line is handed over.
        case .weirdServerReply where detail.contains("Content-Length"): return .badLength
        case .partialFile, .receiveError, .sendError, .gotNothing, .http2, .http2Stream: return .truncated
        default: return .protocol
        }
    }

    private static func isConnectCode(_ code: ErrorCode) -> Bool {
        switch code {
        case .dns, .connect, .tls, .tlsVerify, .timeout, .truncated: true
        default: false
        }
    }

    /// The server sent the stream away, by REFUSED_STREAM, or its connection, by a GOAWAY, in the middle of a body too.
    /// Tried again elsewhere, at nobody's cost.
    private static func isUncharged(_ facts: BreakFacts) -> Bool {
        let detail = facts.error.detail ?? ""
        switch facts.error.code {
        // Without a word from libcurl: a GOAWAY left this stream out, as the one that read it hears of it...
        case .http2 where detail.isEmpty: return true
        // ...and as those beside it do.
        case .receiveError where detail.isEmpty && facts.isHTTP2: return true
        case .http2, .http2Stream, .receiveError, .sendError, .partialFile, .gotNothing:
            return facts.hasGoneAway
                || facts.fetchedBytes == 0
                    && ["REFUSED_STREAM", "GOAWAY", "Connection died"].contains { detail.contains($0) }
        default: return false
        }
    }

    /// libcurl's sentence, which may quote the server: escaped. What had come is said with it.
    private static func message(_ facts: BreakFacts) -> String {
        let text = Masking.text(facts.error.description)
        return facts.fetchedBytes > 0 ? "\(text) (after \(facts.fetchedBytes) bytes)" : text
    }
}

/// Addresses as people write them.
enum AddressText {
    static func of(_ address: PeerAddress) -> String {
        switch address {
        case .v4(let bits):
            return (0..<4).map { String(bits >> (24 - 8 * UInt32($0)) & 255) }.joined(separator: ".")
        case .v6(let high, let low):
            // No run of zeros left out: exact, and rare.
            return [high, low].flatMap { half in
                (0..<4).map { String(half >> (48 - 16 * UInt64($0)) & 0xFFFF, radix: 16) }
            }.joined(separator: ":")
        case .other(let family): return "an address of family \(family)"
        }
    }
}
