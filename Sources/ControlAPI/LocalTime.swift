// SPDX-License-Identifier: Apache-2.0

import Glibc
public import JobModel

/// Moments as the people of this machine read them, by TZ and /etc/localtime. Reads no clock.
public enum LocalTime {
    /// `03:40`, with `seconds` `03:40:12`; on another day than `now` `Nov 23 03:40`. Any thread.
    public static func text(_ time: WallTime, now: WallTime, seconds: Bool = false) -> String {
        guard let local = Fields(time), let today = Fields(now) else { return Timestamp(time).description }
        var clock = padded(local.hour) + ":" + padded(local.minute)
        if seconds { clock += ":" + padded(local.second) }
        if local.year == today.year, local.dayOfYear == today.dayOfYear { return clock }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        return "\(months[Int(local.month) % 12]) \(local.day) \(clock)"
    }

    /// What of `struct tm` is shown, without its pointer to the zone's name.
    private struct Fields {
        let year, dayOfYear, month, day, hour, minute, second: Int32

        init?(_ time: WallTime) {
            var seconds = time_t(Timestamp(time).time.rawValue / 1000)
            var local = unsafe tm()
            guard unsafe localtime_r(&seconds, &local) != nil else { return nil }
            (year, dayOfYear, month, day) = unsafe (local.tm_year, local.tm_yday, local.tm_mon, local.tm_mday)
            (hour, minute, second) = unsafe (local.tm_hour, local.tm_min, local.tm_sec)
        }
    }

    private static func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
