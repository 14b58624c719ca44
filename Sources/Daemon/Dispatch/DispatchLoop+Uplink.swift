// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import JobModel
import LinuxKit
import Transfer

/// What the dispatcher keeps while the machine's own network is in doubt or down.
struct UplinkWatch {
    /// A failure that nobody has been charged for yet.
    struct Doubt {
        let failure: TransferFailure
        let host: HostKey?
    }
    /// News comes through a worker's turn and a mailbox: so old may an answer be when it is heard of.
    static let lag = Duration.milliseconds(250)
    /// Progress is reported a quarter of a second late at most, and then as above.
    static let progressLag = Duration.milliseconds(600)

    var machine: UplinkMachine
    /// Bounded by the window that their jobs are in.
    var doubts: [JobSeq: Doubt] = [:]
    /// The one transfer that may be out while the network is down.
    var probe: JobSeq?
    /// For people.
    var downSince: WallTime?
    /// A question to the resolver is out; one at a time.
    var isAsking = false
}

extension DispatchLoop {
    /// Something answered, so long ago at most.
    mutating func uplinkProved(lag: Duration = UplinkWatch.lag) {
        // The usual case, once a transfer: nothing to find out.
        if case .up = uplink.machine.state { return }
        heed(uplink.machine.proved(at: now + (.zero - lag)))
    }

    /// Whether somebody else than the job or its host may be at fault: then it has been put aside or put back.
    mutating func isDoubted(_ task: JobTask, _ failure: TransferFailure, host key: HostKey?) -> Bool {
        let sign = sign(of: failure)
        if sign == .answered { uplinkProved() }
        guard sign != .none, let host = key ?? task.url?.host else { return false }
        switch uplink.machine.failed(sign, at: host, hostsInPlay: hostsInPlay, now: now) {
        case .charge: return false
        case .doubt:
            uplink.doubts[task.seq] = UplinkWatch.Doubt(failure: failure, host: key)
            act(task.machine.handle(.doubted(keepsPart: failure.resume != nil)), on: task)
        case .forgive: forgive(task, failure)
        }
        if failure.uplink == .noName { ask(host) }
        return true
    }

    /// A host without a way to it is that host's trouble as long as others could be reached; a name that is not
    /// resolved on a machine without any way out is not the name's. On a local network that has none, a host that does
    /// not answer is a host that does not answer.
    private func sign(of failure: TransferFailure) -> UplinkSign {
        switch failure.uplink {
        case .noRoute: NetworkFacts.hasDefaultRoute() ? .none : .noRoute
        case .noName: NetworkFacts.hasDefaultRoute() ? .noName : .noRoute
        case .noAnswer, .stalled, .answered, .none: failure.uplink
        }
    }

    /// Hosts with jobs that have not ended, as far as the machine wants to count.
    private var hostsInPlay: Int {
        var keys = Set(view.hostCounts.keys.lazy.filter { $0 != .none }.prefix(UplinkMachine.hostsNeeded))
        for task in tasks.values where keys.count < UplinkMachine.hostsNeeded {
            if let key = task.url?.host { keys.insert(key) }
        }
        return keys.count
    }

    /// Back to the queue as if the attempt had not been.
    private mutating func forgive(_ task: JobTask, _ failure: TransferFailure) {
        task.attempts = max(task.job.attempts, task.attempts - 1)
        act(task.machine.handle(.broke(.requeued, keepsPart: failure.resume != nil)), on: task)
    }

    /// A resolver that says "no such name" has spoken; libcurl does not tell it from one that is silent.
    private mutating func ask(_ host: HostKey) {
        guard !uplink.isAsking, plan.configuration.network.proxy == nil else { return }
        uplink.isAsking = true
        let name = String(host.rawValue.prefix { $0 != ":" })
        let asked = now
        let inbox = inbox
        // May hang for as long as the resolver does: a thread of its own, and nobody waits for it.
        WorkerThread(name: "dld-resolve") {
            inbox.send(.nameAsked(NetworkFacts.lookUp(name), at: asked))
        }.abandon()
    }

    mutating func nameAnswered(_ answer: NetworkFacts.NameAnswer, at asked: MonotonicTime) {
        uplink.isAsking = false
        // A name that is found may come from a cache on this machine.
        if answer == .notFound { heed(uplink.machine.proved(at: asked)) }
    }

    /// The clock's part; called when it is due.
    mutating func lookAtUplink() {
        guard let look = uplink.machine.nextLook, look <= now else { return }
        heed(uplink.machine.look(hostsInPlay: hostsInPlay, now: now))
        // Else its time would stand in the past, and the loop never sleep.
        if uplink.machine.isProbeDue(now: now), !maySendProbe { uplink.machine.probeEnded(now: now) }
    }

    /// Not while something else keeps everything from starting: a disk, the ledger, the end.
    private var maySendProbe: Bool {
        if case .running = mode { pauseReason?.0 == .network } else { false }
    }

    /// How long nothing has answered. Out of line: the optimiser of Swift 6.3 stops at its inlined borrow.
    @inline(never)
    private func silence() -> Duration { uplink.machine.downSince.map { now - $0 } ?? .zero }

    private mutating func heed(_ news: UplinkMachine.News) {
        switch news {
        case .none: return
        case .settled:
            settleDoubts { loop, task, doubt in loop.charge(task, doubt.failure, host: doubt.host) }
        case .wentDown:
            uplink.downSince = WallTime(milliseconds: WallClock.milliseconds()) + (.zero - silence())
            remark(.error, "network down: nothing answers; one probe at a time until something does")
            settleDoubts { loop, task, doubt in loop.forgive(task, doubt.failure) }
        case .cameUp:
            if uplink.downSince != nil { remark(.notice, "the network is back") }
            uplink.downSince = nil
        case .blamed:
            uplink.downSince = nil
            remark(
                .error, "the network has been down for hosts.default.give_up: jobs are charged from now on")
        }
        view.isDirty = true
        // Their lanes waited for this.
        for host in board.parkedHosts { freed(host) }
    }

    private mutating func settleDoubts(
        _ settle: (inout DispatchLoop, JobTask, UplinkWatch.Doubt) -> Void
    ) {
        let doubts = uplink.doubts
        uplink.doubts = [:]
        for (seq, doubt) in doubts {
            // Cancelled, paused or put back by a wish meanwhile.
            guard let task = tasks[seq], case .doubted = task.machine.state else { continue }
            settle(&self, task, doubt)
        }
    }

    /// While the network is down: one transfer, of another lane each time, to see whether it is back.
    mutating func startProbe() {
        guard maySendProbe, uplink.probe == nil, uplink.machine.isProbeDue(now: now) else { return }
        if let seq = startHops(atMost: 1) { return probe(seq) }
        while tasks.count < plan.window, let pick = nextPick() {
            begin(pick)
            // A sum, or a job that ends without a request: it needs no network.
            guard tasks[pick.job.seq]?.slot != nil else { continue }
            return probe(pick.job.seq)
        }
        uplink.machine.probeEnded(now: now)
    }

    private mutating func probe(_ seq: JobSeq) {
        uplink.probe = seq
        uplink.machine.probeStarted()
    }

    /// Before anything else is made of a transfer's end.
    mutating func noteProbe(_ seq: JobSeq) {
        guard uplink.probe == seq else { return }
        uplink.probe = nil
        uplink.machine.probeEnded(now: now)
    }

    /// `network down since 14:03`.
    var networkTrouble: String? {
        guard uplink.machine.downSince != nil, let since = uplink.downSince else { return nil }
        return "network down since "
            + LocalTime.text(since, now: WallTime(milliseconds: WallClock.milliseconds()))
    }
}
