// SPDX-License-Identifier: Apache-2.0

/// How long a host has given nothing usable while jobs waited for it (`hosts.*.give_up`).
///
/// Runs from the first trouble, stands still while dld is paused or nobody waits, and goes back to zero with any
/// usable answer. What has been counted outlives a restart: the caller stores it now and then.
public struct BarrenClock: Sendable, Hashable {
    private var counted: Duration
    private var since: MonotonicTime?
    /// What the ledger was told last.
    public private(set) var stored: Duration

    /// - Parameter stored: what an earlier run counted.
    public init(stored: Duration = .zero) {
        let clamped = max(.zero, min(stored, .seconds(366 * 86_400)))
        counted = clamped
        self.stored = clamped
    }

    public var isRunning: Bool { since != nil }

    public func total(now: MonotonicTime) -> Duration {
        counted + (since.map { max(.zero, now - $0) } ?? .zero)
    }

    public mutating func run(now: MonotonicTime) {
        if since == nil { since = now }
    }

    public mutating func stop(now: MonotonicTime) {
        counted = total(now: now)
        since = nil
    }

    public mutating func reset() {
        counted = .zero
        since = nil
    }

    /// The caller stores `stored` now: the total, or `least` where that is more.
    public mutating func noteStored(now: MonotonicTime, atLeast least: Duration = .zero) {
        stored = max(least, total(now: now))
    }
}
