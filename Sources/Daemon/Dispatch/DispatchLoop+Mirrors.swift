// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Transfer

// Jobs with several URLs: `MirrorMachine` says which one is tried next, and that is carried out here. In the ledger such
// a job lies in the lane of the host that it tries next; it changes lanes with its next resting state. Read ahead in the
// lane of a host that is held, dead, or at its cap, it starts at another mirror that is free.
extension DispatchLoop {
    /// What becomes of the job when one of its URLs has failed so.
    mutating func passedOn(
        _ fate: RetryPolicy.Fate, of task: JobTask, _ error: JobError
    ) -> RetryPolicy.Fate {
        guard let mirrors = task.mirrors else { return fate }
        let policy = plan.retry(for: task.job.options)
        let pause = policy.pause(
            error.code, attempts: task.attempts, random: Double.random(in: 0..<1, using: &random))
        let broken = MirrorMachine.Break(
            error, fate, mayRetry: policy.maxAttempts <= 0 || task.attempts < policy.maxAttempts, pause: pause
        )
        let waits = Dictionary(mirrors.hosts.map { ($0, wait(for: $0)) }) { first, _ in first }
        var after = mirrors
        let passed = after.broke(broken) { waits[$0] ?? nil }
        task.mirrors = after
        return passed
    }

    /// The same of a file that came with a wrong digest.
    mutating func passedOn(
        _ verdict: MismatchPolicy.Verdict, of task: JobTask, _ error: JobError
    ) -> MismatchPolicy.Verdict {
        guard let mirrors = task.mirrors else { return verdict }
        var after = mirrors
        let goesOn = after.mismatched(
            error, isPure: task.resumed == 0 && !task.isShared, mayRepeat: verdict == .fetchAgain)
        task.mirrors = after
        return goesOn ? .fetchAgain : .fail
    }

    /// Some pieces of a file were wrong: another mirror is asked for them. This one is not dropped, for the others of its
    /// pieces were right.
    func passPiecesOn(_ task: JobTask, _ error: JobError) {
        guard var mirrors = task.mirrors else { return }
        _ = mirrors.mismatched(error, isPure: false, mayRepeat: true)
        task.mirrors = mirrors
    }

    /// One of its URLs is used up, for a reason of its own or of its host.
    mutating func exhaust(_ task: JobTask, _ error: JobError) {
        task.error = error
        carryOut(passedOn(.giveUp(error), of: task, error), of: task)
    }

    /// The mirror has told how long the file is; the others have to agree.
    func noteSize(_ response: ResponseFacts, of task: JobTask) {
        guard task.mirrors != nil, let status = response.httpStatus, status == 200 || status == 206,
            let size = response.contentLength
        else { return }
        task.mirrors?.measured(size)
    }

    /// With its next resting state, where there is something to be kept.
    mutating func noteMirrors(_ task: JobTask) {
        guard let mirrors = task.mirrors, mirrors.record != task.job.mirrors ?? MirrorRecord() else { return }
        outbox.changes.append(.mirrored(task.seq, host: mirrors.nextHost, record: mirrors.record))
    }

    /// Where the job starts instead, if nothing is asked of its next mirror's host just now, or no more.
    func elsewhere(_ task: JobTask) -> Int? {
        guard let mirrors = task.mirrors, hasJobsLeave(mirrors.nextHost) else { return nil }
        return mirrors.elsewhere { mayStart(at: $0) }
    }

    /// Whether a job of a host in trouble, or at its cap, starts at another one; if not now, it is remembered whom that depends on.
    mutating func mayGoElsewhere(_ entry: LaneBoard.Entry, from host: HostKey) -> Bool {
        guard case .download(let urls, _) = entry.job.work, urls.count > 1, hasJobsLeave(host) else {
            return false
        }
        let mirrors = MirrorMachine(hosts: urls.map(\.host), record: entry.job.mirrors, lane: host)
        if mirrors.elsewhere({ mayStart(at: $0) }) != nil { return true }
        for mirror in mirrors.live where mirrors.hosts[mirror] != host {
            let key = mirrors.hosts[mirror]
            mirrorHosts[key, default: []].insert(host)
            considerHost(key)
            // It has room, and no worker has.
            if verdict(for: key) == .start { starvedHosts.insert(key) }
        }
        return false
    }

    /// Jobs of other lanes may start here: those that stand still for their own host are looked at again.
    mutating func freeMirrored(by key: HostKey) {
        guard !mirrorHosts.isEmpty, mirrorHosts[key] != nil, mayStart(at: key) else { return }
        let slots = max(1, hosts[key]?.machine.room ?? 1)
        for host in mirrorHosts.removeValue(forKey: key) ?? [] { board.hostFreed(host, slots: slots) }
    }

    func mayStart(at key: HostKey) -> Bool { verdict(for: key) == .start && chooseWorker(for: key) != nil }

    /// Jobs of it that have mirrors may start at those. One that is being scouted, or climbs, has room in a moment.
    private func hasJobsLeave(_ key: HostKey) -> Bool {
        isInTrouble(key) || hosts[key]?.machine.isAtCap ?? false
    }

    /// Nothing is asked of it just now, and that is no matter of a slot.
    func isInTrouble(_ key: HostKey) -> Bool {
        if uplink.machine.isSuspect(key) { return true }
        guard let host = hosts[key] else { return false }
        if host.isGivingUp || host.hasGivenUp || host.machine.isHeld(now: now) { return true }
        // Its scout is out, and may be long in finding that it is still dead.
        return host.machine.failures > 0 && host.machine.room == 0
    }

    /// How long nothing may be asked of it; nil: no end is known.
    private func wait(for key: HostKey) -> Duration? {
        guard let host = hosts[key] else { return .zero }
        if host.isGivingUp || host.hasGivenUp { return nil }
        return host.machine.heldUntil.map { max(.zero, $0 - now) } ?? .zero
    }
}
