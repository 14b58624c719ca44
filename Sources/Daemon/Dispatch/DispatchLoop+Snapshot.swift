// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import JobModel
import LinuxKit
import SumPool

extension DispatchLoop {
    static var maxShown: (lists: Int, transfers: Int, hosts: Int) { (50, 256, 100) }

    /// At most four times a second: one immutable value, made here, read by anybody.
    mutating func publishSnapshot(force: Bool = false) {
        guard force || view.nextPublication() <= now else { return }
        view.published(now: now)
        // While something is under way its silence is news too: rates fall.
        view.isDirty = !tasks.isEmpty
        let wall = WallTime(milliseconds: WallClock.milliseconds())
        view.arriving = tasks.values.reduce(Int64(0)) { sum, task in
            task.slot == nil ? sum : sum &+ max(0, task.bytes &- (task.resume?.known ?? 0))
        }
        view.rate.sample(view.metrics.fetchedBytes &+ view.arriving, now: now)
        view.jobRate.sample(Int64(view.metrics.jobsDone + view.metrics.jobsFailed), now: now)
        var status = StatusDocument()
        status.now = Timestamp(wall)
        status.jobs = view.lists.values.reduce(into: StateCounts()) { $0 += $1.row.counts }
        status.pauseReason = pauseReason?.1
        fillLists(&status)
        fillTransfers(&status)
        fillHosts(&status, wall: wall)
        fillWaiting(&status, wall: wall)
        fillRest(&status)
        status.state = state(status)
        status.verdict = Verdict.words(for: status) { LocalTime.text($0, now: wall) }
        ports.board.publish(.init(status: status, metrics: metrics(status), holds: holds(wall: wall)))
    }

    private func state(_ status: StatusDocument) -> DaemonState {
        switch mode {
        case .draining, .stopping, .ended: return .draining
        case .running: break
        }
        if pauseReason != nil { return .paused }
        let runs = tasks.values.contains { $0.slot != nil } || activeSums > 0
        if runs { return .running }
        if status.jobs.open > status.jobs.paused {
            return tasks.isEmpty && !status.waiting.isEmpty ? .waiting : .running
        }
        return view.lists.values.contains { $0.row.state == .admitting } ? .running : .idle
    }

    private mutating func fillLists(_ status: inout StatusDocument) {
        var activeBytes: [ListID: Int64] = [:]
        for task in tasks.values where task.slot != nil {
            activeBytes[task.job.lane.list, default: 0] += task.bytes
        }
        let ids = view.lists.keys.sorted()
        status.listsTotal = ids.count
        for id in ids.prefix(Self.maxShown.lists) {
            guard var list = view.lists[id] else { continue }
            list.rate.sample(list.received &+ (activeBytes[id] ?? 0), now: now)
            list.jobRate.sample(Int64(list.row.counts.terminal), now: now)
            view.lists[id] = list
            var document = ListDocument(list.row)
            document.rate = list.rate.bytesPerSecond
            let left = list.row.counts.open - list.row.counts.paused
            if list.jobRate.bytesPerSecond > 0, left > 0, list.row.state == .running {
                document.secondsLeft = Double(left) / list.jobRate.bytesPerSecond
            }
            status.lists.append(document)
        }
    }

    private func fillTransfers(_ status: inout StatusDocument) {
        let active = tasks.values.filter { $0.slot != nil }.sorted { $0.attemptStarted < $1.attemptStarted }
        status.transfersTotal = active.count
        for task in active.prefix(Self.maxShown.transfers) {
            var transfer = TransferStatus()
            transfer.job = task.job.id.description
            transfer.list = task.job.lane.list.rawValue
            transfer.url = Masking.url(task.url?.text ?? "")
            transfer.host = task.slot?.rawValue ?? ""
            transfer.path = task.path?.description ?? ""
            transfer.bytes = task.bytes
            transfer.total = task.total ?? task.job.options.size
            transfer.rate = task.rate.bytesPerSecond
            transfer.worker = "dld-xfer-\(task.worker ?? 0)"
            transfer.attempt = task.attempts
            transfer.seconds = (now - task.attemptStarted).secondsDouble
            status.transfers.append(transfer)
        }
    }

    private func fillHosts(_ status: inout StatusDocument, wall: WallTime) {
        var keys = Set(hosts.filter { $0.value.machine.active > 0 || isHeld($0.value) }.keys)
        keys.formUnion(barrenHosts.prefix(Self.maxShown.hosts * 4))
        keys.formUnion(view.hostCounts.keys.prefix(Self.maxShown.hosts * 4))
        keys.remove(.none)
        status.hostsTotal = keys.count
        let documents = keys.map { hostDocument($0, wall: wall) }
        let ordered = documents.sorted { a, b in
            if a.isHeld != b.isHeld { return a.isHeld }
            if a.active != b.active { return a.active > b.active }
            return a.queued != b.queued ? a.queued > b.queued : a.host < b.host
        }
        status.hosts = Array(ordered.prefix(Self.maxShown.hosts))
    }

    private func isHeld(_ host: HostEntry) -> Bool { host.machine.isHeld(now: now) }

    private func hostDocument(_ key: HostKey, wall: WallTime) -> HostDocument {
        var document = HostDocument()
        document.host = key.rawValue
        document.connectionLimit = plan.caps(for: key).connections
        let counts = view.hostCounts[key]
        document.queued = counts?.queued ?? 0
        document.waiting = counts?.waiting ?? 0
        guard let host = hosts[key] else { return document }
        document.active = host.machine.active
        document.rateLimit = host.rateLimit
        switch host.machine.stage {
        case .http2:
            document.connections =
                host.machine.connectionsInUse + (host.machine.active == 0 ? host.idleTotal : 0)
            document.httpVersion = "2"
        case .http1:
            document.connections = host.machine.connectionsInUse + host.idleTotal
            document.httpVersion = "1.1"
        case .cold, .scouting: document.connections = host.machine.active
        }
        if let until = host.machine.heldUntil, until > now {
            document.heldUntil = Timestamp(wall + (until - now))
            document.reason = host.machine.holdReason
        }
        fillTrouble(&document, key, host, wall: wall)
        return document
    }

    private func fillTrouble(
        _ document: inout HostDocument, _ key: HostKey, _ host: HostEntry, wall: WallTime
    ) {
        document.capacity = host.machine.capacity
        if host.machine.isBreakerOpen { document.breaker = host.machine.active > 0 ? "probing" : "open" }
        guard barrenHosts.contains(key) else { return }
        let barren = host.barren.total(now: now)
        document.barrenSeconds = barren.secondsDouble
        if let limit = plan.giveUp(for: key), host.barren.isRunning {
            document.givesUpAt = Timestamp(wall + max(.zero, limit - barren))
        }
    }

    private func holds(wall: WallTime) -> [HostKey: (until: WallTime, reason: String)] {
        hosts.compactMapValues { host in
            guard let until = host.machine.heldUntil, until > now else { return nil }
            return (wall + (until - now), host.machine.holdReason ?? "held")
        }
    }

    private func fillWaiting(_ status: inout StatusDocument, wall: WallTime) {
        if let (reason, why) = pauseReason {
            var waiting = WaitingStatus()
            waiting.reason = reason
            waiting.count = status.jobs.queued
            waiting.detail = why
            status.waiting.append(waiting)
        } else {
            status.waiting += diskWaits()
        }
        for host in status.hosts where host.isHeld && host.queued > 0 {
            var waiting = WaitingStatus()
            waiting.reason = .hostHeld
            waiting.host = host.host
            waiting.count = host.queued
            waiting.until = host.heldUntil
            waiting.detail = host.breaker == nil ? host.reason : "breaker open: \(host.reason ?? "")"
            status.waiting.append(waiting)
        }
        if status.jobs.waiting > 0 {
            var waiting = WaitingStatus()
            waiting.reason = .backoff
            waiting.count = status.jobs.waiting
            waiting.until = nextDue.map { Timestamp($0) }
            status.waiting.append(waiting)
        }
    }

    private func fillRest(_ status: inout StatusDocument) {
        for index in workerLoads.indices {
            var worker = WorkerStatus()
            worker.name = "dld-xfer-\(index)"
            worker.active = workerLoads[index].active
            worker.connections = hosts.values.reduce(0) {
                $0 + $1.machine.connections(on: index) + ($1.idle[index] ?? 0)
            }
            for seq in dividedJobs {
                guard let task = tasks[seq], task.worker == index else { continue }
                worker.connections += task.segments.count
            }
            worker.rate = tasks.values.reduce(0) {
                $0 + ($1.worker == index && $1.slot != nil ? $1.rate.bytesPerSecond : 0)
            }
            status.workers.append(worker)
        }
        status.sums.isUp = view.sums.isUp
        status.sums.pid = view.sums.pid
        status.sums.workerPids = view.sums.workers
        status.sums.running = view.sums.running
        status.sums.queued = view.sums.queued
        status.sums.restarts = view.sums.restarts
        status.disks = diskStatuses()
        status.totals.bytes = view.metrics.fetchedBytes &+ view.arriving
        status.totals.rateLimit = rates.total
        status.totals.rate = tasks.isEmpty ? 0 : view.rate.bytesPerSecond
        status.totals.done = view.metrics.jobsDone
        status.totals.failed = view.metrics.jobsFailed
        status.totals.cancelled = view.metrics.jobsCancelled
        status.totals.connections = status.hosts.reduce(0) { $0 + $1.connections }
        let left = status.jobs.open - status.jobs.paused
        if view.jobRate.bytesPerSecond > 0, left > 0 {
            status.totals.secondsLeft = Double(left) / view.jobRate.bytesPerSecond
        }
        status.errors = view.errors
    }

    private func metrics(_ status: StatusDocument) -> MetricsDocument {
        var metrics = view.metrics
        metrics.state = status.state
        metrics.jobs = status.jobs
        metrics.openLists = status.listsTotal
        metrics.activeTransfers = status.transfersTotal
        metrics.connections = status.totals.connections
        metrics.heldHosts = hosts.values.reduce(0) { $0 + (isHeld($1) ? 1 : 0) }
        metrics.openBreakers = hosts.values.reduce(0) { $0 + ($1.machine.isBreakerOpen ? 1 : 0) }
        metrics.sumsRunning = status.sums.running
        metrics.sumsQueued = status.sums.queued
        metrics.sumRestarts = status.sums.restarts
        metrics.disks = status.disks
        metrics.queues = ["window": tasks.count, "commits": commits.count]
        return metrics
    }
}
