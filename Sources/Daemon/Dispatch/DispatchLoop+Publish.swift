// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Publish
import SystemPackage
import Transfer

extension DispatchLoop {
    mutating func publishReported(_ event: PublishEvent) {
        switch event {
        case .synced(let seqs):
            for seq in seqs { step(seq, tasks[seq]?.servedPath == nil ? .synced : .syncedForNewName) }
        case .syncFailed(let seq, let trouble):
            guard let task = tasks[seq] else { return }
            if trouble.isUntried { return stall(task, trouble) }
            // After a failed fsync nobody knows what is on disk: the part goes, a second fsync is not believed.
            discardPart(task)
            task.part = nil
            task.resume = nil
            publishBroke(task, trouble)
        case .renamed(let seqs):
            for seq in seqs {
                guard let task = tasks[seq] else { continue }
                conclude(task, doneOutcome(for: task))
            }
        case .nameTaken(let seq):
            guard let task = tasks[seq] else { return }
            nameTaken(task)
        case .renameFailed(let seq, let trouble):
            guard let task = tasks[seq] else { return }
            renameBroke(task, trouble)
        case .kept(let seq, let result):
            guard let task = tasks[seq] else { return }
            kept(task, result)
        case .checkpointed(let seq, let token, let result):
            checkpointed(seq, token, result)
        case .unmarked(_, let why):
            // The file is whole and done all the same.
            remark(.warning, "a digest could not be written beside its file", [("why", why)])
        }
    }

    /// The data is on disk and `publishing` is committed: the rename comes next, or once more.
    mutating func goOn(with publish: InterruptedPublish) {
        let task = JobTask(
            job: publish.job, claim: .granted(known: nil), exists: plan.configuration.output.exists)
        task.machine = .interruptedPublish
        task.path = publish.path
        task.home = mounts.home(of: publish.path)
        task.part = PartFile(
            name: publish.part, device: publish.device, inode: publish.inode, size: publish.size,
            isLengthVerified: true)
        task.outcomeBeforeCrash = publish.outcome
        task.publishStarted = now
        tasks[task.seq] = task
        act(task.machine.handle(.committed), on: task)
    }

    private mutating func step(_ seq: JobSeq, _ event: JobMachine.Event) {
        guard let task = tasks[seq] else { return }
        act(task.machine.handle(event), on: task)
    }

    /// The answer about the server's own name. As at a start: another job's name matters to `skip` and `fail`; for
    /// the others the rename decides.
    mutating func named(_ task: JobTask, _ claim: PathClaim) {
        task.path = task.servedPath
        let isHeld =
            switch claim {
            case .taken, .duplicate(_, ended: nil): true
            case .granted, .duplicate: false
            }
        switch task.exists {
        case .skip where isHeld, .fail where isHeld: nameTaken(task)
        case .rename, .overwrite, .skip, .update, .fail: act(task.machine.handle(.named), on: task)
        }
    }

    private mutating func nameTaken(_ task: JobTask) {
        switch task.exists {
        case .rename, .overwrite, .update:
            act(task.machine.handle(.nameTaken), on: task)
        case .skip:
            discardPart(task)
            var outcome = outcome(.done, for: task)
            outcome.flags.append(.skipped)
            conclude(task, outcome)
        case .fail:
            discardPart(task)
            fail(task, JobError(.exists, "\(task.path?.description ?? "") appeared while it was fetched"))
        }
    }

    /// A rename may have happened though its directory could not be synced: it is asked for once more when the
    /// trouble is over, which harms nothing, and only given up when the disk is well and it fails all the same.
    private mutating func renameBroke(_ task: JobTask, _ trouble: PublishTrouble) {
        if trouble.systemCode == Errno.improperLink.rawValue { return otherMount(task, trouble) }
        if !trouble.isUntried { task.renameFailures += 1 }
        guard trouble.error.code == .disk,
            task.renameFailures < Self.maxRenames || disks.pauseReason(task.home) != nil
        else {
            return publishBroke(task, trouble)
        }
        stall(task, trouble)
    }

    /// Something was mounted over the way to the final path since the part was begun, or taken away: it is begun
    /// anew where it belongs by now.
    private mutating func otherMount(_ task: JobTask, _ trouble: PublishTrouble) {
        discardPart(task)
        remark(.warning, "fetched again beside its final path", [("why", trouble.error.message)])
        ports.prepareHome(.output)
        requeue(task)
    }

    /// Disk trouble pauses and charges nothing; what is the path's own fault ends the job.
    private mutating func publishBroke(_ task: JobTask, _ trouble: PublishTrouble) {
        guard trouble.error.code == .disk else {
            discardPart(task)
            return fail(task, trouble.error)
        }
        diskBroke(task.home, trouble.systemCode, trouble.error.message)
        requeue(task)
    }

    private mutating func requeue(_ task: JobTask) {
        task.part = nil
        task.resume = nil
        task.attempts = max(0, task.attempts - 1)
        act(task.machine.handle(.broke(.requeued, keepsPart: false)), on: task)
    }
}
