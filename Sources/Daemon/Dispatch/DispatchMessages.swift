// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Publish
import SumPool
import Transfer

/// Everything the dispatcher is told. Any thread sends; only `DispatchLoop` reads.
///
/// Messages are moved from array to array: what is large, and not in every job's way, lies in a box.
enum DispatchMessage: Sendable {
    case ledger(LedgerReply)
    case transfer([TransferEvent])
    case publish([PublishEvent])
    indirect case sum(SumEvent)
    indirect case command(ControlCommand)
    indirect case plan(DispatchPlan)
    /// What the watch thread found out about the file systems.
    indirect case disks(DiskReport)
    /// The spool has nothing left to admit (`dld once` ends on it), or has again.
    case spoolIdle(Bool)
    /// A list of digests is in the ledger, with so many good lines, or why not.
    case digestsRead(DigestListID, Result<Int, JobError>)
    /// What the resolver said of a name that libcurl could not get, and when it was asked.
    case nameAsked(NetworkFacts.NameAnswer, at: MonotonicTime)
    /// Start nothing more; let what runs go on until then.
    case drain(until: MonotonicTime)
    /// Stop transfers now, parts kept; what is being published gets this long.
    case stop(within: Duration)
}

/// A wish from the control socket about jobs or lists, with the place its answer goes to.
struct ControlCommand: Sendable {
    enum Verb: String, Sendable { case cancel, pause, resume, retry }
    enum Target: Sendable {
        case job(JobSeq, LaneKey?)
        case list(ListID)
        /// `dlctl host H release`.
        case host(HostKey)
    }
    let verb: Verb
    let target: Target
    /// Called once, from any thread: how many jobs it touched, or why not.
    let answer: @Sendable (Result<Int, JobError>) -> Void
}

/// What the ledger thread is asked by the dispatcher, in order.
enum LedgerRequest: Sendable {
    case lanes(ListID, after: HostID?, limit: Int, includesHeld: Bool)
    case jobs(LaneKey, generation: Int, after: LaneCursor, limit: Int)
    /// Answered by `committed` with the same ticket once the changes are durable.
    case apply([JobChange], ticket: UInt64)
    case suffix(JobSeq, OutputPath)
    /// A claim of the path that the server's own name for the file leads to.
    case name(JobSeq, OutputPath, url: String)
    case hold(HostKey, until: WallTime?, reason: String?)
    /// How long the host has given nothing usable while jobs waited for it.
    case barren(HostKey, Duration)
    /// All of the host's queued and waiting jobs fail, a slice a turn. Answered by `gaveUp`.
    case giveUp(HostKey, JobError)
    /// The host's waiting jobs are queued at once.
    case hurry(HostKey)
    case releaseDue
    /// Forgets some of the parts that failed jobs left before then; answered by `expired`.
    case expireParts(endedBefore: WallTime)
    case rangeConduct(HostKey, lies: Bool)
    /// The digests of a job's pieces; answered by `pieces`.
    case pieces(JobSeq)
    /// They are needed no more.
    case dropPieces(JobSeq)
    case command(ControlCommand)
    case audit(AuditRequest)
    case stop
}

/// What the ledger thread answers or reports.
enum LedgerReply: Sendable {
    case lanes(ListID, [LaneRow], isLast: Bool)
    case jobs(LaneKey, generation: Int, [LaneBoard.Entry], isLast: Bool)
    case committed(ticket: UInt64)
    /// Changes of these jobs were dropped: they have ended in the ledger.
    case ignored([JobSeq])
    case suffix(JobSeq, Int)
    indirect case named(JobSeq, PathClaim)
    /// Lanes that got due jobs back, and when the next one is due.
    case due([LaneKey], next: WallTime?)
    /// Parts to be removed; not `isLast`: there are more.
    case expired([ExpiredPart], isLast: Bool)
    /// Jobs of this list were admitted, resumed or put back; `lowestRank` and `lanes`: of admitted ones, nil where unknown.
    case woke(ListID, lowestRank: Int?, lanes: [LaneKey]? = nil)
    /// Rows of these lanes changed under the read-ahead.
    case reread([LaneKey])
    /// The list that these jobs fetch lists of digests for was paused or resumed.
    case errands([(seq: JobSeq, lane: LaneKey)], ControlCommand.Verb)
    case lists([ListRow])
    case hosts([HostKey: StateCounts])
    /// So many jobs of the host have failed; the last slice of it where `isComplete`.
    case gaveUp(HostKey, failed: Int, isComplete: Bool)
    /// What a list's lists of digests named in vain, as it is closed.
    case digestNotes(ListID, [String])
    /// nil: there are none.
    case pieces(JobSeq, PieceHashes?)
    /// The ledger cannot commit (full disk, a lock from outside): why, or nil when it can again.
    case trouble(String?)
    /// Somebody reads the ledger for so long that its write-ahead log cannot be written home: what waits meanwhile.
    case longLog(LogBound.Hold)
}
