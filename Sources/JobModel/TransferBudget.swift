// SPDX-License-Identifier: Apache-2.0

/// How many transfers may run at once where descriptors are scarce: halved when they ran out, a step up for every few
/// seconds that they did not. Pure.
public struct TransferBudget: Sendable, Hashable {
    /// What one transfer takes: a socket and a part.
    static let perTransfer = 2
    /// What the rest of the daemon takes: ledger, locks, bells, sockets of control and sumd.
    static let base = 56
    static let step = Duration.seconds(5)

    public private(set) var limit: Int
    private let ceiling: Int
    private var lastChange = MonotonicTime(nanoseconds: .min)

    /// - Parameter descriptors: RLIMIT_NOFILE.
    public init(descriptors: Int) {
        ceiling = max(1, (min(descriptors, 1 << 24) - Self.base) / Self.perTransfer)
        limit = ceiling
    }

    /// EMFILE or ENFILE. Those that meet it together count once.
    /// - Parameter active: transfers that ran then.
    public mutating func ranOut(active: Int, now: MonotonicTime) {
        guard limit == ceiling || lastChange + .seconds(1) < now else { return }
        limit = max(1, min(limit, active) / 2)
        lastChange = now
    }

    public mutating func look(now: MonotonicTime) {
        guard let due = nextLook, due <= now else { return }
        limit = min(ceiling, limit + max(1, limit / 8))
        lastChange = now
    }

    /// When it may grow; nil while nothing is short.
    public var nextLook: MonotonicTime? { limit < ceiling ? lastChange + Self.step : nil }
}
