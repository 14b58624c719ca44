// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlClient
import JobModel
import TestKit
import Testing

/// `/v1/verify` on the socket, and what dlctl says of it.
@Suite struct AuditRouteTests {
    private func post(_ server: RunningServer, _ target: String, _ body: String) throws -> UnixHTTP.Answer {
        try UnixHTTP.request(server.socket, "POST", target, body: body)
    }

    @Test(arguments: [
        (#"{"all":true}"#, "verify all false false false"),
        (#"{"list":12,"repair":true}"#, "verify list(12) true false false"),
        (#"{"list":"hourly one.txt"}"#, "verify list(hourly one.txt) false false false"),
        (
            #"{"paths":["a/b","/srv/dld/c"],"record_digests":true,"list_all":true,"all":false}"#,
            #"verify paths(["a/b", "/srv/dld/c"]) false true true"#
        ),
    ])
    func `an order in JSON is queued and answered with 201`(body: String, question: String) throws {
        let server = try RunningServer()
        let answer = try post(server, "/v1/verify", body)
        #expect(answer.status == 201, "\(answer.body)")
        #expect(server.backend.questions == [question])
        #expect(try ControlAPI.decode(AuditDocument.self, from: Array(answer.body.utf8)) == Samples.audit())
    }

    @Test(arguments: [
        ("", "JSON object"), ("[]", "JSON object"), ("{}", "exactly one of"),
        (#"{"all":true,"list":1}"#, "exactly one of"), (#"{"all":true,"repiar":true}"#, "repiar"),
        (#"{"list":""}"#, "list is"), (#"{"paths":"a"}"#, "paths is"),
        (#"{"all":1}"#, "all is true or false"),
    ])
    func `an order that makes no sense is refused with the reason`(body: String, words: String) throws {
        let server = try RunningServer()
        let answer = try post(server, "/v1/verify", body)
        #expect(answer.status == 400 && answer.body.contains(words), "\(answer.body)")
        #expect(server.backend.questions.isEmpty)
    }

    @Test(arguments: [
        ("GET", "/v1/verify?after=3&limit=5", "audits 3 5"), ("GET", "/v1/verify/7", "audit 7"),
        ("GET", "/v1/verify/7/results?after=250&limit=1000", "results 7 250 1000"),
        ("POST", "/v1/verify/7/cancel", "cancel audit 7"), ("POST", "/v1/verify/7/pause", "pause audit 7"),
        ("POST", "/v1/verify/7/resume", "resume audit 7"),
    ])
    func `audits are asked for and changed by their id`(
        method: String, target: String, question: String
    ) throws {
        let server = try RunningServer()
        let answer = try UnixHTTP.request(server.socket, method, target)
        #expect(answer.status == 200, "\(answer.body)")
        #expect(server.backend.questions == [question])
    }

    @Test(arguments: [
        ("GET", "/v1/verify/x", 400), ("GET", "/v1/verify/0", 400), ("GET", "/v1/verify/7/cancel", 405),
        ("POST", "/v1/verify/7/retry", 404), ("GET", "/v1/verify/7/results?after=-1", 400),
        ("DELETE", "/v1/verify", 405), ("POST", "/v1/verify/7", 405), ("POST", "/v1/verify/7/cancel/x", 404),
    ])
    func `odd requests about audits are told apart`(method: String, target: String, status: Int) throws {
        let server = try RunningServer()
        #expect(try UnixHTTP.request(server.socket, method, target).status == status)
        #expect(server.backend.questions.isEmpty)
    }

    @Test func `every key of an audit and of a finding is there, null where unknown`() throws {
        let audit = String(decoding: try ControlAPI.encode(AuditDocument()), as: UTF8.self)
        for key in ["list", "files_total", "seconds_left", "reason", "repair_list", "started_at", "ended_at"]
        {
            #expect(audit.contains("\"\(key)\":null"), "\(key)")
        }
        let finding = String(decoding: try ControlAPI.encode(AuditFindingDocument()), as: UTF8.self)
        for key in ["reason", "found_bytes", "digest", "found_digest", "modified_at"] {
            #expect(finding.contains("\"\(key)\":null"), "\(key)")
        }
    }

    @Test func `the line that the ledger's side writes is the document that clients read`() throws {
        let record = FileRecord(
            path: OutputPath(trusted: "isos/a.iso"), url: "https://u:secret@h/a?token=x", finalURL: nil,
            size: 5000, digest: nil, etag: nil, lastModified: nil, contentType: nil,
            publishedAt: WallTime(milliseconds: 0))
        var finding = AuditPage.Finding(.changed, "it has 3 bytes, 5000 were published")
        finding.facts = FileFacts(isRegular: true, size: 3, modifiedAt: 1000)
        let line = AuditLine.line(
            AuditID(7), AuditPage.Entry(cursor: .path(record.path), record: record), finding,
            now: WallTime(milliseconds: 5))
        let read = try ControlAPI.decode(AuditFindingDocument.self, from: line)
        #expect(read.path == "isos/a.iso" && read.verdict == "changed" && read.foundBytes == 3)
        #expect(read.checkedAt.time == WallTime(milliseconds: 5) && !read.url.contains("secret"))
        let keys = String(decoding: line, as: UTF8.self).split(separator: "\"").count
        #expect(keys > 24)
    }

    @Test func `an audit in words says what is bad and where to look`() {
        let audit = Samples.audit()
        #expect(
            AuditView.progress(audit)
                == "audit 7: 12,000 of 100,000 files, 8 changed, 2 missing, 41 MB/s, about 7 h")
        #expect(
            AuditView.summary(audit)
                == "audit 7: 11,990 fine, 8 changed, 2 missing; see dlctl audit 7 results")
        var ended = audit
        ended.state = .done
        #expect(!AuditView.isSuccess(ended))
        ended.changed = 0
        ended.missing = 0
        #expect(AuditView.isSuccess(ended))
    }
}
