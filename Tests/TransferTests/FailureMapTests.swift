// SPDX-License-Identifier: Apache-2.0

import Curl
import Glibc
import JobModel
import Testing

@testable import Transfer

@Suite struct FailureMapTests {
    struct Row: Sendable {
        var code: CurlError.Code
        var detail: String?
        var isConnected = true
        var isHTTP2 = false
        var hasGoneAway = false
        var fetched: Int64 = 0
        var expected: ErrorCode
        var isConnectFailure = false
        var isUncharged = false
    }

    @Test(arguments: [
        Row(code: .cannotResolveHost, isConnected: false, expected: .dns, isConnectFailure: true),
        Row(code: .cannotConnect, isConnected: false, expected: .connect, isConnectFailure: true),
        Row(code: .timedOut, isConnected: false, expected: .timeout, isConnectFailure: true),
        Row(code: .timedOut, detail: "Operation too slow.", expected: .stalled),
        Row(code: .tlsPeerVerification, isConnected: false, expected: .tlsVerify, isConnectFailure: true),
        Row(code: .tlsConnect, isConnected: false, expected: .tls, isConnectFailure: true),
        Row(code: .partialFile, expected: .truncated),
        Row(code: .receiveError, detail: "Connection reset by peer", expected: .truncated),
        Row(code: .gotNothing, expected: .truncated),
        Row(code: .receiveError, detail: "Too large response headers: 1 > 2", expected: .headerTooLarge),
        Row(code: .outOfMemory, expected: .headerTooLarge),
        Row(
            code: .receiveError, detail: "Illegal or missing hexadecimal sequence in chunked-encoding",
            expected: .protocol),
        Row(code: .unsupportedProtocol, detail: "Received HTTP/0.9 when not allowed", expected: .protocol),
        Row(code: .unsupportedProtocol, isConnected: false, expected: .redirectScheme),
        Row(code: .weirdServerReply, expected: .protocol),
        Row(code: .weirdServerReply, detail: "Invalid Content-Length: value", expected: .badLength),
        Row(code: .malformedURL, isConnected: false, expected: .badURL),
        Row(
            code: .http2Stream, detail: "stream 1 was not closed cleanly: INTERNAL_ERROR",
            expected: .truncated),
        Row(
            code: .http2Stream, detail: "stream 1 was not closed cleanly: REFUSED_STREAM (err 7)",
            expected: .truncated,
            isUncharged: true),
        Row(code: .http2, detail: "received GOAWAY, error=0", expected: .truncated, isUncharged: true),
        Row(code: .http2, expected: .truncated, isUncharged: true),
        Row(code: .http2, isHTTP2: true, fetched: 9, expected: .truncated, isUncharged: true),
        Row(code: .receiveError, isHTTP2: true, fetched: 9, expected: .truncated, isUncharged: true),
        Row(code: .receiveError, fetched: 9, expected: .truncated),
        Row(code: .partialFile, hasGoneAway: true, fetched: 9, expected: .truncated, isUncharged: true),
        Row(code: .timedOut, hasGoneAway: true, fetched: 9, expected: .stalled),
        Row(
            code: .partialFile, detail: "HTTP/2 stream 1 was not closed cleanly before end", isHTTP2: true,
            fetched: 9, expected: .truncated),
        Row(code: .init(rawValue: 4711), expected: .protocol),
    ])
    func `libcurl's codes map by class`(row: Row) {
        var facts = BreakFacts(error: CurlError(code: row.code, detail: row.detail))
        facts.isConnected = row.isConnected
        facts.isHTTP2 = row.isHTTP2
        facts.hasGoneAway = row.hasGoneAway
        facts.fetchedBytes = row.fetched
        let failure = FailureMap.failure(facts)
        #expect(failure.error.code == row.expected)
        #expect(failure.isConnectFailure == row.isConnectFailure)
        #expect(failure.isUncharged == row.isUncharged)
        #expect(!failure.isLocal)
    }

    @Test func `a timeout past the deadline is the job's`() {
        var facts = BreakFacts(error: CurlError(code: .timedOut))
        facts.isPastDeadline = true
        #expect(FailureMap.failure(facts).error.code == .jobDeadline)
    }

    @Test func `a refused address is policy, named in words`() {
        var facts = BreakFacts(error: CurlError(code: .cannotConnect))
        facts.deniedAddress = .v4(0x7F00_0001)
        let failure = FailureMap.failure(facts)
        #expect(failure.error.code == .privateAddress)
        #expect(failure.error.message.contains("127.0.0.1"))
        #expect(AddressText.of(.v6(0xFE80_0000_0000_0000, 1)) == "fe80:0:0:0:0:0:0:1")
    }

    @Test func `no descriptors and no memory are local`() {
        let files = BreakFacts(error: CurlError(code: .cannotConnect, systemCode: EMFILE))
        #expect(FailureMap.failure(files).isLocal)
        #expect(FailureMap.failure(files).systemCode == EMFILE)
        #expect(FailureMap.failure(BreakFacts(error: CurlError(code: .outOfMemory))).error.code == .oom)
    }

    @Test func `what a server says is escaped`() {
        let facts = BreakFacts(error: CurlError(code: .receiveError, detail: "bad \u{1b}[31m"))
        #expect(!FailureMap.failure(facts).error.message.unicodeScalars.contains("\u{1b}"))
    }
}
