// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import SumPool

/// What the audit thread is told. Any thread sends; only `AuditLoop` reads.
enum AuditMessage: Sendable {
    /// An audit as it stands after a commit.
    case row(AuditRow)
    /// Audits that the ledger has forgotten: their results go.
    case forgotten([AuditID])
    case sum(SumEvent)
    case rate(RateTimetable)
    /// Take no further file in hand; what is in hand is finished and stored.
    case drain
    case stop
}

/// What the ledger thread is asked about audits. Each is answered by `AuditMessage.row` after the commit.
enum AuditRequest: Sendable {
    case make(AuditScope, AuditOptions, answer: @Sendable (AuditRow) -> Void)
    /// nil: there is none. An audit that has ended is answered as it is.
    case act(AuditVerb, AuditID, answer: @Sendable (AuditRow?) -> Void)
    case begin(AuditID, filesTotal: Int, bytesTotal: Int64)
    case note(AuditProgress)
    case beginRepair(AuditID)
    case finish(AuditID, list: String?, count: Int)
}

/// Digests of audits and of jobs share the pool. Jobs are numbered from 1, those that fetch lists of digests down from
/// -1: what an audit asks for has a number far below both, so that each answer finds who asked.
enum AuditTicket {
    private static let base: Int64 = -(1 << 62)

    static func seq(_ ticket: Int64) -> JobSeq { JobSeq(base - ticket) }
    /// nil: a job's.
    static func ticket(_ seq: JobSeq) -> Int64? { seq.rawValue < base ? base - seq.rawValue : nil }

    /// Whether an event is about an audit's file.
    static func isAudit(_ event: SumEvent) -> Bool {
        switch event {
        case .digested(let seq, _, _), .found(let seq, _), .failed(let seq, _), .summed(let seq, _, _),
            .pieced(let seq, _, _), .bundled(let seq, _):
            ticket(seq) != nil
        case .state: false
        }
    }
}

/// What audits have come to, for whoever shows it.
struct AuditFacts: Sendable {
    /// The one at work.
    var current: AuditDocument?
    /// Not ended, the one at work with them.
    var open = 0
    /// Since the daemon started.
    var counts = AuditCounts()
    var bytes: Int64 = 0
    var repairs = 0
}
