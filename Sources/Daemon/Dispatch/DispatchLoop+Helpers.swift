// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Transfer

// Mirrors that have a share in a file which another source is bringing. The worker says what it could use and judges what
// comes; whether a mirror's host may be asked is decided here, by that host's own caps, holds and breaker.
extension DispatchLoop {
    /// Mirrors that one file is fetched from at once, at most.
    static var maxHelpers: Int { 16 }

    /// Places of the mirrors that may have a share in what the transfer brings.
    func helpers(_ task: JobTask) -> [Int] {
        guard let mirrors = task.mirrors, task.job.errand == nil,
            case .download(let urls, _) = task.job.work
        else { return [] }
        // One source a host: what a list allows a server holds for all its URLs.
        var hosts: Set<HostKey> = [mirrors.nextHost]
        if let host = task.url?.host { hosts.insert(host) }
        let able = mirrors.helpers.filter {
            ["http", "https"].contains(urls[$0].scheme) && hosts.insert(urls[$0].host).inserted
        }
        return Array(able.prefix(Self.maxHelpers))
    }

    /// Whether a mirror's host is one to be asked beside another: nothing speaks against it.
    func mayHelp(_ key: HostKey, _ host: HostEntry) -> Bool {
        !host.isGivingUp && !host.hasGivenUp && ranges.asksRanges(of: key)
    }

    /// What a mirror is asked with: as if it were the only URL of its job.
    func helperOrder(_ task: JobTask, _ place: Int) -> HelperOrder? {
        guard case .download(let urls, _) = task.job.work, urls.indices.contains(place) else { return nil }
        let url = urls[place]
        var order = OrderBuilder(plan: plan, given: url).order(for: task, url: url).order
        order.place = place
        order.hostLimiter = hosts[url.host]?.limiter
        return HelperOrder(place: place, order: order)
    }

    /// A mirror's answer has begun.
    mutating func helperConnected(_ task: JobTask, _ place: Int, isUsable: Bool) {
        uplinkProved()
        guard let key = segmentHost(task, place), task.segments.scouts.contains(place) else { return }
        // Segments speak HTTP/1.1; should the host know better, its next transfer shows it.
        let role = hosts[key]?.machine.answered(isHTTP2: false, isUsable: isUsable, to: .scout)
        guard role == .ordinary else { return }
        task.segments.scouts.remove(place)
        fruitful(key)
        freed(key)
    }

    /// A mirror was of no use. The job goes on without it; what that says of its host, and of the file there, is kept.
    mutating func helperFailed(
        _ task: JobTask, _ report: SegmentReport, _ trouble: SegmentReport.Trouble, _ role: HostMachine.Role,
        _ key: HostKey
    ) {
        noteRanges(trouble.ranges, host: key)
        let code = trouble.error.code
        if code == .http(429) || code == .http(503) {
            _ = hosts[key]?.machine.refused(role, now: now)
            if report.retryAfter == nil {
                let pause = plan.retry(for: task.job.options).pause(code, attempts: 1, random: 1)
                hold(key, for: pause, reason: code.name)
            }
        } else if trouble.isConnectFailure {
            _ = hosts[key]?.machine.connectionFailed(role, now: now)
        }
        if !trouble.error.isRetryable { task.mirrors?.dropped(report.place, trouble.error) }
        remark(
            .info, "a mirror has no share in a file any more",
            [("job", "\(task.job.id)"), ("host", key.rawValue), ("why", trouble.error.message)])
    }

    /// Says who had a share in a file that is wrong.
    func noteShares(_ task: JobTask) {
        guard task.isShared, let mirrors = task.mirrors else { return }
        let hosts = task.helpers.sorted().map { mirrors.hosts[$0].rawValue }
        remark(
            .notice, "a file with a wrong digest came from several mirrors, one is asked for all of it",
            [
                ("job", "\(task.job.id)"), ("host", mirrors.nextHost.rawValue),
                ("shared_by", hosts.isEmpty ? "an earlier run" : hosts.joined(separator: " ")),
            ])
    }

    /// What several sources brought together has a wrong digest: one alone is asked for all of it.
    func unshare(_ task: JobTask) -> Bool {
        guard task.isShared, var mirrors = task.mirrors, mirrors.unshared() else { return false }
        task.mirrors = mirrors
        return true
    }
}
