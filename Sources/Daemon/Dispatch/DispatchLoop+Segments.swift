// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Transfer

/// Slots of a transfer's host that it has for connections beside its first.
struct SegmentSlots {
    /// How many it could use.
    var wanted = 0
    var held = 0
    /// Of those held: asked back.
    var closing = 0
}

// Connections of one file beside its first: each takes a slot of the host, and of its worker, as a transfer does. A list
// that asks for them gets them before further jobs start; else they are what nobody else wants, and are given up for
// any job that waits.
extension DispatchLoop {
    mutating func segmentsWanted(_ task: JobTask, _ count: Int) {
        task.segments.wanted = count
        if count > 0 { dividedJobs.insert(task.seq) }
    }

    mutating func segmentEnded(_ report: SegmentReport, of task: JobTask) {
        guard let key = task.slot else { return }
        task.segments.held -= 1
        task.segments.closing = max(0, task.segments.closing - 1)
        workerLoads[report.worker].active -= 1
        hosts[key]?.machine.segmentEnded(report.load)
        if report.keptConnection, hosts[key]?.machine.stage == .http1 {
            hosts[key]?.idle[report.worker, default: 0] += 1
        }
        if let time = report.retryAfter { hold(key, for: time, reason: "http_429") }
        slotFreed(key)
    }

    /// The transfer is over, and so is everything that it had.
    mutating func endSegments(_ task: JobTask) {
        dividedJobs.remove(task.seq)
        let held = task.segments.held
        task.segments = SegmentSlots()
        guard held > 0, let key = task.slot, let worker = task.worker else { return }
        workerLoads[worker].active -= held
        for _ in 0..<held { hosts[key]?.machine.segmentEnded(.neutral) }
    }

    /// Hands out slots, one each in turn.
    /// - Parameter asked: to those whose list asked for them, or to the others.
    mutating func startSegments(asked: Bool) {
        guard !dividedJobs.isEmpty, pauseReason == nil else { return }
        switch mode {
        case .running, .draining: break
        case .stopping, .ended: return
        }
        var hasStarted = true
        while hasStarted {
            hasStarted = false
            for seq in dividedJobs {
                guard let task = tasks[seq], task.asksForSegments == asked, mayOpenSegment(task) else {
                    continue
                }
                openSegment(task)
                hasStarted = true
            }
        }
    }

    private mutating func mayOpenSegment(_ task: JobTask) -> Bool {
        guard task.segments.wanted > task.segments.held, task.segments.closing == 0,
            task.machine.state == .transferring, task.machine.request == nil, let key = task.slot,
            let worker = task.worker, let host = hosts[key], !uplink.machine.isSuspect(key),
            workerLoads[worker].active < plan.slotsPerWorker,
            workerLoads.reduce(0, { $0 + $1.active }) < budget.limit
        else { return false }
        switch host.machine.segmentVerdict(now: now) {
        case .start: break
        case .wait(let until, _):
            hostLook = min(hostLook, max(until, now + .milliseconds(2)))
            return false
        case .full: return false
        }
        // Connections that idle in other workers' caches are open ones.
        if host.machine.stage == .http1, host.idle[worker, default: 0] == 0,
            host.machine.active + host.machine.segments + host.idleTotal >= host.machine.caps.connections
        {
            return false
        }
        return task.asksForSegments || !isWanted(key, host)
    }

    /// Whether jobs wait for a slot of the host.
    private func isWanted(_ key: HostKey, _ host: HostEntry) -> Bool {
        // Lanes that were parked may be empty by now.
        !host.hops.isEmpty || (board.parkedCount(at: key) > 0 && board.hasJobs(of: key))
    }

    private mutating func openSegment(_ task: JobTask) {
        guard let key = task.slot, let worker = task.worker else { return }
        task.segments.held += 1
        workerLoads[worker].active += 1
        hosts[key]?.machine.segmentStarted(now: now)
        if let idle = hosts[key]?.idle[worker], idle > 0 { hosts[key]?.idle[worker] = idle - 1 }
        outbox.workers[worker, default: []].append(.openSegment(token: task.token))
    }

    /// Jobs wait for what segments have that no list asked for: one at a time is asked back.
    mutating func reclaimSegments() {
        guard !dividedJobs.isEmpty, case .running = mode else { return }
        let isCrowded =
            !board.isEmpty
            && (workerLoads.allSatisfy { $0.active >= plan.slotsPerWorker }
                || workerLoads.reduce(0) { $0 + $1.active } >= budget.limit)
        var most: [HostKey: JobTask] = [:]
        var isClosing: Set<HostKey> = []
        for seq in dividedJobs {
            guard let task = tasks[seq], let key = task.slot, !task.asksForSegments, task.segments.held > 0
            else { continue }
            if task.segments.closing > 0 { isClosing.insert(key) }
            if most[key].map({ $0.segments.held < task.segments.held }) ?? true { most[key] = task }
        }
        for (key, task) in most where !isClosing.contains(key) {
            guard let host = hosts[key], let worker = task.worker else { continue }
            let isInTheWay = host.machine.stage == .http1 && host.machine.room == 0 && isWanted(key, host)
            guard isInTheWay || isCrowded else { continue }
            task.segments.closing += 1
            outbox.workers[worker, default: []].append(.closeSegments(token: task.token, count: 1))
        }
    }
}
