// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlClient
import ControlServer
import Glibc
import JobModel
import Locking
import TestKit
import Testing

@Suite(.serialized) struct ClientTests {
    init() throws { try CurlTransport.initialize() }

    private func client(_ server: RunningServer) -> ControlClient {
        ControlClient(CurlTransport(socketPath: server.socket))
    }

    @Test func `libcurl carries every question over the socket`() throws {
        let server = try RunningServer()
        server.backend.given.withLock { $0.status = Samples.busy() }
        let client = client(server)
        let status = try client.status()
        #expect(status.document == Samples.busy())
        #expect(status.bytes == (try ControlAPI.encode(Samples.busy())) + [UInt8(ascii: "\n")])
        var query = JobQuery()
        query.state = .failed
        query.list = .name("a b&c=d?.txt")
        query.after = JobID(rawValue: 0xab)
        #expect(try client.jobs(query).document.items == [Samples.download(), Samples.sum()])
        #expect(try client.lists(ListQuery()).document.next == "12")
        #expect(try client.list(.name("ü %2F.txt")).document == Samples.list())
        #expect(try client.job(JobID(rawValue: 0xab)).document == Samples.download())
        #expect(try client.hosts(HostQuery()).document.items == [Samples.heldHost()])
        #expect(try client.act(.cancel, on: .list(.id(ListID(4711)))).document.changed == 3)
        #expect(try client.act(.retry, on: .job(JobID(rawValue: 0xab))).document.complete)
        #expect(try client.release(host: "Example.org:8080").document.target == "example.org:8080")
        #expect(try client.reload().document.needsRestart == ["workers"])
        #expect(
            String(decoding: try client.metrics(), as: UTF8.self) == PrometheusText.write(Samples.metrics()))
        #expect(
            server.backend.questions == [
                "jobs failed a b&c=d?.txt 00000000000000ab 100", "lists - - 100", "list ü %2F.txt",
                "job 00000000000000ab", "hosts - 100", "cancel list 4711", "retry job 00000000000000ab",
                "release example.org:8080", "reload",
            ])
    }

    @Test func `a list goes out from memory and from a stream, with and without a length`() throws {
        let server = try RunningServer()
        let client = client(server)
        let block = Array(String(repeating: "https://example.org/file\n", count: 4000).utf8)
        _ = try client.add(name: "bytes.txt", body: .bytes(block))
        for (name, size) in [("sized.txt", Int64(block.count * 30)), ("chunked.txt", nil)] {
            var left = 30
            let body = ControlRequest.Body.stream(size: size) { () throws(TransportError) in
                left -= 1
                return left >= 0 ? block : nil
            }
            #expect(try client.add(name: name, body: body).document.id == 4711)
        }
        let seen = server.backend.seen.withLock { $0 }
        #expect(seen.uploads["bytes.txt"] == block)
        #expect(seen.uploads["sized.txt"]?.count == block.count * 30)
        #expect(seen.uploads["chunked.txt"] == seen.uploads["sized.txt"])
    }

    @Test func `a list that is too large is told so, not a broken pipe`() throws {
        let server = try RunningServer { $0.maximumList = 1_000_000 }
        for size in [Int64(50_000_000), nil] {
            var left = 50
            let body = ControlRequest.Body.stream(size: size) { () throws(TransportError) in
                left -= 1
                return left >= 0 ? [UInt8](repeating: 120, count: 1_000_000) : nil
            }
            do {
                _ = try client(server).add(name: "a.txt", body: body)
                Issue.record("it was taken")
            } catch {
                #expect(error.exit == .failed && error.message.contains("1000000"), "\(error)")
            }
        }
    }

    @Test func `a body that cannot be read ends with 74 and nothing is taken`() throws {
        let server = try RunningServer()
        let body = ControlRequest.Body.stream(size: nil) { () throws(TransportError) in
            throw TransportError(.input, "x: Input/output error")
        }
        #expect(throws: ClientError(.io, "x: Input/output error")) {
            try client(server).add(name: "a.txt", body: body)
        }
        #expect(server.backend.seen.withLock { $0.finished.isEmpty })
    }

    @Test func `what the daemon refuses becomes the exit status that fits`() throws {
        let server = try RunningServer()
        let cases: [(ControlFailure, ClientError.Exit)] = [
            (.notFound("no list 9"), .failed), (.conflict("it has ended"), .failed),
            (.badRequest("no"), .usage),
            (.unavailable("starting"), .unavailable), (.tooLarge("no"), .failed), (.rejected("no"), .failed),
        ]
        for (failure, exit) in cases {
            server.backend.given.withLock { $0.list = .failure(failure) }
            do {
                _ = try client(server).list(.id(ListID(9)))
                Issue.record("not refused")
            } catch {
                #expect(error.exit == exit)
                #expect(error.message == failure.document.error.message)
            }
        }
    }

    @Test func `nobody there is 69, whatever is at the path`() throws {
        let directory = try TempDirectory()
        let file = try directory.file("file", "x")
        for path in [directory.sub("none"), file] {
            do {
                _ = try ControlClient(CurlTransport(socketPath: path)).status()
                Issue.record("an answer from \(path)")
            } catch {
                #expect(error.exit == .unavailable)
                #expect(error.message.contains(path))
                #expect(error.isAbsence)
            }
        }
    }

    @Test func `a daemon that does not answer in time is 69`() throws {
        let server = try RunningServer()
        server.backend.given.withLock { $0.isMute = true }
        let transport = CurlTransport(socketPath: server.socket)
        do {
            _ = try transport.send(ControlRequest("GET", "/v1/jobs", limit: .milliseconds(200)))
            Issue.record("an answer")
        } catch {
            #expect(error.cause == .timeout)
            #expect(ClientError(error).exit == .unavailable)
        }
    }
}

/// Answers from a list of answers, in turn.
private final class TransportDouble: ControlTransport {
    let answers = Guarded<[Result<ControlResponse, TransportError>]>([])
    let asked = Guarded<[String]>([])
    func send(_ request: ControlRequest) throws(TransportError) -> ControlResponse {
        asked.withLock { $0.append(request.target) }
        return try answers.withLock {
            $0.isEmpty ? .failure(TransportError(.broken, "no more")) : $0.removeFirst()
        }.get()
    }
    func answer(_ list: ListDocument) throws {
        let response = ControlResponse(status: 200, body: try ControlAPI.encode(list))
        answers.withLock { $0.append(.success(response)) }
    }
    func fail(_ cause: TransportError.Cause) {
        answers.withLock { $0.append(.failure(TransportError(cause, "gone"))) }
    }
}

@Suite struct WaitTests {
    private let transport = TransportDouble()
    /// Time passes by sleeping only.
    private func follow(
        _ text: String, limit: Duration? = nil, patience: Duration = .seconds(60)
    ) throws -> ListDocument? {
        let clock = Shared(MonotonicTime(nanoseconds: 0))
        let surroundings = ListWait.Surroundings(
            sleep: { pause in clock.update { $0 = $0 + pause } }, now: { clock.value }, progress: { _ in })
        let wait = ListWait(client: ControlClient(transport), surroundings: surroundings, patience: patience)
        return try wait.follow(try #require(ListReference(text)), limit: limit)?.document
    }
    private func list(
        _ state: ListDocument.State, id: Int64? = 12, done: Int = 1, total: Int = 1
    ) -> ListDocument {
        var list = ListDocument()
        list.id = id
        list.name = "hourly.txt"
        list.state = state
        list.done = done
        list.total = total
        return list
    }

    @Test func `a name in the spool is followed to its id and to its end`() throws {
        try transport.answer(list(.spooled, id: nil))
        try transport.answer(list(.admitting))
        try transport.answer(list(.running))
        try transport.answer(list(.closed))
        #expect(try follow("hourly.txt")?.state == .closed)
        #expect(
            transport.asked.withLock { $0 }
                == ["/v1/lists/hourly.txt", "/v1/lists/hourly.txt", "/v1/lists/12", "/v1/lists/12"])
    }

    @Test func `a restart of the daemon is waited out`() throws {
        try transport.answer(list(.running))
        for _ in 0..<10 { transport.fail(.noDaemon) }
        transport.answers.withLock { $0.append(.success(ControlResponse(status: 503, body: []))) }
        try transport.answer(list(.closed))
        #expect(try follow("12")?.state == .closed)
    }

    @Test func `a daemon that was never there is 69 at once, one that stays away after the patience`() throws
    {
        transport.fail(.noDaemon)
        #expect(throws: ClientError.self) { try follow("12") }
        #expect(transport.asked.withLock { $0.count } == 1)
        try transport.answer(list(.running))
        for _ in 0..<1000 { transport.fail(.noDaemon) }
        #expect(throws: ClientError.self) { try follow("12") }
        #expect(transport.asked.withLock { $0.count } < 100)
    }

    @Test func `an unknown list and a lost permission end the wait`() throws {
        try transport.answer(list(.running))
        transport.answers.withLock { $0.append(.success(ControlResponse(status: 404, body: []))) }
        do {
            _ = try follow("12")
            Issue.record("went on")
        } catch let error as ClientError { #expect(error.exit == .failed) }
    }

    @Test func `a limit ends the wait without an answer`() throws {
        for _ in 0..<100 { try transport.answer(list(.running)) }
        #expect(try follow("12", limit: .seconds(5)) == nil)
    }

    @Test func `how a list ended is told in a line`() {
        #expect(WaitView.summary(list(.closed)) == "list 12 hourly.txt: all 1 done")
        #expect(WaitView.isSuccess(list(.closed)))
        var failed = list(.closed, done: 2, total: 5)
        failed.failed = 2
        failed.cancelled = 1
        failed.finalName = "failed/hourly.txt"
        #expect(
            WaitView.summary(failed)
                == "list 12 hourly.txt: 2 failed, 1 cancelled of 5, see failed/hourly.txt.results.jsonl")
        #expect(!WaitView.isSuccess(failed))
        var rejected = list(.rejected, id: nil, done: 0, total: 0)
        rejected.reason = "a .zip is no list"
        #expect(WaitView.summary(rejected) == "list hourly.txt: rejected: a .zip is no list")
        #expect(!WaitView.isSuccess(rejected))
        for columns in [20, 40, 80] {
            #expect(TextWidth.columns(WaitView.progress(Samples.list(), columns: columns)) < columns)
        }
    }
}
