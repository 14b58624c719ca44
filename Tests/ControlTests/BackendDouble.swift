// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import JobModel
import LinuxKit
import Locking
import Logging
import TestKit

/// A daemon that answers from what it was given and remembers what it was asked. Replies come from another
/// thread,
/// as in the daemon.
final class BackendDouble: ControlBackend {
    struct Given: Sendable {
        var status = Samples.idle()
        var health = HealthDocument(healthy: true, state: .idle, version: "0.1.0", problems: [])
        var list: Result<ListDocument, ControlFailure> = .success(Samples.list())
        var uploadFailure: ControlFailure?
        /// Questions are kept, not answered.
        var isMute = false
        /// What `finish` answers.
        var finish: Result<AddedDocument, ControlFailure> = .success(
            AddedDocument(id: 4711, name: "posted.txt"))
    }
    struct Seen: Sendable {
        var questions: [String] = []
        var uploads: [String: [UInt8]] = [:]
        var largestChunk = 0
        var finished: [String] = []
        var abandoned: [String] = []
        var peers: [Peer] = []
        var kept: [any Sendable] = []
    }
    let given = Guarded(Given())
    let seen = Guarded(Seen())

    func note(_ question: String) { seen.withLock { $0.questions.append(question) } }
    var questions: [String] { seen.withLock { $0.questions } }

    /// From a thread of its own.
    func later<Value: Sendable>(_ reply: ControlReply<Value>, _ result: Result<Value, ControlFailure>) {
        if given.withLock({ $0.isMute }) {
            seen.withLock { $0.kept.append(reply) }
            return
        }
        _ = WorkerThread(name: "test-reply") { reply.answer(result) }
    }

    func status() -> StatusDocument { given.withLock { $0.status } }
    func metrics() -> MetricsDocument { Samples.metrics() }
    func health() -> HealthDocument { given.withLock { $0.health } }

    func lists(_ query: ListQuery, reply: ControlReply<PageDocument<ListDocument>>) {
        note("lists \(query.state?.rawValue ?? "-") \(query.after?.description ?? "-") \(query.limit)")
        later(reply, .success(PageDocument(items: [Samples.list()], next: "12")))
    }
    func list(_ reference: ListReference, reply: ControlReply<ListDocument>) {
        note("list \(reference)")
        later(reply, given.withLock { $0.list })
    }
    func jobs(_ query: JobQuery, reply: ControlReply<PageDocument<JobDocument>>) {
        let after = query.after?.description ?? "-"
        note("jobs \(query.state?.name ?? "-") \(query.list?.description ?? "-") \(after) \(query.limit)")
        later(reply, .success(PageDocument(items: [Samples.download(), Samples.sum()], next: nil)))
    }
    func job(_ id: JobID, reply: ControlReply<JobDocument>) {
        note("job \(id)")
        later(reply, .success(Samples.download()))
    }
    func hosts(_ query: HostQuery, reply: ControlReply<PageDocument<HostDocument>>) {
        note("hosts \(query.after?.rawValue ?? "-") \(query.limit)")
        later(reply, .success(PageDocument(items: [Samples.heldHost()], next: nil)))
    }
    func act(
        _ verb: ControlVerb, on target: ControlTarget, by peer: Peer, reply: ControlReply<ActionDocument>
    ) {
        note("\(verb.rawValue) \(target)")
        seen.withLock { $0.peers.append(peer) }
        later(
            reply,
            .success(
                ActionDocument(verb: verb.rawValue, target: target.description, changed: 3, complete: true)))
    }
    func release(host: HostKey, by peer: Peer, reply: ControlReply<ActionDocument>) {
        note("release \(host)")
        later(
            reply,
            .success(ActionDocument(verb: "release", target: host.rawValue, changed: 0, complete: true)))
    }
    func reload(by peer: Peer, reply: ControlReply<ReloadDocument>) {
        note("reload")
        later(reply, .success(ReloadDocument(warnings: [], needsRestart: ["workers"])))
    }
    func verify(_ order: AuditOrder, by peer: Peer, reply: ControlReply<AuditDocument>) {
        note("verify \(order.scope) \(order.repair) \(order.recordDigests) \(order.listAll)")
        later(reply, .success(Samples.audit()))
    }
    func audits(_ query: AuditQuery, reply: ControlReply<PageDocument<AuditDocument>>) {
        note("audits \(query.after?.description ?? "-") \(query.limit)")
        later(reply, .success(PageDocument(items: [Samples.audit()], next: nil)))
    }
    func audit(_ id: AuditID, reply: ControlReply<AuditDocument>) {
        note("audit \(id)")
        later(reply, .success(Samples.audit()))
    }
    func results(
        _ query: AuditResultsQuery, reply: ControlReply<PageDocument<AuditFindingDocument>>
    ) {
        note("results \(query.id) \(query.after) \(query.limit)")
        later(reply, .success(PageDocument(items: [Samples.finding()], next: "250")))
    }
    func act(_ verb: AuditVerb, on id: AuditID, by peer: Peer, reply: ControlReply<ActionDocument>) {
        note("\(verb.rawValue) audit \(id)")
        later(
            reply,
            .success(ActionDocument(verb: verb.rawValue, target: "\(id)", changed: 1, complete: true)))
    }
    func beginUpload(name: String, by peer: Peer, reply: ControlReply<any ListSink>) {
        note("upload \(name)")
        if let failure = given.withLock({ $0.uploadFailure }) { return later(reply, .failure(failure)) }
        later(reply, .success(SinkDouble(backend: self, name: name)))
    }
}

/// Gathers a posted list in memory.
final class SinkDouble: ListSink {
    let backend: BackendDouble
    let name: String
    init(backend: BackendDouble, name: String) {
        self.backend = backend
        self.name = name
    }
    func write(_ chunk: [UInt8], reply: ControlReply<Void>) {
        backend.seen.withLock {
            $0.uploads[name, default: []] += chunk
            $0.largestChunk = max($0.largestChunk, chunk.count)
        }
        backend.later(reply, .success(()))
    }
    func finish(reply: ControlReply<AddedDocument>) {
        backend.seen.withLock { $0.finished.append(name) }
        backend.later(reply, backend.given.withLock { $0.finish })
    }
    func abandon() { backend.seen.withLock { $0.abandoned.append(name) } }
}

/// A server on a socket in a directory of its own; stopped with its last reference.
final class RunningServer: Sendable {
    let directory: TempDirectory
    let socket: String
    let backend = BackendDouble()
    private let server: ControlServer
    private let isStopped = Shared(false)

    init(_ change: (inout ControlSettings) -> Void = { _ in }) throws {
        directory = try TempDirectory()
        socket = directory.sub("control.sock")
        var settings = ControlSettings(socketPath: socket)
        change(&settings)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        server = try ControlServer.start(settings: settings, backend: backend, logger: logger)
    }
    deinit { stop(within: .seconds(1)) }

    func stop(within limit: Duration) {
        if !isStopped.value { server.stop(within: limit) }
        isStopped.update { $0 = true }
    }
    var connectionCount: Int { server.connectionCount }

    func get(_ target: String) throws -> UnixHTTP.Answer { try UnixHTTP.get(socket, target) }
    func request(_ method: String, _ target: String, body: String? = nil) throws -> UnixHTTP.Answer {
        try UnixHTTP.request(socket, method, target, body: body)
    }
}

/// A value that threads share.
final class Shared<Value: Sendable>: Sendable {
    private let box: Guarded<Value>
    init(_ value: Value) { box = Guarded(value) }
    var value: Value { box.withLock { $0 } }
    func update(_ change: (inout Value) -> Void) { box.withLock { change(&$0) } }
}
