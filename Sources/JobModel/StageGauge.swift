// SPDX-License-Identifier: Apache-2.0

/// How many orders a worker may have in hand for a host beyond the transfers that run there ("staged"), so that its
/// connections do not idle from one small file to the next. Pure.
///
/// They own nothing of the host's allowance: each takes the place of a transfer that has ended well. Only where
/// transfers are short, for what is staged with one worker no other can take.
public struct StageGauge: Sendable, Hashable {
    /// What is staged should begin within about this, nanoseconds; hosts whose transfers are longer have none.
    static let horizon: Int64 = 8_000_000
    static let mostPerTransfer = 8
    /// Transfers of a host at a worker, under way or staged: where so many run there is always one at work while the
    /// dispatcher is asked.
    static let mostAtHand = 32
    /// An order that has waited for so long is taken back: what it waits behind turned out to be long.
    public static let patience = Duration.milliseconds(200)
    /// Longer files are not staged, where a length is known before.
    public static let largest: Int64 = 1 << 20

    /// Of lately ended transfers, from the request to the last byte, nanoseconds.
    private var mean: Int64?

    public init() {}

    /// A transfer has brought its file.
    public mutating func ended(after time: Duration) {
        let latest = max(0, time.nanosecondsClamped)
        mean = mean.map { $0 + (latest - $0) / 8 } ?? latest
    }

    /// One of its orders was taken back for having waited: the host counts as slow until ends show otherwise.
    public mutating func outwaited() { mean = max(mean ?? 0, Self.patience.nanosecondsClamped) }

    /// Orders that may be staged with a worker.
    /// - Parameter active: transfers of the host that run there.
    public func depth(active: Int) -> Int {
        guard let mean, mean <= Self.horizon else { return 0 }
        let each = min(Self.mostPerTransfer, Int(Self.horizon / max(mean, 1)))
        return max(0, min(Self.mostAtHand - active, active * each))
    }

    /// What the end of a transfer is to the orders staged for its host.
    public enum Verdict: Sendable, Hashable {
        /// The oldest takes its place.
        case succeeds
        /// They stay where they are; the slot is the dispatcher's.
        case stays
        /// None of them begins any more by itself, on whatever worker: the host had enough.
        case closes
    }

    /// - Parameters:
    ///   - end: what it told about how much the host can take.
    ///   - keepsConnection: a whole answer came, and the next request may ride the same connection.
    ///   - leads: a redirect: whom it leads to goes first.
    ///   - asksToWait: the answer told a time to wait, or that the quota is used up.
    public static func verdict(
        _ end: AdaptiveCap.End, keepsConnection: Bool, leads: Bool, asksToWait: Bool
    ) -> Verdict {
        if end == .trouble || asksToWait { return .closes }
        return end == .success && keepsConnection && !leads ? .succeeds : .stays
    }
}

extension HostMachine {
    /// Orders may be staged for it: it serves, over HTTP/1.1, as many transfers as it may have now, and at no pace.
    public var takesStaged: Bool {
        stage == .http1 && !needsScout && !isReduced && failures == 0 && refusals == 0 && segments == 0
            && caps.requestsPerSecond == nil && active <= capacity
    }
}
