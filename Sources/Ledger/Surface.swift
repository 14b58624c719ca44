// SPDX-License-Identifier: Apache-2.0

public import JobModel
internal import GRDB

public final class LedgerStore {
    public let identity: String = ""
    public let cipher = JobIDCipher(key: 0)
    public static func open(path: String, durability: LedgerDurability, programVersion: String) throws(LedgerError)
        -> LedgerStore
    { fatalError() }
    public func group<T>(_ body: () throws(LedgerError) -> T) throws(LedgerError) -> T { fatalError() }
    public func begin(_ file: ListFile, now: WallTime, acceptedName: (ListID) -> String) throws(LedgerError)
        -> ListRow
    { fatalError() }
    public func begin(_ file: ListFile, now: WallTime) throws(LedgerError) -> ListRow { fatalError() }
    public func setAcceptedName(_ list: ListID, _ name: String) throws(LedgerError) { fatalError() }
    public func admit(_ batch: AdmissionBatch, now: WallTime) throws(LedgerError) -> AdmitResult { fatalError() }
    public func finishAdmission(_ list: ListID, position: ListPosition) throws(LedgerError) -> ListRow {
        fatalError()
    }
    public func reject(_ list: ListID, reason: String, now: WallTime) throws(LedgerError) { fatalError() }
    public func removeSlice(list: ListID, limit: Int) throws(LedgerError) -> Slice { fatalError() }
    public func openLists() throws(LedgerError) -> [ListRow] { fatalError() }
    public func list(_ id: ListID) throws(LedgerError) -> ListRow? { fatalError() }
    public var nextSeq: JobSeq { fatalError() }

    public func lanes(of list: ListID, after: HostID?, limit: Int, now: WallTime) throws(LedgerError) -> [LaneRow] {
        fatalError()
    }
    public func queued(in lane: LaneKey, after: LaneCursor, limit: Int) throws(LedgerError) -> [QueuedJob] {
        fatalError()
    }
    public func claim(_ seq: JobSeq, path: OutputPath, url: String) throws(LedgerError) -> PathClaim { fatalError() }
    @discardableResult
    public func apply(_ changes: [JobChange], now: WallTime) throws(LedgerError) -> [JobSeq] { fatalError() }
    public func releaseDue(now: WallTime, limit: Int) throws(LedgerError) -> [LaneKey] { fatalError() }
    public func nextDue() throws(LedgerError) -> WallTime? { fatalError() }
    public func hold(host: HostID, until: WallTime?, reason: String?) throws(LedgerError) { fatalError() }
    public func nextHoldEnd(after now: WallTime) throws(LedgerError) -> WallTime? { fatalError() }
    public func nextSuffix(for path: OutputPath) throws(LedgerError) -> Int { fatalError() }

    public func seq(of id: JobID) throws(LedgerError) -> JobSeq? { fatalError() }
    public func cancel(_ seq: JobSeq, now: WallTime) throws(LedgerError) -> JobVerdict { fatalError() }
    public func pause(_ seq: JobSeq, now: WallTime) throws(LedgerError) -> JobVerdict { fatalError() }
    public func resume(_ seq: JobSeq, now: WallTime) throws(LedgerError) -> JobVerdict { fatalError() }
    public func retry(_ seq: JobSeq, now: WallTime) throws(LedgerError) -> JobVerdict { fatalError() }
    public func set(list: ListID, paused: Bool) throws(LedgerError) { fatalError() }
    public func cancelSlice(list: ListID, limit: Int, now: WallTime) throws(LedgerError) -> Slice { fatalError() }
    public func pauseSlice(list: ListID, limit: Int, now: WallTime) throws(LedgerError) -> Slice { fatalError() }
    public func resumeSlice(list: ListID, limit: Int, now: WallTime) throws(LedgerError) -> Slice { fatalError() }
    public func retrySlice(list: ListID, after: JobSeq?, limit: Int, now: WallTime) throws(LedgerError) -> (
        slice: Slice, next: JobSeq?
    ) { fatalError() }

    public func endedLists() throws(LedgerError) -> [ListRow] { fatalError() }
    public func results(of list: ListID, after: JobSeq?, limit: Int) throws(LedgerError) -> (
        records: [ResultRecord], next: JobSeq?
    ) { fatalError() }
    public func close(_ list: ListID, finalName: String, now: WallTime) throws(LedgerError) { fatalError() }
    public func takeChangedLists() throws(LedgerError) -> [ListRow] { fatalError() }
    public func takeChangedHosts() throws(LedgerError) -> [HostRow] { fatalError() }
    public func totals() throws(LedgerError) -> StateCounts { fatalError() }
    public func recover(now: WallTime) throws(LedgerError) -> Recovery { fatalError() }
    public func checkpoint() throws(LedgerError) { fatalError() }
    public func close() throws(LedgerError) { fatalError() }
    public func audit() throws(LedgerError) -> [String] { fatalError() }
}

public final class LedgerReader {
    public static func open(path: String, cipher: JobIDCipher) throws(LedgerError) -> LedgerReader { fatalError() }
    public func lists(after: ListID?, limit: Int, state: ListState?) throws(LedgerError) -> (
        rows: [ListRow], next: ListID?
    ) { fatalError() }
    public func list(_ id: ListID) throws(LedgerError) -> ListRow? { fatalError() }
    public func list(newestNamed name: String) throws(LedgerError) -> ListRow? { fatalError() }
    public func jobs(state: JobState?, list: ListID?, after: JobSeq?, limit: Int) throws(LedgerError) -> (
        rows: [JobRow], next: JobSeq?
    ) { fatalError() }
    public func job(_ id: JobID) throws(LedgerError) -> JobRow? { fatalError() }
    public func hosts(after: HostID?, limit: Int) throws(LedgerError) -> (rows: [HostRow], next: HostID?) {
        fatalError()
    }
    public func host(_ key: HostKey) throws(LedgerError) -> HostRow? { fatalError() }
    public func totals() throws(LedgerError) -> StateCounts { fatalError() }
    public func close() throws(LedgerError) { fatalError() }
}
