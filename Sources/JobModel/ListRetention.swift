// SPDX-License-Identifier: Apache-2.0

/// When lists that have ended are looked for, and which of them are old enough to go (`retention.lists`).
public enum ListRetention {
    /// Between two looks: an hour, or an eighth of a shorter age; a second at least.
    public static func interval(age: Duration) -> Duration {
        min(.seconds(3600), max(.seconds(1), age / 8))
    }

    /// What ended before this goes.
    public static func limit(now: WallTime, age: Duration) -> WallTime { now + (.zero - age) }
}
