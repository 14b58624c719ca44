// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
public import JobModel

/// What the daemon does for the control socket.
///
/// Every function is called on the one NIO thread and must return at once: the three without a reply read the
/// snapshot in memory, all others hand the question to a thread of the daemon, which answers through the
/// reply
/// whenever it is ready. So nothing outside this module is `async`: where a reply is called, the async world
/// ends.
public protocol ControlBackend: Sendable {
    /// The snapshot. Waits for nobody.
    func status() -> StatusDocument
    func metrics() -> MetricsDocument
    func health() -> HealthDocument

    func lists(_ query: ListQuery, reply: ControlReply<PageDocument<ListDocument>>)
    /// A name means its newest list. Where the ledger knows none, a file of that name in the spool is a
    /// document
    /// of state `spooled`, one in `rejected/` of state `rejected` with its reason; else `.notFound`.
    func list(_ reference: ListReference, reply: ControlReply<ListDocument>)
    func jobs(_ query: JobQuery, reply: ControlReply<PageDocument<JobDocument>>)
    func job(_ id: JobID, reply: ControlReply<JobDocument>)
    func hosts(_ query: HostQuery, reply: ControlReply<PageDocument<HostDocument>>)

    /// Replies once the change is committed (for a large list: begun, `complete` false).
    func act(
        _ verb: ControlVerb, on target: ControlTarget, by peer: Peer, reply: ControlReply<ActionDocument>)
    /// Ends a hold.
    func release(host: HostKey, by peer: Peer, reply: ControlReply<ActionDocument>)
    func reload(by peer: Peer, reply: ControlReply<ReloadDocument>)

    /// An audit of published files is queued; replies after the commit.
    func verify(_ order: AuditOrder, by peer: Peer, reply: ControlReply<AuditDocument>)
    func audits(_ query: AuditQuery, reply: ControlReply<PageDocument<AuditDocument>>)
    func audit(_ id: AuditID, reply: ControlReply<AuditDocument>)
    /// Lines of an audit's results, as far as they are there.
    func results(_ query: AuditResultsQuery, reply: ControlReply<PageDocument<AuditFindingDocument>>)
    func act(_ verb: AuditVerb, on id: AuditID, by peer: Peer, reply: ControlReply<ActionDocument>)

    /// A list is about to arrive. The name decides the format; a name the spool would not take is
    /// `.badRequest`.
    func beginUpload(name: String, by peer: Peer, reply: ControlReply<any ListSink>)
}

/// Where a posted list goes, chunk by chunk: a hidden file in the spool that only becomes a list at `finish`.
///
/// The server sends the next chunk only after the reply to the last, so at most one is in memory. After a
/// failed
/// reply nothing but `abandon` follows. Exactly one of `finish` and `abandon` ends the upload.
public protocol ListSink: Sendable {
    /// - Parameter chunk: at most 64 KiB.
    func write(_ chunk: [UInt8], reply: ControlReply<Void>)
    /// The body is complete: the same checks and durability as in the spool. Replies after the commit.
    func finish(reply: ControlReply<AddedDocument>)
    /// The client went away, sent too much, or an error was replied: remove what was written.
    func abandon()
}

/// Who asks, as far as the kernel tells.
public struct Peer: Sendable, Hashable, CustomStringConvertible {
    /// From SO_PEERCRED at accept; nil where the kernel did not say.
    public let uid: UInt32?
    public let pid: Int32?
    public init(uid: UInt32?, pid: Int32?) {
        self.uid = uid
        self.pid = pid
    }
    /// `uid 1000`, for logs.
    public var description: String { uid.map { "uid \($0)" } ?? "unknown uid" }
}
