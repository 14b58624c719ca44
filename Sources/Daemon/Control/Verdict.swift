// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel

/// The first line of `dlctl status` and systemd's `STATUS=`: how it goes, in words. Pure.
enum Verdict {
    struct Hold {
        let host: HostKey
        let jobs: Int
        let until: WallTime
        let reason: String
    }

    static func text(_ status: StatusDocument, held: Hold?, openJobs: Int, unpaused: Int) -> String {
        switch status.state {
        case .starting: return "starting"
        case .idle:
            return status.jobs.paused > 0 ? "idle: \(grouped(status.jobs.paused)) paused" : "idle"
        case .draining:
            let left = status.transfersTotal
            return left == 0 ? "draining" : "draining: \(grouped(left)) \(plural("transfer", left)) to finish"
        case .paused:
            return "paused: \(status.pauseReason ?? "")"
        case .waiting:
            if let held, held.jobs > 0 {
                return "waiting: \(grouped(held.jobs)) \(plural("job", held.jobs)) for \(held.host), held until "
                    + "\(clock(held.until)) (\(held.reason))"
            }
            return "waiting: \(grouped(status.jobs.waiting)) \(plural("job", status.jobs.waiting)) in back-off"
        case .running:
            return running(status)
        }
    }

    private static func running(_ status: StatusDocument) -> String {
        let count = status.transfersTotal
        var text = "running: \(grouped(count)) \(plural("transfer", count)), \(ByteSize.format(Int64(status.totals.rate)))/s"
        if status.sums.running > 0 { text += ", \(grouped(status.sums.running)) \(plural("sum", status.sums.running))" }
        let total = status.jobs.total
        if total > 0 { text += ", \(grouped(status.jobs.open)) of \(grouped(total)) left" }
        if let seconds = status.totals.secondsLeft, seconds.isFinite, seconds >= 1 {
            text += ", about \(about(seconds))"
        }
        return text
    }

    /// One unit is enough for a guess: `40 s`, `12 min`, `6 h`, `3 d`.
    static func about(_ seconds: Double) -> String {
        switch seconds {
        case ..<90: "\(Int(seconds.rounded())) s"
        case ..<5400: "\(Int((seconds / 60).rounded())) min"
        case ..<172_800: "\(Int((seconds / 3600).rounded())) h"
        default: "\(Int(min(seconds / 86_400, 36_500).rounded())) d"
        }
    }

    static func grouped(_ number: Int) -> String {
        let digits = Array(String(number.magnitude))
        var text = number < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }

    private static func plural(_ word: String, _ count: Int) -> String { count == 1 ? word : word + "s" }

    /// `03:40` UTC.
    private static func clock(_ time: WallTime) -> String {
        let minutes = (time.rawValue / 60_000) % 1440
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(minutes / 60)):\(two(minutes % 60)) UTC"
    }
}
