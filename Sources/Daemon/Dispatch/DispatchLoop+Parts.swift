// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Publish
import SystemPackage
import Transfer

// What is kept of parts while they grow, after a failure, and for how long.
extension DispatchLoop {
    static var partLookInterval: Duration { .seconds(3600) }
    /// Between two batches of expired parts: the unlinks of one are done by then.
    static var partBatchInterval: Duration { .milliseconds(100) }

    /// A transfer has handed more to the kernel; once it is on the disk the ledger is told.
    mutating func reached(_ checkpoint: Checkpoint, by task: JobTask) {
        guard !task.isPartSuspect else { return }
        var checkpoint = checkpoint
        checkpoint.fetchedBytes += task.fetched
        if let due = task.checkpoints.reached(checkpoint, token: task.token) { sync(due, of: task) }
    }

    private mutating func sync(_ checkpoint: Checkpoint, of task: JobTask) {
        outbox.publish[ports.publishers.count - 1, default: []].append(
            .checkpoint(task.seq, token: task.token, partName: checkpoint.resume.part, home: task.home))
    }

    /// Nobody waits for a checkpoint. One that comes when the job has moved on is nobody's any more: what it was
    /// about is in the job's next state, or gone.
    mutating func checkpointed(_ seq: JobSeq, _ token: UInt64, _ result: PartSyncResult) {
        guard let task = tasks[seq], task.token == token else { return }
        switch task.machine.state {
        case .transferring, .digesting: break
        default: return
        }
        let (stored, next) = task.checkpoints.synced(token: token)
        switch result {
        case .stored:
            if let stored {
                task.storedPoint = stored.resume
                outbox.changes.append(
                    .checkpoint(seq, fetchedBytes: stored.fetchedBytes, resume: stored.resume))
            }
            if let next { sync(next, of: task) }
        case .missed:
            if let next { sync(next, of: task) }
        case .lost:
            // After a failed sync nobody knows what is on the disk: nothing of this part is believed any more.
            task.checkpoints.forget()
            task.isPartSuspect = true
            let part = task.partName.isEmpty ? "a part" : task.partName
            diskBroke(task.home, Errno.ioError.rawValue, "fdatasync of \(part) failed")
            _ = ask(.requeue, of: task)
        }
    }

    /// The transfer is over, and what it received was to go to the disk.
    mutating func kept(_ task: JobTask, _ result: PartSyncResult) {
        task.isPartSynced = result == .stored
        switch result {
        case .stored: break
        // Its disk is not there just now: what the ledger knows of the part is as good as it was.
        case .missed: task.resume = task.storedPoint?.part == task.resume?.part ? task.storedPoint : nil
        case .lost:
            discardPart(task)
            task.resume = nil
        }
        act(task.machine.handle(.kept), on: task)
    }

    /// What was received is no good: once more, from zero, at no charge.
    mutating func startOver(_ task: JobTask) {
        discardPart(task)
        task.part = nil
        task.resume = nil
        task.attempts = max(0, task.attempts - 1)
        act(task.machine.handle(.broke(.requeued, keepsPart: false)), on: task)
    }

    /// A part that was whole when an earlier run ended needs no request where the list's digest can tell.
    mutating func digestsWholePart(_ task: JobTask) -> Bool {
        guard let point = task.resume, point.isWhole,
            task.job.options.checksum != nil || task.job.options.pieces != nil,
            task.job.options.size.map({ $0 == point.bytes }) ?? true,
            plan.configuration.limits.maxFileSize.map({ point.bytes <= $0 }) ?? true
        else { return false }
        // The attempt that fetched it was charged.
        task.attempts = max(1, task.attempts)
        let wall = WallTime(milliseconds: WallClock.milliseconds())
        task.startedAt = task.startedAt ?? wall
        task.attemptStarted = now
        outbox.changes.append(.active(task.seq, attempts: task.attempts, startedAt: task.startedAt ?? wall))
        task.part = PartFile(
            name: point.part, device: point.device, inode: point.inode, size: point.bytes,
            isLengthVerified: true)
        task.resume = nil
        task.resumed = point.bytes
        task.isShared = point.isShared ?? false
        task.foundWhole = true
        task.finalURL = point.url
        task.response = ResponseFacts()
        task.response?.etag = point.etag
        task.response?.lastModified = point.lastModified
        act(task.machine.handle(.foundWhole), on: task)
        return true
    }
}

// After the end of a job without a file.
extension DispatchLoop {
    func keepsPart(of task: JobTask, _ outcome: Outcome) -> Bool {
        task.resume != nil && !task.isPartSuspect && outcome.state == .failed && task.job.errand == nil
            && PartRetention.keeps(outcome.error) && plan.configuration.retention.parts > .zero
    }

    /// With the end the ledger notes what lies there for a later job; or it goes.
    mutating func settlePart(of task: JobTask, _ outcome: Outcome) {
        guard let resume = task.resume else { return }
        if !keepsPart(of: task, outcome) {
            discardPart(task)
        } else if task.isPartSynced {
            outbox.changes.append(.checkpoint(task.seq, fetchedBytes: task.fetched, resume: resume))
        }
        // Else it ended without a transfer, and the ledger's own point is as good as it was.
    }

    mutating func expireParts() {
        nextPartLook = now + Self.partLookInterval
        // On a disk that is not there nothing can be removed, and a row that is gone is not looked at again.
        guard !disks.isMissing(.output) else { return }
        let age = plan.configuration.retention.parts
        let time = WallTime(milliseconds: WallClock.milliseconds()) + (.zero - age)
        outbox.ledger.append(.expireParts(endedBefore: max(time, WallTime(milliseconds: 1))))
        for home in [.output] + mounts.homes where !disks.isMissing(home) {
            outbox.publish[ports.publishers.count - 1, default: []].append(
                .emptyQuarantine(before: time, home: home))
        }
    }

    mutating func partsExpired(_ parts: [ExpiredPart], isLast: Bool) {
        for (home, group) in Dictionary(grouping: parts, by: { mounts.home(of: $0.path) }) {
            remove(group.map(\.name), home: home)
        }
        if !isLast { nextPartLook = min(nextPartLook, now + Self.partBatchInterval) }
    }

    /// A host that answered a range with something else is not asked for one again.
    mutating func noteRanges(_ conduct: RangeConduct, host key: HostKey?) {
        guard conduct != .fair, let key else { return }
        if ranges.note(conduct, of: key) {
            outbox.ledger.append(.rangeConduct(key, lies: true))
            remark(
                .notice, "the host answers ranges with something else; no range is asked of it from now on",
                [("host", key.rawValue)])
        }
    }
}
