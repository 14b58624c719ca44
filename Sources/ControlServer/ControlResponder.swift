// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import HTTPTypes
import HummingbirdCore
import JobModel
import Logging
import NIOCore

/// One request in, one response out. Runs on the NIO thread; everything slow is asked of the backend.
struct ControlResponder: Sendable {
    let backend: any ControlBackend
    let settings: ControlSettings
    let pending: PendingReplies
    let logger: Logger
    /// How long a question may take before the client hears 503.
    private var patience: Duration { settings.patience }

    /// Thrown to make Hummingbird close the connection after a response to a body that was not read to its
    /// end.
    private struct BodyLeftUnread: Error {}

    func respond(to request: Request, writer: consuming ResponseWriter, channel: any Channel) async throws {
        var body = BodyReader(request)
        var response: Response
        do {
            let route = try ControlRoute.parse(
                method: request.method.rawValue, target: request.head.path ?? "")
            if case .upload(let name) = route {
                try body.expectLength(atMost: settings.maximumList)
                if request.headers[.expect]?.lowercased() == "100-continue" {
                    try await writer.writeInformationalHead(HTTPResponse(status: .continue))
                }
                response = try await upload(name: name, body: &body, channel: channel)
            } else if case .verify = route {
                response = try await verify(
                    try await body.collect(atMost: ControlAPI.maximumBody), channel: channel)
            } else {
                try await body.skip(atMost: ControlAPI.maximumBody)
                response = try await answer(route, channel: channel)
            }
        } catch let failure as ControlFailure {
            if body.endsSoon { await body.drain() }
            response = Self.response(failure)
        }
        let wasWhole = body.isAtEnd
        if !wasWhole { response.headers[.connection] = "close" }
        if request.method == .head { response = response.createHeadResponse() }
        try await writer.write(response: response.head, body: response.body)
        guard wasWhole else {
            // The answer is out: a client that reads it stops sending.
            await body.drain()
            throw BodyLeftUnread()
        }
    }

    private func answer(_ route: ControlRoute, channel: any Channel) async throws -> Response {
        let loop = channel.eventLoop
        switch route {
        case .status: return try Self.json(backend.status())
        case .metrics: return Self.metrics(PrometheusText.write(backend.metrics()))
        case .health:
            let health = backend.health()
            return try Self.json(health, status: health.healthy ? .ok : .serviceUnavailable)
        case .lists(let query):
            return try Self.json(
                try await ask(on: loop, within: patience) { backend.lists(query, reply: $0) })
        case .list(let reference):
            return try Self.json(
                try await ask(on: loop, within: patience) { backend.list(reference, reply: $0) })
        case .jobs(let query):
            return try Self.json(try await ask(on: loop, within: patience) { backend.jobs(query, reply: $0) })
        case .job(let id):
            return try Self.json(try await ask(on: loop, within: patience) { backend.job(id, reply: $0) })
        case .hosts(let query):
            return try Self.json(
                try await ask(on: loop, within: patience) { backend.hosts(query, reply: $0) })
        case .audits(let query):
            return try Self.json(
                try await ask(on: loop, within: patience) { backend.audits(query, reply: $0) })
        case .audit(let id):
            return try Self.json(try await ask(on: loop, within: patience) { backend.audit(id, reply: $0) })
        case .results(let query):
            return try Self.json(
                try await ask(on: loop, within: patience) { backend.results(query, reply: $0) })
        case .act, .release, .reload, .actOnAudit:
            return try await change(route, peer: await peer(of: channel), loop: loop)
        case .upload, .verify:
            preconditionFailure("uploads are answered where their body is read")
        }
    }

    /// What changes something is logged with who asked.
    private func change(_ route: ControlRoute, peer: Peer, loop: any EventLoop) async throws -> Response {
        switch route {
        case .act(let verb, let target):
            note(verb.rawValue, target.description, peer)
            return try Self.json(
                try await ask(on: loop, within: patience) {
                    backend.act(verb, on: target, by: peer, reply: $0)
                })
        case .actOnAudit(let verb, let id):
            note(verb.rawValue, "audit \(id)", peer)
            return try Self.json(
                try await ask(on: loop, within: patience) {
                    backend.act(verb, on: id, by: peer, reply: $0)
                })
        case .release(let host):
            note("release", host.rawValue, peer)
            return try Self.json(
                try await ask(on: loop, within: patience) { backend.release(host: host, by: peer, reply: $0) }
            )
        default:
            note("reload", "configuration", peer)
            return try Self.json(
                try await ask(on: loop, within: patience) { backend.reload(by: peer, reply: $0) })
        }
    }

    /// An order in JSON, answered with 201 and the audit.
    private func verify(_ body: [UInt8], channel: any Channel) async throws -> Response {
        let order: AuditOrder
        do {
            order = try ControlAPI.decode(AuditOrder.self, from: body)
        } catch let fault as AuditOrder.Fault {
            throw ControlFailure.badRequest(fault.message)
        } catch {
            throw ControlFailure.badRequest(
                "the body is a JSON object with one of all, list and paths")
        }
        let peer = await peer(of: channel)
        let document = try await ask(on: channel.eventLoop, within: patience) {
            backend.verify(order, by: peer, reply: $0)
        }
        note("verify", "audit \(document.id)", peer)
        return try Self.json(document, status: .created)
    }

    private func note(_ verb: String, _ target: String, _ peer: Peer) {
        logger.info(
            "control request",
            metadata: ["verb": "\(verb)", "target": "\(Masking.text(target))", "peer": "\(peer)"])
    }

    /// The body of a posted list, one chunk at a time: the next is read when the last is written.
    private func upload(name: String, body: inout BodyReader, channel: any Channel) async throws -> Response {
        let loop = channel.eventLoop
        let peer = await peer(of: channel)
        note("add", name, peer)
        let sink = try await ask(on: loop, within: patience) {
            backend.beginUpload(name: name, by: peer, reply: $0)
        }
        var isEnded = false
        defer { if !isEnded { sink.abandon() } }
        while var buffer = try await body.next() {
            if let limit = settings.maximumList, body.received > limit {
                throw ControlFailure.listTooLarge(limit)
            }
            while let chunk = buffer.readBytes(length: min(buffer.readableBytes, ControlAPI.maximumBody)),
                !chunk.isEmpty
            {
                try await ask(on: loop, within: patience) { sink.write(chunk, reply: $0) }
            }
        }
        guard body.received > 0 else {
            throw ControlFailure.badRequest("the body is empty: it should be a list")
        }
        isEnded = true
        // The commit may stand behind a large admission batch, and fsync behind other writers.
        let added = try await ask(on: loop, within: patience * 4) { sink.finish(reply: $0) }
        return try Self.json(added, status: .created)
    }
}

extension ControlFailure {
    static func listTooLarge(_ limit: Int64) -> Self {
        .tooLarge("a list may have at most \(limit) bytes (limits.max_list_size)")
    }
}
