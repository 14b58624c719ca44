// SPDX-License-Identifier: Apache-2.0

/// Starts of attempts that the ledger is told of a little later, together with what follows: a small file is whole
/// before its start would have been committed, and one change of its row does for both.
///
/// Nobody waits for a start's commit; a crash before it finds the job `queued` and its part without a row. The order of
/// a job's changes stays. A pure value: the caller passes the time in.
public struct DeferredStarts: Sendable {
    /// A start is kept no longer.
    public static let limit = Duration.milliseconds(50)

    private var kept: [JobSeq: JobChange] = [:]
    private var since: MonotonicTime?

    public init() {}

    public var isEmpty: Bool { kept.isEmpty }
    /// When those that are kept are due.
    public var due: MonotonicTime? { since.map { $0 + Self.limit } }

    /// What goes to the ledger now, in order.
    ///
    /// - Parameter mayWait: false where something else goes to the ledger that must find the job started.
    public mutating func sift(_ changes: [JobChange], now: MonotonicTime, mayWait: Bool) -> [JobChange] {
        if !mayWait || due.map({ $0 <= now }) ?? false {
            let starts = kept.values.sorted { $0.seq < $1.seq }
            kept.removeAll(keepingCapacity: true)
            since = nil
            return starts + changes
        }
        var sifted: [JobChange] = []
        sifted.reserveCapacity(changes.count * 2)
        for change in changes {
            if case .active(let seq, _, _) = change {
                if let earlier = kept.updateValue(change, forKey: seq) { sifted.append(earlier) }
                since = since ?? now
            } else {
                if !kept.isEmpty, let start = kept.removeValue(forKey: change.seq) { sifted.append(start) }
                sifted.append(change)
            }
        }
        if kept.isEmpty { since = nil }
        return sifted
    }
}
