// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import ControlServer
import JobModel
import Ledger
import LinuxKit
import Logging
import Spool
import Synchronization

/// The daemon's side of the control socket. Called on the NIO thread, returns at once: status from the board,
/// questions to the ledger's reader, wishes to the dispatcher, lists to the spool.
final class ControlBridge: ControlBackend {
    struct Ports: Sendable {
        let dispatch: Mailbox<DispatchMessage>
        let ledger: Mailbox<LedgerRequest>
        let reads: Mailbox<ReadLoop.Message>
        let spool: Mailbox<SpoolMessage>
        let reload: @Sendable (ControlReply<ReloadDocument>) -> Void
        let logger: Logger
    }
    let board: StatusBoard
    let ports: Ports
    let cipher: JobIDCipher
    let spoolPath: String
    let outputPath: String
    let statePath: String
    let identity: DaemonIdentity
    private let uploads = Uploads()

    init(
        board: StatusBoard, ports: Ports, cipher: JobIDCipher, spoolPath: String, outputPath: String,
        statePath: String, identity: DaemonIdentity
    ) {
        self.board = board
        self.ports = ports
        self.cipher = cipher
        self.spoolPath = spoolPath
        self.outputPath = outputPath
        self.statePath = statePath
        self.identity = identity
    }

    func status() -> StatusDocument { identity.completed(board.read().status, facts: board.currentFacts) }

    func metrics() -> MetricsDocument {
        var metrics = board.read().metrics
        metrics.version = identity.version
        metrics.startedAt = identity.startedAt
        metrics.isConfigStale = board.currentFacts.config.state == .stale
        metrics.residentBytes = ProcessFacts.residentMemory() ?? 0
        let audits = board.currentFacts.audits
        metrics.verifiedFiles = audits.counts
        metrics.verifiedBytes = audits.bytes
        metrics.verifyRepairs = audits.repairs
        metrics.openAudits = audits.open
        return metrics
    }

    func health() -> HealthDocument {
        let status = status()
        var problems: [String] = []
        for beat in board.currentFacts.heartbeats where beat.age > .seconds(30) && beat.call == nil {
            problems.append("\(beat.name) has not moved for \(Int(beat.age.secondsDouble)) s")
        }
        if let reason = status.pauseReason { problems.append(reason) }
        for why in status.disks.compactMap(\.paused) where !problems.contains(why) { problems.append(why) }
        return HealthDocument(
            healthy: problems.isEmpty, state: status.state, version: identity.version, problems: problems)
    }

    func act(
        _ verb: ControlVerb, on target: ControlTarget, by peer: Peer, reply: ControlReply<ActionDocument>
    ) {
        guard let wish = ControlCommand.Verb(rawValue: verb.rawValue) else { return }
        let cipher = cipher
        let dispatch = ports.dispatch
        resolve(target, reply) { resolved in
            let name: String
            switch resolved {
            case .job(let seq, _): name = cipher.id(of: seq).description
            case .list(let id): name = id.description
            case .host(let host): name = host.rawValue
            }
            dispatch.send(
                .command(
                    ControlCommand(verb: wish, target: resolved) { result in
                        switch result {
                        case .success(let changed):
                            reply.succeed(
                                ActionDocument(
                                    verb: verb.rawValue, target: name, changed: changed, complete: true))
                        case .failure(let error): reply.fail(.conflict(error.message))
                        }
                    }))
        }
    }

    func release(host: HostKey, by peer: Peer, reply: ControlReply<ActionDocument>) {
        ports.dispatch.send(
            .command(
                ControlCommand(verb: .resume, target: .host(host)) { result in
                    guard case .success(1...) = result else {
                        return reply.fail(.notFound("no host \(host) is known just now"))
                    }
                    reply.succeed(
                        ActionDocument(verb: "release", target: host.rawValue, changed: 1, complete: true))
                }))
    }

    func reload(by peer: Peer, reply: ControlReply<ReloadDocument>) {
        ports.reload(reply)
    }

    func beginUpload(name: String, by peer: Peer, reply: ControlReply<any ListSink>) {
        let (sink, file) = uploads.begin(name: name, in: spoolPath, reads: ports.reads, spool: ports.spool)
        ports.reads.send(
            .ask { _ in
                do {
                    try file.create()
                    reply.succeed(sink)
                } catch {
                    reply.fail(.unavailable("\(error)"))
                }
            })
    }

    /// The spool's answer to a posted list.
    func added(ticket: UInt64, _ result: Result<ListID, JobError>) { uploads.added(ticket: ticket, result) }

    /// Runs a question on the reader's thread.
    func ask<Value: Sendable>(
        _ reply: ControlReply<Value>, _ question: @escaping @Sendable (LedgerReader) throws -> Value
    ) {
        ports.reads.send(
            .ask { reader in
                do {
                    reply.succeed(try question(try reader.get()))
                } catch let failure as ControlFailure {
                    reply.fail(failure)
                } catch {
                    reply.fail(.unavailable("\(error)"))
                }
            })
    }

    /// Names and ids from outside become the ledger's numbers, on the reader's thread.
    private func resolve<Value: Sendable>(
        _ target: ControlTarget, _ reply: ControlReply<Value>,
        _ then: @escaping @Sendable (ControlCommand.Target) -> Void
    ) {
        resolving(reply) { reader in
            switch target {
            case .job(let id):
                guard let row = try reader.job(id) else { throw ControlFailure.notFound("no job \(id)") }
                let host = try reader.host(row.host)?.id
                then(.job(row.record.seq, host.map { LaneKey(list: row.record.list, host: $0) }))
            case .list(let reference):
                guard let list = try Self.find(reference, reader) else {
                    throw ControlFailure.notFound("no list \(reference)")
                }
                then(.list(list.id))
            }
        }
    }

    /// The same where the answer is another thread's: what goes wrong before is answered here.
    func resolving<Value: Sendable>(
        _ reply: ControlReply<Value>, _ body: @escaping @Sendable (LedgerReader) throws -> Void
    ) {
        ports.reads.send(
            .ask { reader in
                do { try body(try reader.get()) } catch let failure as ControlFailure {
                    reply.fail(failure)
                } catch {
                    reply.fail(.unavailable("\(error)"))
                }
            })
    }

    static func find(_ reference: ListReference, _ reader: LedgerReader) throws -> ListRow? {
        switch reference {
        case .id(let id): try reader.list(id)
        case .name(let name): try reader.list(newestNamed: name)
        }
    }
}

/// Facts of this process that the dispatcher does not know.
struct DaemonIdentity: Sendable {
    let version: String
    let pid: Int32
    let startedAt: WallTime
    let started: MonotonicTime

    /// The snapshot as clients see it.
    func completed(_ snapshot: StatusDocument, facts: StatusBoard.Facts) -> StatusDocument {
        var status = snapshot
        status.version = version
        status.pid = pid
        status.startedAt = Timestamp(startedAt)
        let now = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
        status.uptimeSeconds = (now - started).secondsDouble
        status.config = facts.config
        status.memory.rssBytes = ProcessFacts.residentMemory() ?? 0
        status.audit = facts.audits.current
        status.auditsTotal = facts.audits.open
        if let audit = status.audit, status.state == .idle {
            status.verdict += ", audit \(audit.id) under way"
        }
        var known = Set(status.workers.map(\.name))
        for beat in facts.heartbeats {
            if let index = status.workers.firstIndex(where: { $0.name == beat.name }) {
                status.workers[index].heartbeatAgeSeconds = beat.age.secondsDouble
                status.workers[index].blockedCall = beat.call
            } else if known.insert(beat.name).inserted {
                var worker = WorkerStatus()
                worker.name = beat.name
                worker.heartbeatAgeSeconds = beat.age.secondsDouble
                worker.blockedCall = beat.call
                status.workers.append(worker)
            }
        }
        return status
    }
}
