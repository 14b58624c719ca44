// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import Testing

@testable import Transfer

private func point(etag: String? = "\"v1\"", modified: String? = nil, total: Int64? = 1000) -> ResumePoint {
    ResumePoint(
        url: "https://h/a/b?sig=1", bytes: 100, total: total, etag: etag, lastModified: modified, device: 1,
        inode: 2, part: "p")
}

private func may(_ point: ResumePoint, _ url: String, digest: Bool = false) throws -> Bool {
    ResumePolicy.mayGoOn(from: point, at: try ParsedURL.parse(url), hasDigest: digest)
}

/// What a head says about ranges, after a request for the rest of a file.
private func conduct(_ lines: [String], etag: String? = "\"v1\"") -> RangeConduct {
    let ask = ResponseAsk(url: "https://h/a/b", resume: point(etag: etag))
    var machine = ResponseMachine(ask: ask)
    for line in lines + [""] {
        let bytes = Array((line + "\r\n").utf8)
        _ = machine.takeHeader(bytes.span.bytes)
    }
    return machine.conduct
}

@Suite struct ResumePolicyTests {
    @Test func `where the bytes came from any strong validator will do`() throws {
        #expect(try may(point(), "https://h/a/b?sig=1"))
        #expect(try may(point(etag: nil, modified: "Sun, 06 Nov 1994 08:00:00 GMT"), "https://h/a/b?sig=1"))
        #expect(try !may(point(etag: "W/\"v1\""), "https://h/a/b?sig=1"))
        #expect(try !may(point(etag: nil), "https://h/a/b?sig=1"))
    }

    @Test(arguments: [
        ("https://h/a/b?sig=2", true, true), ("https://h/a/b", true, true),
        ("https://h/a/c?sig=1", false, true),
        ("https://other/a/b?sig=1", false, true), ("http://h/a/b?sig=1", false, true),
        ("https://h:444/a/b?sig=1", false, true), ("ftp://h/a/b?sig=1", false, false),
    ])
    func `elsewhere it takes the same origin and path, or a digest`(
        url: String, plain: Bool, digest: Bool
    ) throws {
        #expect(try may(point(), url) == plain)
        #expect(try may(point(), url, digest: true) == digest)
        #expect(try !may(point(total: nil), url, digest: true))
        #expect(try !may(point(etag: nil, modified: "Sun, 06 Nov 1994 08:00:00 GMT"), url, digest: true))
    }

    @Test(
        arguments: [
            (["HTTP/1.1 206 P", "Content-Range: bytes 100-999/1000", "ETag: \"v1\""], .fair),
            (["HTTP/1.1 206 P", "Content-Range: bytes 101-999/1000", "ETag: \"v1\""], .lies),
            (["HTTP/1.1 206 P", "Content-Range: bytes 100-999/2000", "ETag: \"v1\""], .lies),
            (["HTTP/1.1 206 P", "Content-Range: bytes 100-999/1000", "ETag: \"v2\""], .lies),
            (["HTTP/1.1 206 P", "Content-Range: bytes 100-999/1000", "ETag: W/\"v1\""], .lies),
            (
                ["HTTP/1.1 206 P", "Content-Range: bytes 100-999/1000", "Content-Length: 5", "ETag: \"v1\""],
                .lies
            ),
            (["HTTP/1.1 206 P", "ETag: \"v1\""], .lies),
            (["HTTP/1.1 206 P", "Content-Type: multipart/byteranges; boundary=x", "ETag: \"v1\""], .lies),
            (
                [
                    "HTTP/1.1 206 P", "Content-Type: multipart/byteranges; boundary=x",
                    "Content-Range: bytes 100-999/1000", "ETag: \"v1\"",
                ], .lies
            ),
            (["HTTP/1.1 206 P", "Content-Range: bytes 100-999/*", "ETag: \"v1\""], .ignores),
            (["HTTP/1.1 206 P", "Content-Range: bytes 100-999/1000"], .ignores),
            (["HTTP/1.1 200 OK", "Content-Length: 1000", "ETag: \"v1\""], .ignores),
            (["HTTP/1.1 200 OK", "Content-Length: 1000", "ETag: \"v2\""], .fair),
            (["HTTP/1.1 200 OK", "Content-Length: 1000"], .fair),
            (["HTTP/1.1 416 No", "Content-Range: bytes */50"], .fair),
            (["HTTP/1.1 412 No"], .ignores), (["HTTP/1.1 400 No"], .ignores), (["HTTP/1.1 501 No"], .ignores),
            (["HTTP/1.1 503 Busy"], .fair), (["HTTP/1.1 404 No"], .fair),
        ] as [([String], RangeConduct)])
    func `a change of version is no lie, a wrong 206 is one`(lines: [String], expected: RangeConduct) {
        #expect(conduct(lines) == expected)
    }

    @Test func `a 206 that leaves Last-Modified out proves nothing and is no lie`() {
        #expect(conduct(["HTTP/1.1 206 P", "Content-Range: bytes 100-999/1000"], etag: nil) == .fair)
    }

    @Test func `a 416 with the ETag of another version is not the end of this one`() {
        var whole = point()
        whole.bytes = 1000
        let ask = ResponseAsk(url: "https://h/a/b", resume: whole)
        var machine = ResponseMachine(ask: ask)
        for line in ["HTTP/1.1 416 No", "Content-Range: bytes */1000", "ETag: \"v2\"", ""] {
            let bytes = Array((line + "\r\n").utf8)
            _ = machine.takeHeader(bytes.span.bytes)
        }
        guard case .restart = machine.end(isClean: true) else {
            Issue.record("taken for the end: \(machine.end(isClean: true))")
            return
        }
    }

    @Test func `an ETag that only looks the same is another`() {
        // U+212A is canonically equal to K, and String's == says so.
        let etag = "\"\u{212A}\""
        let lines = ["HTTP/1.1 206 P", "Content-Range: bytes 100-999/1000", "ETag: \(etag)"]
        #expect(conduct(lines, etag: "\"K\"") == .lies)
    }
}
