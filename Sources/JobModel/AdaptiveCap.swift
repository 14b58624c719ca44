// SPDX-License-Identifier: Apache-2.0

/// How many of its configured transfers a host is given after trouble: half with each trouble, one step more
/// with each window of successes, never above the configured number, which is also where it starts.
///
/// Transfers that were under way when it was halved tell nothing more about the new number: as many ends are
/// let pass before the next one counts.
public struct AdaptiveCap: Sendable, Hashable {
    /// How a transfer ended, as far as the host's load goes.
    public enum End: Sendable, Hashable {
        case success
        /// 429, 503, a reset, a time-out: perhaps too much was asked at once.
        case trouble
        /// Anything else: cancelled, refused by policy, no such file.
        case neutral
    }
    /// nil: the full number.
    private var level: Int?
    private var successes = 0
    private var passing = 0

    public init() {}

    /// - Parameter ceiling: the configured number, at least 1.
    public func level(of ceiling: Int) -> Int { max(1, min(level ?? ceiling, ceiling)) }

    /// Below what is configured.
    public var isReduced: Bool { level != nil }

    /// - Parameter inFlight: transfers still under way.
    public mutating func ended(_ end: End, ceiling: Int, inFlight: Int) {
        if passing > 0 {
            passing -= 1
            return
        }
        switch end {
        case .neutral: break
        case .trouble:
            level = max(1, level(of: ceiling) / 2)
            successes = 0
            passing = max(0, inFlight)
        case .success:
            guard let current = level else { return }
            successes += 1
            guard successes >= current else { return }
            successes = 0
            // Eight steps from nothing to all, whatever the ceiling: 32 streams are back as soon as 6 connections.
            let next = current + max(1, ceiling / 8)
            level = next >= ceiling ? nil : next
        }
    }
}
