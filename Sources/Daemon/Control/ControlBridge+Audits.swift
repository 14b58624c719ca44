// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import JobModel
import Ledger
import LinuxKit

/// Audits of published files: made and changed by the ledger's thread, shown from the ledger, the one at work from the
/// board.
extension ControlBridge {
    func verify(_ order: AuditOrder, by peer: Peer, reply: ControlReply<AuditDocument>) {
        let ledger = ports.ledger
        let output = outputPath
        resolving(reply) { reader in
            let scope = try Self.scope(order.scope, output: output, reader)
            let options = AuditOptions(
                repairs: order.repair, recordsDigests: order.recordDigests, listsAll: order.listAll)
            ledger.send(
                .audit(.make(scope, options) { row in reply.succeed(AuditDocument(row)) }))
        }
    }

    private static func scope(
        _ given: AuditOrder.Scope, output: String, _ reader: LedgerReader
    ) throws -> AuditScope {
        switch given {
        case .all: return .all
        case .list(let reference):
            guard let row = try find(reference, reader) else {
                throw ControlFailure.notFound("no list \(reference)")
            }
            return .list(row.id)
        case .paths(let paths):
            for path in paths {
                let scope: AuditScope
                do throws(JobError) {
                    scope = try AuditScope.paths([path], output: output)
                } catch {
                    throw ControlFailure.badRequest(error.message)
                }
                let slice = try reader.slice(of: scope, after: nil, limit: 100)
                guard slice.entries.isEmpty, slice.next == nil else { continue }
                throw ControlFailure.notFound(
                    "nothing was published at or below \(Masking.text(path)) "
                        + "(paths are below \(output))")
            }
            do throws(JobError) {
                return try AuditScope.paths(paths, output: output)
            } catch {
                throw ControlFailure.badRequest(error.message)
            }
        }
    }

    func audits(_ query: AuditQuery, reply: ControlReply<PageDocument<AuditDocument>>) {
        let live = board.currentFacts.audits.current
        ask(reply) { reader in
            let page = try reader.audits(after: query.after, limit: query.limit)
            return PageDocument(
                items: page.rows.map { Self.document($0, live) }, next: page.next?.description)
        }
    }

    func audit(_ id: AuditID, reply: ControlReply<AuditDocument>) {
        let live = board.currentFacts.audits.current
        ask(reply) { reader in
            guard let row = try reader.audit(id) else { throw ControlFailure.notFound("no audit \(id)") }
            return Self.document(row, live)
        }
    }

    /// The ledger's word, and of the one at work how fast it is and what it waits for.
    private static func document(_ row: AuditRow, _ live: AuditDocument?) -> AuditDocument {
        var document = AuditDocument(row)
        if let live, live.id == document.id, !document.state.isTerminal {
            document.rate = live.rate
            document.secondsLeft = live.secondsLeft
            document.reason = live.reason
        }
        return document
    }

    func results(
        _ query: AuditResultsQuery, reply: ControlReply<PageDocument<AuditFindingDocument>>
    ) {
        let state = statePath
        ask(reply) { reader in
            guard let row = try reader.audit(query.id) else {
                throw ControlFailure.notFound("no audit \(query.id)")
            }
            do {
                let page = try AuditResults.page(
                    row.id, from: query.after, to: row.resultBytes, limit: query.limit, state: state)
                return PageDocument(items: page.items, next: page.next.map { "\($0)" })
            } catch is DecodingError {
                throw ControlFailure.badRequest("after is what \"next\" of the last page said")
            }
        }
    }

    func act(_ verb: AuditVerb, on id: AuditID, by peer: Peer, reply: ControlReply<ActionDocument>) {
        ports.ledger.send(
            .audit(
                .act(verb, id) { row in
                    guard let row else { return reply.fail(.notFound("no audit \(id)")) }
                    guard !row.state.isTerminal || verb == .cancel && row.state == .cancelled else {
                        return reply.fail(.conflict("audit \(id) is \(row.state.name)"))
                    }
                    reply.succeed(
                        ActionDocument(verb: verb.rawValue, target: "\(id)", changed: 1, complete: true))
                }))
    }
}
