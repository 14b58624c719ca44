// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

struct PolicyTests {
    /// 2026-11-22 10:00:00 UTC, a Sunday.
    private let now = WallTime(milliseconds: 1_795_341_600_000)

    @Test(
        arguments: [
            ("120", 120), ("0", nil), (" 5\t", 5), ("3601", 3600), ("9223372036854775807", 3600),
            ("99999999999999999999", 3600), ("007", 7),
            ("Sun, 22 Nov 2026 10:01:30 GMT", 90), ("Sun, 22 Nov 2026 10:00:00 GMT", nil),
            ("Sun, 06 Nov 1994 08:49:37 GMT", nil),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 3600), ("Sunday, 22-Nov-26 10:01:30 GMT", 90),
            ("Sun Nov 22 10:01:30 2026", 90),
            ("abc", nil), ("-5", nil), ("+5", nil), ("1.5", nil), ("12abc", nil), ("", nil), (" ", nil),
            ("1 2", nil), ("0x10", nil), ("1e3", nil),
            ("١٢", nil), ("Sun, 31 Feb 2027 10:00:00 GMT", nil), ("Sun, 22 Nov 2026 24:00:00 GMT", nil),
            ("Sun, 22 Nov 2026 10:01:30", nil),
            ("Sun, 22 Nov 2026 10:01:30 CET", nil), ("Xxx, 22 Nov 2026 10:01:30 GMT", nil),
            ("Sun, 22 nov 2026 10:01:30 GMT", nil),
            ("Sun, 00 Nov 2026 10:01:30 GMT", nil), (String(repeating: "9", count: 5000), nil),
        ] as [(String, Int64?)])
    func `Retry-After is read strictly`(field: String, seconds: Int64?) {
        #expect(RetryAfter.parse(field, now: now) == seconds.map { .seconds($0) })
        _ = RetryAfter.parse(field, now: WallTime(milliseconds: .min))
        _ = RetryAfter.parse(field, now: WallTime(milliseconds: .max))
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Tue, 29 Feb 2000 23:59:59 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
    ])
    func `an HTTP date is written as it was read`(text: String) throws {
        #expect(HTTPDate.format(try #require(HTTPDate.parse(text))) == text)
    }

    @Test func `an HTTP date's seconds round down`() {
        #expect(HTTPDate.format(WallTime(milliseconds: 1999)) == "Thu, 01 Jan 1970 00:00:01 GMT")
        _ = HTTPDate.format(WallTime(milliseconds: .min))
        _ = HTTPDate.format(WallTime(milliseconds: .max))
    }

    private func url(_ text: String, _ host: String = "h") -> DownloadURL {
        DownloadURL(text: text, scheme: String(text.prefix { $0 != ":" }), host: HostKey(host))
    }

    @Test(
        arguments: [
            ("http://a/", "http://b/", 0, false, nil), ("http://a/", "https://b/", 9, false, nil),
            ("http://a/", "http://b/", 10, true, .redirectLimit),
            ("https://a/", "http://b/", 0, false, .redirectScheme), ("https://a/", "http://b/", 0, true, nil),
            ("http://a/", "file:///etc/passwd", 0, true, .redirectScheme),
            ("http://a/", "ftp://b/", 0, true, .redirectScheme),
            ("http://a/", "http://b/", .max, true, .redirectLimit),
        ] as [(String, String, Int, Bool, ErrorCode?)])
    func `redirects are followed under policy`(
        from: String, to: String, hops: Int, downgrade: Bool, code: ErrorCode?
    ) {
        let policy = RedirectPolicy(
            maxRedirects: 10, protocols: ["http", "https"], allowsDowngrade: downgrade)
        #expect(policy.verdict(from: url(from), to: url(to), hops: hops)?.code == code)
    }

    @Test func `a refused redirect shows no secrets and no control characters`() throws {
        let policy = RedirectPolicy(maxRedirects: 0, protocols: ["http"], allowsDowngrade: false)
        let error = try #require(
            policy.verdict(from: url("http://a/"), to: url("http://u:pw@b/\u{1b}?token=x"), hops: 0))
        #expect(
            !error.message.contains("pw") && !error.message.contains("\u{1b}")
                && !error.message.contains("=x"))
    }

    @Test(arguments: [
        "Range", "range", "If-Range", "if-none-match", "If-Anything", "Content-Length", "Transfer-Encoding",
        "Connection", "TE", "Expect", "",
        "a b", "a:b", "é", "a\r\nb", "(x)", String(repeating: "a", count: 5000),
    ])
    func `header names that a list may not set`(name: String) {
        #expect(HeaderRule.fault(in: HeaderField(name: name, value: "v"))?.code == .badOption)
    }

    @Test(arguments: ["a\r\nHost: b", "a\0b", "\n", "\u{7f}", String(repeating: "a", count: 20_000)])
    func `header values that a list may not set`(value: String) {
        #expect(HeaderRule.fault(in: HeaderField(name: "X", value: value))?.code == .badOption)
    }

    @Test func `header lines are read`() throws {
        #expect(
            try HeaderRule.parse("Cookie:  a=b; c:d \t").get()
                == HeaderField(name: "Cookie", value: "a=b; c:d"))
        #expect(try HeaderRule.parse("X:").get() == HeaderField(name: "X", value: ""))
        for line in ["", "X", ": v", "Range: bytes=0-1", "X : v"] {
            #expect(throws: JobError.self) { try HeaderRule.parse(line).get() }
        }
    }
}
