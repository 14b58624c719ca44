// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Transfer

extension DispatchLoop {
    /// Starts what may start now: hops first, then round over lists and lanes.
    mutating func startJobs() {
        staging.isOpen = mayStageAnything
        if pauseReason != nil {
            withdrawStaged()
            return startProbe()
        }
        switch mode {
        // What is under way may go on to where it was redirected to.
        case .running, .draining: _ = startHops()
        case .stopping, .ended: return
        }
        startSegments(asked: true)
        startStaged()
        startQueued()
        startSegments(asked: false)
        reclaimSegments()
    }

    private mutating func startQueued() {
        guard case .running = mode else { return }
        startSuspect()
        while tasks.count < plan.window, workerLoads.reduce(0, { $0 + $1.active }) < budget.limit,
            workerLoads.contains(where: { $0.active < plan.slotsPerWorker })
        {
            guard let pick = nextPick() else { break }
            begin(pick)
        }
    }

    mutating func nextPick() -> LaneBoard.Pick? {
        var board = LaneBoard(maxLanes: 0, maxJobs: 0)
        swap(&board, &self.board)
        var starved: [HostKey] = []
        var soonest = hostLook
        let pick = board.next(
            ahead: { self.mayCheckAhead($0) || self.mayStage($0) }, leaves: { self.isInTrouble($0) },
            elsewhere: { self.mayGoElsewhere($0, from: $1) }
        ) { key in
            let verdict = self.verdict(for: key)
            if case .wait(let until, _) = verdict { soonest = min(soonest, until) }
            guard case .start = verdict, key != .none, key != .files else { return verdict }
            if chooseWorker(for: key) != nil { return .start }
            starved.append(key)
            return .full(.window)
        }
        swap(&board, &self.board)
        // The host has room, the worker that must take it has not: looked at again when a slot comes free.
        starvedHosts.formUnion(starved)
        hostLook = min(hostLook, soonest)
        return pick
    }

    /// A job enters the window.
    mutating func begin(_ pick: LaneBoard.Pick) {
        let job = pick.job
        guard tasks[job.seq] == nil else { return }
        // A twin fetches nothing. Last the suspects' turn: whose it is enters.
        let isTwin = if case .duplicate = pick.claim { true } else { false }
        guard isTwin || hasRoom(for: job) && suspects.admits(pick) else { return }
        let task = JobTask(job: job, claim: pick.claim, exists: plan.configuration.output.exists)
        if let path = task.path { task.home = mounts.home(of: path) }
        switch pick.claim {
        case .duplicate(_, let outcome?):
            enter(task)
            conclude(task, copy(of: outcome, for: task))
            return
        case .duplicate(let leader, nil):
            follow(job, leader)
            return
        case .taken where task.exists == .skip:
            enter(task)
            var outcome = outcome(.done, for: task)
            outcome.flags.append(.skipped)
            conclude(task, outcome)
            return
        case .taken where task.exists == .fail:
            enter(task)
            fail(task, JobError(.exists, "\(task.path?.description ?? "") is another job's output"))
            return
        case .taken, .granted: break
        }
        enter(task)
        switch job.work {
        case .sum(let range): startSum(task, range)
        case .download where job.errand?.file != nil: startLocalReading(task)
        case .download: if !digestsWholePart(task), !checksFirst(task) { startAttempt(task) }
        }
    }

    private mutating func enter(_ task: JobTask) { tasks[task.seq] = task }

    /// The first transfer of an attempt.
    private mutating func startAttempt(_ task: JobTask) {
        if stage(task) { return }
        guard let url = beginAttempt(task) else { return }
        _ = task.machine.handle(.started)
        if url.host == task.job.laneHost || mayStart(at: url.host) {
            send(task)
        } else {
            // A mirror on another host waits for that host's slot like a redirect does.
            act(task.machine.handle(.redirected), on: task)
        }
    }

    /// An attempt is charged, and its mirror chosen.
    /// - Parameter time: when its worker began it, where that was before now.
    mutating func beginAttempt(_ task: JobTask, at time: MonotonicTime? = nil) -> DownloadURL? {
        if let mirror = elsewhere(task) { task.mirrors?.take(mirror) }
        guard let url = task.givenURL else { return nil }
        task.attempts += 1
        let begun = min(time ?? now, now)
        let wall = WallTime(milliseconds: WallClock.milliseconds()) + (begun - now)
        if task.startedAt == nil { task.startedAt = wall }
        task.attemptStarted = begun
        if task.firstStarted == nil {
            // An attempt of an earlier run counts: the deadline runs from the first start of all.
            let ago = max(0, wall.rawValue - (task.startedAt ?? wall).rawValue)
            task.firstStarted = begun + .milliseconds(-min(ago, 1_000_000_000_000))
        }
        outbox.changes.append(.active(task.seq, attempts: task.attempts, startedAt: task.startedAt ?? wall))
        task.isActiveUncommitted = true
        task.url = url
        task.hops = 0
        task.isFromPublic = false
        task.hasLeftOrigin = false
        return url
    }

    /// Hops and second looks, before their host's queued jobs.
    /// - Returns: the last one that was started.
    mutating func startHops(atMost limit: Int = .max) -> JobSeq? {
        var last: JobSeq?
        var count = 0
        for key in Array(hostsWithHops) {
            while count < limit, let host = hosts[key], !host.hops.isEmpty, case .start = verdict(for: key),
                chooseWorker(for: key) != nil, let seq = hosts[key]?.hops.popFirst()
            {
                // Put back since, and on its way to another host by now: that one's turn.
                guard let task = tasks[seq], task.url?.host == key else { continue }
                switch task.machine.state {
                case .hopping, .ready:
                    _ = task.machine.handle(.started)
                    send(task)
                    last = seq
                    count += 1
                default: continue
                }
            }
            if hosts[key]?.hops.isEmpty ?? true { hostsWithHops.remove(key) } else { considerHost(key) }
        }
        return last
    }

    mutating func queueHop(_ task: JobTask) {
        guard let key = task.url?.host else { return }
        ensureHost(key)
        guard mayWait(task, for: key) else { return }
        hosts[key]?.hops.append(task.seq)
        hostsWithHops.insert(key)
    }

    /// Hands the transfer to a worker.
    private mutating func send(_ task: JobTask) {
        guard let url = task.url else { return }
        ensureHost(url.host)
        guard let worker = chooseWorker(for: url.host) else {
            // The caller asked before; should the answer have changed, the job waits its turn like a hop.
            act(task.machine.handle(.redirected), on: task)
            return
        }
        let stage = hosts[url.host]?.machine.stage
        takeSlot(task, host: url.host, worker: worker)
        let order = order(for: task, url, stage)
        promiseRoom(task)
        if suspects.isCareful(now), task.isActiveUncommitted {
            outbox.held.append((worker, order))
        } else {
            outbox.workers[worker, default: []].append(.start(order))
        }
        task.isActiveUncommitted = false
    }

    /// What the job's worker gets, under a name of its own.
    /// - Parameter stage: of the host, before this transfer had its slot.
    mutating func order(for task: JobTask, _ url: DownloadURL, _ stage: HostMachine.Stage?) -> TransferOrder {
        task.token = nextToken
        nextToken += 1
        tokens[task.token] = task.seq
        var built = orders.order(for: task, url: url)
        // A scout waits for nobody: there may be no connection any more.
        built.order.mayShareConnection = url.scheme == "https" && stage != .http1
        // Where libcurl opens more than we count, it is not asked for one beyond these.
        built.order.opensConnection =
            task.role == .opener && hosts[url.host]?.machine.spread.isProven ?? false
        built.order.streamsToProve = hosts[url.host]?.machine.streamsToProve
        built.order.waitsForMultiplex =
            built.order.mayShareConnection && stage == .http2 && task.role != .scout
        built.order.asksRanges = ranges.asksRanges(of: url.host)
        built.order.hostLimiter = hosts[url.host]?.limiter
        built.order.gate = gate(of: url.host)
        built.order.place = task.ownPlace
        built.order.helpers = helpers(task)
        for flag in built.flags where !task.flags.contains(flag) { task.flags.append(flag) }
        task.isProxied = !(built.order.proxy ?? "").isEmpty
        task.bytes = 0
        task.rate = RateMeter()
        return built.order
    }
}
