// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Transfer

/// Slots of hosts that a transfer has for connections beside its first, by the place of the URL that they lead to.
struct SegmentSlots {
    /// What it could use.
    var wish = SegmentWish.none
    var held: [Int: Int] = [:]
    /// Of those held: asked back.
    var closing: [Int: Int] = [:]
    /// Mirrors whose one connection is their host's scout.
    var scouts: Set<Int> = []
    /// What the last of them shows is waited for so long, before others get what it could have had.
    var scoutWait = MonotonicTime(nanoseconds: 0)
    var count: Int { held.values.reduce(0, +) }
    func isAtOneHost(_ own: Int) -> Bool { held.keys.allSatisfy { $0 == own } }

    func role(_ place: Int) -> HostMachine.Role { scouts.contains(place) ? .scout : .ordinary }

    /// One of a place is over.
    mutating func gaveBack(_ place: Int) {
        func less(_ count: Int?) -> Int? { count.flatMap { $0 > 1 ? $0 - 1 : nil } }
        held[place] = less(held[place])
        closing[place] = less(closing[place])
        scouts.remove(place)
    }
}

// Connections of one file beside its first: each takes a slot of its host, the transfer's own or a mirror's, and of the
// worker, as a transfer does. A list that asks for them gets them before further jobs start; else they are what nobody
// else wants, and are given up for any job that waits.
extension DispatchLoop {
    static let scoutWait = Duration.seconds(1)

    mutating func segmentsWanted(_ task: JobTask, _ wish: SegmentWish) {
        task.segments.wish = wish
        if wish.open > 0 { dividedJobs.insert(task.seq) }
    }

    /// The host that a connection of the transfer leads to.
    func segmentHost(_ task: JobTask, _ place: Int) -> HostKey? {
        place == task.ownPlace ? task.slot : task.mirrors?.hosts[place]
    }

    mutating func segmentEnded(_ report: SegmentReport, of task: JobTask) {
        guard task.segments.held[report.place] != nil, let key = segmentHost(task, report.place) else {
            return
        }
        let role = task.segments.role(report.place)
        task.segments.gaveBack(report.place)
        workerLoads[report.worker].active -= 1
        hosts[key]?.machine.segmentEnded(report.load, role)
        if report.keptConnection, hosts[key]?.machine.stage == .http1 {
            hosts[key]?.idle[report.worker, default: 0] += 1
        }
        if let trouble = report.trouble { helperFailed(task, report, trouble, role, key) }
        if let time = report.retryAfter { hold(key, for: time, reason: "http_429") }
        slotFreed(key)
    }

    /// The transfer is over, and so is everything that it had.
    mutating func endSegments(_ task: JobTask) {
        dividedJobs.remove(task.seq)
        let slots = task.segments
        task.segments = SegmentSlots()
        guard slots.count > 0, let worker = task.worker else { return }
        workerLoads[worker].active -= slots.count
        for (place, held) in slots.held {
            guard let key = segmentHost(task, place) else { continue }
            for _ in 0..<held { hosts[key]?.machine.segmentEnded(.neutral, slots.role(place)) }
            if place != task.ownPlace { slotFreed(key) }
        }
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
                guard let task = tasks[seq], task.asksForSegments == asked,
                    let place = nextSegment(task)
                else { continue }
                openSegment(task, place)
                hasStarted = true
            }
        }
    }

    /// Where the transfer may have one more connection now. nil: nowhere.
    private mutating func nextSegment(_ task: JobTask) -> Int? {
        guard task.segments.wish.open > task.segments.count, task.segments.closing.isEmpty,
            task.machine.state == .transferring, task.machine.request == nil, let worker = task.worker,
            workerLoads[worker].active < plan.slotsPerWorker,
            workerLoads.reduce(0, { $0 + $1.active }) < budget.limit
        else { return nil }
        var connections = task.segments.held
        connections[task.ownPlace, default: 0] += 1
        let needsOpen = task.segments.wish.count <= task.segments.count
        for place in task.segments.wish.order(connections) {
            if needsOpen, !hasIdle(task, place, worker) { continue }
            if mayOpenSegment(task, place, worker) { return place }
            if task.segments.scouts.contains(place), now < task.segments.scoutWait {
                hostLook = min(hostLook, task.segments.scoutWait)
                return nil
            }
        }
        return nil
    }

    /// A connection to the host of that place idles in the worker's cache.
    private func hasIdle(_ task: JobTask, _ place: Int, _ worker: Int) -> Bool {
        segmentHost(task, place).flatMap { hosts[$0]?.idle[worker] } ?? 0 > 0
    }

    private mutating func mayOpenSegment(_ task: JobTask, _ place: Int, _ worker: Int) -> Bool {
        guard let key = segmentHost(task, place), !uplink.machine.isSuspect(key) else { return false }
        let isOwn = place == task.ownPlace
        if !isOwn { ensureHost(key) }
        guard let host = hosts[key], isOwn || mayHelp(key, host) else { return false }
        switch isOwn ? host.machine.segmentVerdict(now: now) : host.machine.helperVerdict(now: now) {
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
        return task.asksForSegments || (!isWanted(key, host) && !(isOwn && host.machine.isShared))
    }

    /// Whether jobs wait for a slot of the host.
    private func isWanted(_ key: HostKey, _ host: HostEntry) -> Bool {
        // Lanes that were parked may be empty by now.
        !host.hops.isEmpty || host.staged.count > 0
            || (board.parkedCount(at: key) > 0 && board.hasJobs(of: key))
    }

    private mutating func openSegment(_ task: JobTask, _ place: Int) {
        guard let key = segmentHost(task, place), let worker = task.worker else { return }
        task.segments.held[place, default: 0] += 1
        workerLoads[worker].active += 1
        let isOpen = hasIdle(task, place, worker)
        let role = hosts[key]?.machine.segmentStarted(now: now) ?? .ordinary
        if role == .scout {
            task.segments.scouts.insert(place)
            task.segments.scoutWait = now + Self.scoutWait
        }
        hosts[key]?.lastUsed = now
        if let idle = hosts[key]?.idle[worker], idle > 0 { hosts[key]?.idle[worker] = idle - 1 }
        let helper = place == task.ownPlace ? nil : helperOrder(task, place)
        outbox.workers[worker, default: []].append(
            .openSegment(token: task.token, helper: helper, isOpen: isOpen))
    }

    /// Jobs wait for what segments have that no list asked for: one at a time is asked back.
    mutating func reclaimSegments() {
        guard !dividedJobs.isEmpty, case .running = mode else { return }
        let isCrowded =
            !board.isEmpty
            && (workerLoads.allSatisfy { $0.active >= plan.slotsPerWorker }
                || workerLoads.reduce(0) { $0 + $1.active } >= budget.limit)
        var most: [HostKey: (task: JobTask, place: Int)] = [:]
        var isClosing: Set<HostKey> = []
        for seq in dividedJobs {
            guard let task = tasks[seq], !task.asksForSegments else { continue }
            for (place, held) in task.segments.held {
                guard let key = segmentHost(task, place) else { continue }
                if task.segments.closing[place] != nil { isClosing.insert(key) }
                let before = most[key].map { $0.task.segments.held[$0.place, default: 0] } ?? 0
                if before < held { most[key] = (task, place) }
            }
        }
        for (key, (task, place)) in most where !isClosing.contains(key) {
            guard let host = hosts[key], let worker = task.worker else { continue }
            let isInTheWay = host.machine.stage == .http1 && host.machine.room == 0 && isWanted(key, host)
            guard isInTheWay || isCrowded || host.machine.hasSurplus else { continue }
            task.segments.closing[place, default: 0] += 1
            outbox.workers[worker, default: []].append(
                .closeSegments(token: task.token, count: 1, places: [place]))
        }
    }
}
