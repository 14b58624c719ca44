// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// What the spool asks of the ledger, through the daemon. Each is answered by exactly one `SpoolMessage`.
public enum SpoolRequest: Sendable {
    /// Make a row in state `admitting`, before the file is moved; answered by `begun`.
    case begin(ListFile)
    /// Answered by `admitted`. At most two are unanswered over all lists.
    case admit(AdmissionBatch)
    /// Every entry is in; answered by `finished`.
    case finish(ListID, ListPosition)
    /// The list held no good entry; answered by `rejected`.
    case reject(ListID, reason: String)
    /// Results of a list in the order of its lines; answered by `page`.
    case page(ListID, after: JobSeq?, limit: Int)
    /// Results are on disk and the list file lies beside them; answered by `closed`.
    case close(ListID, finalName: String)
    /// Lines of a list of digests; answered by `digestsTaken`. At most two are unanswered.
    case digests(DigestBatch)
    /// Lists that ended before then, a page of them after that one; answered by `expired`.
    case expired(before: WallTime, after: ListRow?, limit: Int)
    /// The list's files are gone: its rows go. Answered by `forgotten` once the last has gone.
    case forget(ListID)
}

/// What the spool is told.
public enum SpoolMessage: Sendable {
    /// First at a start: the lists that are still admitting or running.
    case recover([ListRow])
    case begun(ListFile, Result<ListRow, JobError>)
    /// A batch is committed; the position it reached.
    case admitted(ListID, ListPosition)
    case finished(ListRow)
    case rejected(ListID)
    /// `next` is nil with the last page.
    case page(ListID, [ResultRecord], next: JobSeq?)
    case closed(ListID)
    /// All jobs of the list are terminal: write its results. Sent once a list and start.
    case listEnded(ListRow)
    /// A list from the control socket. `path` is a complete, fsynced dot-file in the spool directory itself, so that
    /// it is moved like any other; `name` is what the list is called and decides the format.
    case add(path: String, name: String, ticket: UInt64)
    /// A list of digests is there to be read; `SpoolEvent.digestsRead` tells its end.
    case readDigests(DigestReading)
    case digestsTaken(DigestListID)
    /// A page of lists that are old enough to go, the oldest first.
    case expired([ListRow])
    /// Nothing of the list is left in the ledger; nil: it had not ended, and stays. Also of a removal that an earlier run
    /// began.
    case forgotten(ListID, ListRow?)
    case settings(SpoolSettings)
    case rescan
    case stop
}

/// How loud a remark is.
public enum SpoolLevel: String, Sendable {
    case note, warning, error
}

/// What the spool tells the daemon. Called on `dld-spool`; the closure must not block.
public enum SpoolEvent: Sendable {
    /// The list has a row in the ledger and its file lies in `accepted/`.
    case accepted(ListID, name: String)
    /// Answer to `add`.
    case added(ticket: UInt64, Result<ListID, JobError>)
    /// The file lies in `rejected/` beside its reason.
    case rejected(name: String, reason: String)
    /// Results are written and committed; `folder` is `done` or `failed`.
    case closed(ListID, folder: String)
    /// It ended so long ago that its files and its rows have gone (`retention.lists`).
    case removed(ListRow)
    /// Something the user of that list, or the operator, should know. Texts are escaped and masked.
    case remark(level: SpoolLevel, message: String, list: ListID?, file: String, line: Int?)
    /// All its lines are in the ledger, so many were good; or why not.
    case digestsRead(DigestListID, Result<Int, JobError>)
    /// true: a full scan found nothing left to admit, and nothing is being admitted.
    case idle(Bool)
}
