// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Transfer

/// Feeds a machine as libcurl would.
private struct Feed {
    var machine: ResponseMachine
    var steps: [ResponseMachine.HeadStep] = []

    /// Nothing yet.
    init(_ ask: ResponseAsk) { machine = ResponseMachine(ask: ask) }
    /// A complete head.
    init(_ ask: ResponseAsk, _ lines: [String]) {
        self.init(ask)
        for line in lines + [""] { head(line) }
    }
    mutating func head(_ line: String) {
        let bytes = Array((line + "\r\n").utf8)
        steps.append(machine.takeHeader(bytes.span.bytes))
    }
}

private func ask(
    resume: ResumePoint? = nil, hasCondition: Bool = false, expected: Int64? = nil, limit: Int64? = nil
) -> ResponseAsk {
    ResponseAsk(
        url: "https://h/a/b", resume: resume, hasCondition: hasCondition, expectedSize: expected,
        maxFileSize: limit, now: WallTime(milliseconds: 784_111_777_000))
}

private let point = ResumePoint(
    url: "https://h/a/b", bytes: 100, total: 1000, etag: "\"v1\"", lastModified: nil, device: 1, inode: 2,
    part: "p")

private func code(_ ending: ResponseEnding) -> ErrorCode? {
    if case .failed(let error, _) = ending { error.code } else { nil }
}
private func isRestart(_ ending: ResponseEnding) -> Bool {
    if case .restart = ending { true } else { false }
}

@Suite struct ResponseMachineTests {
    @Test(arguments: ["HTTP/1.1 -20 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 2e1 OK", "HTTP/1.1 20 OK"])
    func `a status that is not three digits is none`(line: String) {
        var head = ResponseHead()
        let bytes = Array(line.utf8)
        _ = head.take(bytes.span.bytes)
        #expect(head.status == 0)
    }

    @Test func `a 200 with its length is whole when all of it came`() {
        var feed = Feed(ask(), ["HTTP/1.1 200 OK", "Content-Length: 10"])
        #expect(feed.machine.total == 10)
        #expect(feed.machine.takeBody(4) == .write(at: 0))
        #expect(feed.machine.takeBody(6) == .write(at: 4))
        #expect(feed.machine.end(isClean: true) == .whole(size: 10, isLengthVerified: true))
    }

    @Test func `a short body is truncated although libcurl is content`() {
        var feed = Feed(ask(), ["HTTP/1.1 200 OK", "Content-Length: 10"])
        _ = feed.machine.takeBody(4)
        #expect(code(feed.machine.end(isClean: true)) == .truncated)
        #expect(feed.machine.end(isClean: false) == .broken)
    }

    @Test func `an end that nobody told is whole but not verified`() {
        var feed = Feed(ask(), ["HTTP/1.1 200 OK"])
        _ = feed.machine.takeBody(4)
        #expect(feed.machine.end(isClean: true) == .whole(size: 4, isLengthVerified: false))
    }

    @Test(arguments: [["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], ["HTTP/2 200"]])
    func `framing tells the end as well as a length`(lines: [String]) {
        var feed = Feed(ask(), lines)
        _ = feed.machine.takeBody(4)
        #expect(feed.machine.end(isClean: true) == .whole(size: 4, isLengthVerified: true))
    }

    @Test func `chunks win over a length, and the connection ends`() {
        var feed = Feed(ask(), ["HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: chunked"])
        #expect(feed.steps.last == .proceedThenClose)
        _ = feed.machine.takeBody(5)
        #expect(feed.machine.end(isClean: true) == .whole(size: 5, isLengthVerified: true))
    }

    @Test func `a 204 is an empty file`() {
        let feed = Feed(ask(), ["HTTP/1.1 204 No Content"])
        #expect(feed.machine.end(isClean: true) == .whole(size: 0, isLengthVerified: true))
    }

    @Test func `interim answers are not the answer`() {
        var feed = Feed(ask(), ["HTTP/1.1 103 Early Hints", "Content-Length: 99"])
        for line in ["HTTP/1.1 100 Continue", "", "HTTP/1.1 200 OK", "Content-Length: 1", ""] {
            feed.head(line)
        }
        _ = feed.machine.takeBody(1)
        #expect(feed.machine.end(isClean: true) == .whole(size: 1, isLengthVerified: true))
    }

    @Test(arguments: [
        ["Content-Length: 18446744073709551616"], ["Content-Length: -1"], ["Content-Length: +5"],
        ["Content-Length: 5", "Content-Length: 6"], ["Content-Length: 0x10"], ["Content-Length:"],
    ])
    func `a length that is none ends the transfer`(lines: [String]) {
        let feed = Feed(ask(), ["HTTP/1.1 200 OK"] + lines)
        #expect(feed.steps.last == .stop)
        #expect(code(feed.machine.end(isClean: false)) == .badLength)
    }

    @Test func `a length over the limit or other than expected is refused before the body`() {
        let long = ["HTTP/1.1 200 OK", "Content-Length: 10"]
        #expect(code(Feed(ask(limit: 9), long).machine.end(isClean: false)) == .tooLarge)
        #expect(code(Feed(ask(expected: 9), long).machine.end(isClean: false)) == .badLength)
        #expect(Feed(ask(expected: 10, limit: 10), long).steps.last == .proceed)
    }

    @Test func `a body that grows over the limit is stopped`() {
        var feed = Feed(ask(limit: 9), ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"])
        #expect(feed.machine.takeBody(9) == .write(at: 0))
        #expect(feed.machine.takeBody(1) == .stop)
        #expect(code(feed.machine.end(isClean: false)) == .tooLarge)
        #expect(feed.machine.takeBody(1) == .stop)
    }

    @Test func `a body of another length than expected is no file`() {
        var short = Feed(ask(expected: 9), ["HTTP/1.1 200 OK"])
        _ = short.machine.takeBody(8)
        #expect(code(short.machine.end(isClean: true)) == .badLength)
        var long = Feed(ask(expected: 9), ["HTTP/1.1 200 OK"])
        #expect(long.machine.takeBody(10) == .stop)
        #expect(code(long.machine.end(isClean: false)) == .badLength)
    }

    @Test(arguments: [100, 201, 202, 205, 206, 300, 304, 305, 400, 404, 416, 429, 500, 503, 599, 999])
    func `no other status yields a file`(status: Int) {
        let feed = Feed(ask(), ["HTTP/1.1 \(status) Whatever", "Content-Length: 3"])
        let expected: ErrorCode? = status == 100 ? nil : status == 206 ? .protocol : .http(status)
        #expect(code(feed.machine.end(isClean: true)) == expected)
    }

    @Test func `the body of an error is dropped, up to a bound`() {
        var feed = Feed(ask(), ["HTTP/1.1 404 Not Found"])
        #expect(feed.machine.takeBody(16_384) == .drop)
        for _ in 0..<3 { #expect(feed.machine.takeBody(16_384) == .drop) }
        #expect(feed.machine.takeBody(1) == .stop)
        #expect(code(feed.machine.end(isClean: false)) == .http(404))
        #expect(Feed(ask(), ["HTTP/1.1 404 No", "Content-Length: 70000"]).steps.last == .stop)
    }

    @Test func `Retry-After comes with the error`() {
        let feed = Feed(ask(), ["HTTP/1.1 503 Busy", "Retry-After: 120"])
        guard case .failed(let error, let after) = feed.machine.end(isClean: true) else {
            return #expect(Bool(false))
        }
        #expect(error.code == .http(503))
        #expect(after == .seconds(120))
    }

    @Test func `a 304 counts only where a condition was sent`() {
        #expect(
            Feed(ask(hasCondition: true), ["HTTP/1.1 304 Same"]).machine.end(isClean: true) == .notModified)
        #expect(code(Feed(ask(), ["HTTP/1.1 304 Same"]).machine.end(isClean: true)) == .http(304))
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func `a redirect leads to its resolved Location`(status: Int) {
        let feed = Feed(ask(), ["HTTP/1.1 \(status) There", "Location: ../c d?x=\u{e9}#f"])
        #expect(feed.machine.end(isClean: true) == .redirect(location: "https://h/c%20d?x=%C3%A9"))
    }

    @Test func `two Locations must agree, and one must be there and be a URL`() {
        let twice = ["HTTP/1.1 302 x", "Location: /a", "Location: /a"]
        #expect(Feed(ask(), twice).machine.end(isClean: true) == .redirect(location: "https://h/a"))
        let differing = ["HTTP/1.1 302 x", "Location: /a", "Location: /b"]
        #expect(code(Feed(ask(), differing).machine.end(isClean: true)) == .protocol)
        #expect(code(Feed(ask(), ["HTTP/1.1 302 x"]).machine.end(isClean: true)) == .http(302))
        let broken = ["HTTP/1.1 302 x", "Location: http://[::1/"]
        #expect(code(Feed(ask(), broken).machine.end(isClean: true)) == .badURL)
        let foreign = ["HTTP/1.1 302 x", "Location: magnet://x"]
        #expect(code(Feed(ask(), foreign).machine.end(isClean: true)) == .redirectScheme)
    }

    @Test func `a checked 206 goes on where the part ends`() {
        var feed = Feed(
            ask(resume: point),
            [
                "HTTP/1.1 206 Partial", "Content-Range: bytes 100-999/1000", "Content-Length: 900",
                "ETag: \"v1\"",
            ])
        #expect(feed.machine.takeBody(900) == .write(at: 100))
        #expect(feed.machine.end(isClean: true) == .whole(size: 1000, isLengthVerified: true))
    }

    @Test(arguments: [
        ["Content-Range: bytes 0-999/1000", "ETag: \"v1\""],
        ["Content-Range: bytes 101-999/1000", "ETag: \"v1\""],
        ["Content-Range: bytes 100-999/1001", "ETag: \"v1\""],
        ["Content-Range: bytes 100-999/*", "ETag: \"v1\""],
        ["Content-Range: bytes 100-999/1000", "ETag: \"v2\""],
        ["Content-Range: bytes 100-999/1000", "ETag: W/\"v1\""],
        ["Content-Range: bytes 100-999/1000"],
        ["ETag: \"v1\""],
        ["Content-Type: multipart/byteranges; boundary=x", "ETag: \"v1\""],
        ["Content-Range: bytes 100-999/1000", "Content-Range: bytes 100-999/1000", "ETag: \"v1\""],
        ["Content-Range: bytes 100-999/1000", "Content-Length: 899", "ETag: \"v1\""],
        ["Content-Range: bytes 100-99999999999999999999/1000", "ETag: \"v1\""],
    ])
    func `a 206 in doubt starts over from zero before a byte is written`(lines: [String]) {
        let feed = Feed(ask(resume: point), ["HTTP/1.1 206 Partial"] + lines)
        #expect(feed.steps.last == .stop)
        #expect(isRestart(feed.machine.end(isClean: false)))
    }

    @Test func `without an ETag the Last-Modified must be the same`() {
        let modified = ResumePoint(
            url: "https://h/a/b", bytes: 100, total: nil, etag: nil,
            lastModified: "Sun, 06 Nov 1994 08:00:00 GMT",
            device: 1, inode: 2, part: "p")
        let range = ["HTTP/1.1 206 Partial", "Content-Range: bytes 100-999/1000"]
        let same = Feed(ask(resume: modified), range + ["Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT"])
        #expect(same.machine.start == 100)
        let other = Feed(ask(resume: modified), range + ["Last-Modified: Sun, 06 Nov 1994 08:00:01 GMT"])
        #expect(isRestart(other.machine.end(isClean: false)))
        #expect(isRestart(Feed(ask(resume: modified), range).machine.end(isClean: false)))
    }

    @Test func `a 200 to a range is the whole file from zero`() {
        var feed = Feed(ask(resume: point), ["HTTP/1.1 200 OK", "Content-Length: 5", "ETag: \"v2\""])
        #expect(feed.machine.start == 0)
        #expect(feed.machine.takeBody(5) == .write(at: 0))
        #expect(feed.machine.end(isClean: true) == .whole(size: 5, isLengthVerified: true))
        #expect(feed.machine.resumePoint(bytes: 3, device: 1, inode: 2, part: "p")?.etag == "\"v2\"")
    }

    @Test func `a range shorter than asked asks for the rest`() {
        var feed = Feed(
            ask(resume: point), ["HTTP/1.1 206 Partial", "Content-Range: bytes 100-199/1000", "ETag: \"v1\""])
        _ = feed.machine.takeBody(100)
        #expect(feed.machine.end(isClean: true) == .more(from: 200))
        #expect(feed.machine.takeBody(1) == .stop)
        #expect(code(feed.machine.end(isClean: true)) == .badLength)
    }

    @Test func `a 416 starts over unless all lengths say that the part is whole`() {
        let refused = ["HTTP/1.1 416 No", "Content-Range: bytes */1000"]
        #expect(isRestart(Feed(ask(resume: point), refused).machine.end(isClean: true)))
        var whole = point
        whole.bytes = 1000
        #expect(
            Feed(ask(resume: whole), refused).machine.end(isClean: true)
                == .whole(size: 1000, isLengthVerified: true))
        #expect(isRestart(Feed(ask(resume: whole), ["HTTP/1.1 416 No"]).machine.end(isClean: true)))
        #expect(code(Feed(ask(), refused).machine.end(isClean: true)) == .http(416))
        // No length was told before: the same version must tell it.
        whole.total = nil
        #expect(isRestart(Feed(ask(resume: whole), refused).machine.end(isClean: true)))
        #expect(
            Feed(ask(resume: whole), refused + ["ETag: \"v1\""]).machine.end(isClean: true)
                == .whole(size: 1000, isLengthVerified: true))
        #expect(isRestart(Feed(ask(resume: whole), refused + ["ETag: \"v2\""]).machine.end(isClean: true)))
    }

    @Test func `only a strong validator makes a resume point`() {
        func point(_ lines: [String]) -> ResumePoint? {
            var feed = Feed(ask(), ["HTTP/1.1 200 OK", "Content-Length: 10"] + lines)
            _ = feed.machine.takeBody(5)
            return feed.machine.resumePoint(bytes: 5, device: 1, inode: 2, part: "p")
        }
        let modified = "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT"
        #expect(point(["ETag: \"x\""])?.etag == "\"x\"")
        #expect(point(["ETag: \"x\""])?.total == 10)
        #expect(point(["ETag: W/\"x\""]) == nil)
        #expect(point(["ETag: x"]) == nil)
        #expect(point(["ETag: \"\u{e9}\""]) == nil)
        #expect(point(["ETag: \"x\"", "ETag: \"y\""]) == nil)
        #expect(point(["ETag: \"x\"", "ETag: \"x\""]) != nil)
        #expect(point([modified]) == nil)
        #expect(point([modified, "Date: Sun, 06 Nov 1994 08:00:30 GMT"]) == nil)
        #expect(point([modified, "Date: Sun, 06 Nov 1994 08:01:00 GMT"])?.lastModified != nil)
    }

    @Test func `a head without end is stopped`() {
        var feed = Feed(ask())
        feed.head("HTTP/1.1 200 OK")
        let field = "X: " + String(repeating: "y", count: 1000)
        for _ in 0..<400 { feed.head(field) }
        #expect(feed.steps.last == .stop)
        #expect(code(feed.machine.end(isClean: false)) == .headerTooLarge)
    }

    @Test func `trailers change nothing`() {
        var feed = Feed(ask(), ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"])
        _ = feed.machine.takeBody(4)
        for line in ["Content-Length: 9", "ETag: \"late\"", ""] { feed.head(line) }
        #expect(feed.machine.end(isClean: true) == .whole(size: 4, isLengthVerified: true))
        #expect(feed.machine.head.etag == nil)
    }
}
