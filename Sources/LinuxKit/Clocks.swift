// SPDX-License-Identifier: Apache-2.0

import Glibc

/// CLOCK_MONOTONIC, in nanoseconds.
public enum Monotonic {
    public static func nanoseconds() -> Int64 {
        var time = timespec()
        unsafe _ = clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// What `poll` takes: rounded up, so that a loop does not spin in the last millisecond; -1 for nil.
    public static func pollMilliseconds(_ limit: Duration?) -> Int32 {
        guard let limit else { return -1 }
        let (seconds, attoseconds) = limit.components
        if seconds < 0 || attoseconds < 0 { return 0 }
        if seconds > 86_400 { return 86_400_000 }
        return Int32(seconds) * 1000 + Int32((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

/// The clock on the wall, by TZ and /etc/localtime.
public enum LocalClock {
    /// Weekday (0 is Monday), hour and minute at that moment; nil for one that no calendar holds.
    /// Rules that were changed on disk are read again. The corresponding C function is `localtime_r`.
    public static func read(milliseconds: Int64) -> (weekday: Int, hour: Int, minute: Int)? {
        var seconds = time_t(milliseconds / 1000)
        var local = unsafe tm()
        tzset()
        guard unsafe localtime_r(&seconds, &local) != nil else { return nil }
        return unsafe ((Int(local.tm_wday) + 6) % 7, Int(local.tm_hour), Int(local.tm_min))
    }
}

/// CLOCK_REALTIME, in milliseconds since 1970 UTC.
public enum WallClock {
    public static func milliseconds() -> Int64 {
        var time = timespec()
        unsafe _ = clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
