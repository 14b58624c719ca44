// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import Glibc
import JobModel
import Locking
import TestKit
import Testing

@Suite struct ServerRouteTests {
    private func document<Document: Decodable>(
        _ type: Document.Type, _ answer: UnixHTTP.Answer
    ) throws -> Document {
        try ControlAPI.decode(type, from: Array(answer.body.utf8))
    }

    @Test func `status comes whole over the socket`() throws {
        let server = try RunningServer()
        server.backend.given.withLock { $0.status = Samples.busy() }
        let answer = try server.get("/v1/status")
        #expect(answer.status == 200)
        #expect(
            answer.headers.contains {
                $0.name.lowercased() == "content-type" && $0.value == "application/json"
            })
        #expect(answer.body.hasSuffix("}\n"))
        #expect(try document(StatusDocument.self, answer) == Samples.busy())
    }

    @Test func `health is 200 while healthy and 503 with the same document while not`() throws {
        let server = try RunningServer()
        #expect(try server.get("/healthz").status == 200)
        let ill = HealthDocument(
            healthy: false, state: .running, version: "0.1.0", problems: ["dld-xfer-1 hangs"])
        server.backend.given.withLock { $0.health = ill }
        let answer = try server.get("/healthz")
        #expect(answer.status == 503)
        #expect(try document(HealthDocument.self, answer) == ill)
    }

    @Test func `metrics are text of format 0 0 4`() throws {
        let server = try RunningServer()
        let answer = try server.get("/metrics")
        #expect(answer.status == 200)
        #expect(answer.headers.contains { $0.value == "text/plain; version=0.0.4; charset=utf-8" })
        #expect(answer.body == PrometheusText.write(Samples.metrics()))
    }

    @Test(arguments: [
        ("/v1/lists", "lists - - 100"),
        ("/v1/lists?state=running&after=12&limit=5", "lists running 12 5"),
        ("/v1/lists/4711", "list 4711"),
        ("/v1/lists/hourly%20one.txt", "list hourly one.txt"),
        ("/v1/jobs", "jobs - - - 100"),
        (
            "/v1/jobs?state=failed&list=hourly.txt&after=5f0c2e9a11d04b7e&limit=1000",
            "jobs failed hourly.txt 5f0c2e9a11d04b7e 1000"
        ),
        ("/v1/jobs/5F0C2E9A11D04B7E", "job 5f0c2e9a11d04b7e"),
        ("/v1/hosts", "hosts - 100"),
        ("/v1/hosts?after=Example.org%3A8080", "hosts example.org:8080 100"),
    ])
    func `a question reaches the backend as it was asked`(target: String, asked: String) throws {
        let server = try RunningServer()
        #expect(try server.get(target).status == 200)
        #expect(server.backend.questions == [asked])
    }

    @Test(arguments: [
        ("/v1/jobs/5f0c2e9a11d04b7e/cancel", "cancel job 5f0c2e9a11d04b7e"),
        ("/v1/jobs/5f0c2e9a11d04b7e/retry", "retry job 5f0c2e9a11d04b7e"),
        ("/v1/lists/4711/pause", "pause list 4711"),
        ("/v1/lists/hourly.txt/resume", "resume list hourly.txt"),
        ("/v1/hosts/EXAMPLE.org/release", "release example.org"),
        ("/v1/reload", "reload"),
    ])
    func `a command reaches the backend as it was given`(target: String, asked: String) throws {
        let server = try RunningServer()
        #expect(try server.request("POST", target).status == 200)
        #expect(server.backend.questions == [asked])
    }

    @Test func `the backend learns the uid of who asks`() throws {
        let server = try RunningServer()
        _ = try server.request("POST", "/v1/lists/1/cancel")
        #expect(server.backend.seen.withLock { $0.peers.first?.uid } == getuid())
        #expect(server.backend.seen.withLock { $0.peers.first?.pid } == getpid())
    }

    @Test(arguments: [
        ("GET", "/", 404), ("GET", "/v1", 404), ("GET", "/v1/status/", 404), ("GET", "/v2/status", 404),
        ("GET", "/v1/status?verbose=1", 400), ("GET", "/v1/jobs?stat=failed", 400),
        ("GET", "/v1/jobs?state=broken", 400), ("GET", "/v1/jobs?limit=0", 400),
        ("GET", "/v1/jobs?limit=1001", 400),
        ("GET", "/v1/jobs?limit=-1", 400), ("GET", "/v1/jobs?limit=99999999999999999999", 400),
        ("GET", "/v1/jobs?limit=5&limit=6", 400), ("GET", "/v1/jobs?after=12", 400),
        ("GET", "/v1/jobs/4711", 400), ("GET", "/v1/jobs/5f0c2e9a11d04b7g", 400),
        ("GET", "/v1/jobs/0000000000000000", 400), ("GET", "/v1/jobs/", 400),
        ("GET", "/v1/lists/", 400), ("GET", "/v1/lists/..", 400), ("GET", "/v1/lists/a%2Fb", 400),
        ("GET", "/v1/lists/a%00b", 400), ("GET", "/v1/lists/%zz", 400), ("GET", "/v1/lists/%ff", 400),
        ("GET", "/v1/lists/99999999999999999999", 400), ("GET", "/v1/lists/0", 400),
        ("GET", "/v1/lists?after=x", 400),
        ("GET", "/v1/lists?state=spooled", 400), ("POST", "/v1/lists", 400),
        ("POST", "/v1/lists?name=a%2Fb", 400), ("POST", "/v1/lists?name=.hidden", 400),
        ("POST", "/v1/lists?name=a.part", 400), ("POST", "/v1/hosts/a%20b/release", 400),
        ("POST", "/v1/jobs/5f0c2e9a11d04b7e/explode", 404),
        ("POST", "/v1/jobs/5f0c2e9a11d04b7e/cancel/now", 404),
        ("HEAD", "/v1/status", 405), ("POST", "/v1/status", 405), ("DELETE", "/v1/lists/1", 405),
        ("GET", "/v1/lists/1/cancel", 405), ("PUT", "/v1/lists?name=x", 405), ("GET", "/v1/reload", 405),
        ("POST", "/metrics", 405), ("OPTIONS", "/healthz", 405), ("PATCH", "/v1/jobs", 405),
    ])
    func `an odd request is refused before the backend hears of it`(
        method: String, target: String, status: Int
    ) throws {
        let server = try RunningServer()
        let answer = try server.request(method, target)
        #expect(answer.status == status, "\(answer.body)")
        #expect(server.backend.questions.isEmpty)
        if method != "HEAD" {
            let error = try document(ErrorDocument.self, answer).error
            let codes = [400: "bad_request", 404: "not_found", 405: "method_not_allowed"]
            #expect(error.code == codes[status])
            #expect(!error.message.isEmpty)
        } else {
            #expect(answer.body.isEmpty)
        }
        if status == 405 { #expect(answer.headers.contains { $0.name.lowercased() == "allow" }) }
    }

    @Test func `what the backend refuses comes as its status and document`() throws {
        let server = try RunningServer()
        for failure in [
            ControlFailure.notFound("no list 9"), .conflict("it has ended"), .unavailable("starting"),
        ] {
            server.backend.given.withLock { $0.list = .failure(failure) }
            let answer = try server.get("/v1/lists/9")
            #expect(answer.status == failure.status)
            #expect(try document(ErrorDocument.self, answer) == failure.document)
        }
    }

    @Test func `a body where none belongs is taken up to 64 KiB and refused above`() throws {
        let server = try RunningServer()
        #expect(
            try server.request("POST", "/v1/reload", body: String(repeating: "x", count: 65_536)).status
                == 200)
        let answer = try server.request("POST", "/v1/reload", body: String(repeating: "x", count: 65_537))
        #expect(answer.status == 413)
        #expect(try document(ErrorDocument.self, answer).error.code == "too_large")
        #expect(server.backend.questions == ["reload"])
    }
}
