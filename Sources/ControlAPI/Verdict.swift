// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// The one line that says how things stand: the first of `dlctl status`, and systemd's `STATUS=`.
public enum Verdict {
    /// In words, from everything else in the document; pure. URLs and hosts in it must be masked already.
    ///
    /// - Parameter clock: a moment as local time (`LocalTime.text`).
    public static func words(for status: StatusDocument, clock: (WallTime) -> String) -> String {
        switch status.state {
        case .starting: return "starting"
        case .draining:
            let running = atWork(status)
            return running.isEmpty ? "draining" : "draining: \(running) to end"
        case .paused: return "paused: " + (status.pauseReason ?? "nothing is started")
        case .idle, .running, .waiting: break
        }
        guard status.jobs.open > 0 else { return "idle" }
        let running = atWork(status)
        guard running.isEmpty else { return "running: " + running + outlook(status) }
        if let group = status.waiting.max(by: { $0.count < $1.count }) {
            return "waiting: " + words(for: group, clock: clock)
        }
        if status.jobs.paused == status.jobs.open {
            return "waiting: " + Quantity.count(status.jobs.paused, "paused job")
        }
        return "running: about to start " + Quantity.count(status.jobs.open - status.jobs.paused, "job")
    }

    /// `1,000,000 jobs for example.org, held until 03:40 (429)`.
    public static func words(for group: WaitingStatus, clock: (WallTime) -> String) -> String {
        let jobs = Quantity.count(group.count, "job")
        let forHost = group.host.map { " for \($0)" } ?? ""
        let until = group.until.map { " until " + clock($0.time) } ?? ""
        let detail = group.detail.map { " (\($0))" } ?? ""
        switch group.reason {
        case .hostHeld: return "\(jobs)\(forHost), held\(until)\(detail)"
        case .hostLimit: return "\(jobs)\(forHost), as many as it may have are running"
        case .rateLimit: return "\(jobs)\(forHost), its request rate is used up\(until)"
        case .backoff:
            let next = group.until.map { ", the next at " + clock($0.time) } ?? ""
            return "\(jobs)\(forHost) to be tried again\(next)\(detail)"
        case .disk: return "\(jobs) for room on the disk\(detail)"
        case .outputMissing: return "\(jobs) for the output directory\(detail)"
        case .network: return "\(jobs) for the network\(until)\(detail)"
        case .ledger: return "\(jobs) for the ledger\(detail)"
        case .checksums: return "\(jobs) for their lists of digests"
        case .window: return "\(jobs)\(forHost) for their turn\(until)"
        }
    }

    private static func atWork(_ status: StatusDocument) -> String {
        var parts: [String] = []
        if status.transfersTotal > 0 { parts.append(Quantity.count(status.transfersTotal, "transfer")) }
        if status.sums.running > 0 { parts.append(Quantity.count(status.sums.running, "sum")) }
        if parts.isEmpty, status.jobs.publishing > 0 {
            parts.append(Quantity.count(status.jobs.publishing, "file") + " to publish")
        }
        return parts.joined(separator: " and ")
    }

    private static func outlook(_ status: StatusDocument) -> String {
        var text = status.transfersTotal > 0 ? ", " + Quantity.rate(status.totals.rate) : ""
        text += ", \(Quantity.count(status.jobs.open)) of \(Quantity.count(status.jobs.total)) left"
        if let seconds = status.totals.secondsLeft { text += ", about " + Quantity.time(seconds) }
        return text
    }
}
