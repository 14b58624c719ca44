// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Transfer

/// Which rates hold now.
struct RateClock {
    /// `limits.total_rate` at this time of day.
    var total: Int64?
    /// The local time that the rates were set for.
    var minute = LocalMinute(weekday: 0, minute: 0)
    /// Some rate depends on it.
    var isTimed = false
}

extension DispatchLoop {
    /// Sets every shared bucket to the rate of this minute.
    mutating func applyRates() {
        rates.minute = Self.localMinute()
        let configuration = plan.configuration
        rates.isTimed = configuration.limits.totalRate.isTimed || configuration.hosts.hasTimedRates
        rates.total = configuration.limits.totalRate.rate(at: rates.minute)
        ports.totalLimiter.setRate(rates.total, now: now)
        for (key, host) in hosts { limit(host, key) }
        view.isDirty = true
    }

    /// The host's bucket at this minute's rate. One whose rate may come later has a bucket without a bottom, so that
    /// transfers under way are held to it from then on.
    func limit(_ host: HostEntry, _ key: HostKey) {
        let table = plan.configuration.hosts.rule(for: key).rate
        host.rateLimit = table.rate(at: rates.minute)
        if let limiter = host.limiter {
            limiter.setRate(host.rateLimit, now: now)
        } else if host.rateLimit != nil || table.isTimed {
            host.limiter = RateLimiter(rate: host.rateLimit, now: now)
        }
    }

    /// The wall clock is read each time: summer time and a clock that was set are followed within seconds.
    mutating func followClock() {
        guard rates.isTimed, Self.localMinute() != rates.minute else { return }
        let before = rates.total
        applyRates()
        guard rates.total != before else { return }
        remark(
            .notice, "limits.total_rate is now another",
            [("rate", rates.total.map { ByteSize.format($0) + "/s" } ?? "unlimited")])
    }

    /// The next full minute.
    var nextClockLook: MonotonicTime? {
        rates.isTimed ? now + .milliseconds(60_000 - WallClock.milliseconds() % 60_000 + 1) : nil
    }

    private static func localMinute() -> LocalMinute {
        let read = LocalClock.read(milliseconds: WallClock.milliseconds())
        return LocalMinute(weekday: read?.weekday ?? 0, minute: (read?.hour ?? 0) * 60 + (read?.minute ?? 0))
    }
}
