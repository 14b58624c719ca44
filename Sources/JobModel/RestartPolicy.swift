// SPDX-License-Identifier: Apache-2.0

/// When a process that died is started again: soon the first time, then at growing distances.
///
/// Pure; the caller brings the clock.
public struct RestartPolicy: Sendable, Hashable {
    public let firstDelay: Duration
    public let maxDelay: Duration
    /// A process that lived so long has earned a fresh start.
    public let healthyAfter: Duration
    private var deathsInARow = 0

    public init(
        firstDelay: Duration = .milliseconds(50), maxDelay: Duration = .seconds(30),
        healthyAfter: Duration = .seconds(60)
    ) {
        self.firstDelay = firstDelay
        self.maxDelay = maxDelay
        self.healthyAfter = healthyAfter
    }

    /// How often in a row it died young (or could not be started).
    public var failures: Int { deathsInARow }

    /// Counts a death, or a start that failed (`lived` is zero), and tells how long to wait before the next start.
    public mutating func delay(afterLiving lived: Duration) -> Duration {
        if lived >= healthyAfter { deathsInARow = 0 }
        deathsInARow = min(deathsInARow + 1, 1000)
        var delay = firstDelay
        for _ in 1..<deathsInARow where delay < maxDelay { delay *= 2 }
        return min(delay, maxDelay)
    }
}
