// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Publish
import SumPool
import Transfer

extension DispatchLoop {
    /// Carries out what the machine answered. The one place where a job's state has effects.
    mutating func act(_ action: JobMachine.Action, on task: JobTask) {
        switch action {
        case .none, .tooLate: break
        case .stopTransfer(let keepsPart):
            guard let worker = task.worker else { return }
            noteWithdrawal(task)
            outbox.workers[worker, default: []].append(
                .cancel(token: task.token, keepsPart: keepsPart && !task.isPartSuspect))
        case .stopSum:
            // No answer follows a cancel: the sum is over as of now.
            outbox.sums.append(.cancel(task.seq))
            endSum()
            act(task.machine.handle(.stopped(keepsPart: false)), on: task)
        case .digestPart: digestPart(task)
        case .readDigests:
            readDigests(task)
        case .digestExisting:
            guard let path = task.path else { return }
            outbox.sums.append(
                .look(
                    task.seq, directory: plan.outputRoot, name: path.description, digestAlgorithm(for: task)))
        case .startTransfer, .queueHop:
            queueHop(task)
        case .syncPart:
            task.publishStarted = now
            outbox.sync[publisher(for: task), default: []].append(item(for: task))
            // The publisher's from here on: closed on its thread, for a close may block.
            task.part?.file = nil
        case .claimName:
            guard let path = task.servedPath, case .download(let urls, _) = task.job.work else { return }
            outbox.ledger.append(.name(task.seq, path, url: urls.first?.text ?? ""))
        case .commitPublishing:
            guard let part = task.part, let path = task.path else { return }
            let outcome = doneOutcome(for: task)
            outbox.changes.append(
                .publishing(
                    task.seq, part: part.name, path: path, device: part.device, inode: part.inode,
                    size: part.size,
                    outcome: outcome))
            outbox.commits.append((task.seq, .committed))
        case .rename:
            outbox.rename[publisher(for: task), default: []].append(item(for: task))
        case .askNumber:
            guard let base = basePath(of: task) else { return }
            outbox.ledger.append(.suffix(task.seq, base))
        case .keepPart:
            outbox.publish[0, default: []].append(
                .keep(task.seq, partName: task.partName, home: task.home))
        case .commitRest(let rest):
            commitRest(rest, of: task)
        case .commitEnd:
            if task.outcome == nil { task.outcome = cancelledOutcome(for: task) }
            guard let outcome = task.outcome else { return }
            settlePart(of: task, outcome)
            outbox.changes.append(.ended(task.seq, outcome))
            outbox.commits.append((task.seq, .endCommitted))
        case .leaveWindow:
            leave(task)
        }
    }

    /// The job has its terminal outcome.
    mutating func conclude(_ task: JobTask, _ outcome: Outcome) {
        task.outcome = outcome
        act(task.machine.handle(.concluded), on: task)
    }

    mutating func fail(_ task: JobTask, _ error: JobError) {
        var outcome = outcome(.failed, for: task)
        outcome.error = error
        switch task.machine.state {
        case .transferring, .doubted:
            guard keepsPart(of: task, outcome) else { return conclude(task, outcome) }
            task.outcome = outcome
            act(task.machine.handle(.gaveUp), on: task)
        default: conclude(task, outcome)
        }
    }

    mutating func discardPart(_ task: JobTask) {
        guard !task.partName.isEmpty else { return }
        remove([task.partName], home: task.home)
    }

    /// Parts that a job begins from here on have other names: the publisher removes when it comes to it.
    mutating func remove(_ parts: [String], home: PartHome) {
        for name in parts { orders.firstPart = max(orders.firstPart, PartName(name)?.next ?? 0) }
        outbox.publish[0, default: []].append(.discard(parts, home: home))
    }

    private mutating func commitRest(_ rest: JobMachine.Rest, of task: JobTask) {
        // Stopped by a wish, not by a fault: the attempt is not charged.
        if task.machine.request != nil { task.attempts = max(task.job.attempts, task.attempts - 1) }
        task.rested = rest
        noteMirrors(task)
        let change: JobChange
        switch rest {
        case .waiting:
            let due = WallTime(milliseconds: WallClock.milliseconds()) + task.retryDelay
            let error = task.error ?? JobError(.stalled, "to be tried again")
            change = .waiting(
                task.seq, due: due, attempts: task.attempts, fetchedBytes: task.fetched,
                waited: task.waited, error: error, resume: task.resume)
            if nextDue.map({ due < $0 }) ?? true { nextDue = due }
            view.note(error: error, of: task.job)
        case .paused:
            change = .paused(
                task.seq, attempts: task.attempts, fetchedBytes: task.fetched, resume: task.resume)
        case .requeued:
            change = .requeued(
                task.seq, attempts: task.attempts, fetchedBytes: task.fetched, waited: task.waited,
                resume: task.resume)
        }
        outbox.changes.append(change)
        outbox.commits.append((task.seq, .restCommitted))
    }

    /// Out of the window: the credit is free, twins end, late requests go on to the ledger.
    private mutating func leave(_ task: JobTask) {
        tasks[task.seq] = nil
        tokens[task.token] = nil
        suspects.left(task.seq)
        if task.job.errand?.file != nil { endLocalReading() }
        endCheck(task)
        view.left(task)
        if let outcome = task.outcome, case .ended = task.machine.state {
            ports.jobsLog(record(of: task, outcome))
            endFollowers(of: task.seq, as: outcome)
            if outcome.state == .done, task.job.options.pieces != nil {
                outbox.ledger.append(.dropPieces(task.seq))
            }
        } else if task.rested == .requeued, !haltedLists.contains(task.job.lane.list) {
            // Its row lies before the lane's cursor: read it again.
            board.reread(task.job.lane)
        }
        for command in lateRequests.removeValue(forKey: task.seq) ?? [] {
            outbox.ledger.append(.command(command))
        }
    }

    func digestAlgorithm(for task: JobTask) -> DigestAlgorithm {
        task.job.options.checksum?.algorithm ?? plan.configuration.digest.always ?? .sha256
    }

    private func publisher(for task: JobTask) -> Int {
        (task.part?.size ?? 0) > Self.largeFile ? ports.publishers.count - 1 : 0
    }

    private func item(for task: JobTask) -> PublishItem {
        let replaces = task.exists == .overwrite || task.exists == .update
        var item = PublishItem(
            seq: task.seq, partName: task.partName, device: task.part?.device ?? 0,
            inode: task.part?.inode ?? 0,
            size: task.part?.size ?? 0, path: task.path ?? OutputPath(trusted: "index"), replaces: replaces,
            home: task.home, file: task.part?.file)
        item.mark = plan.configuration.digest.write
        item.digest = task.outcomeBeforeCrash?.digest ?? task.digest
        return item
    }

    func basePath(of task: JobTask) -> OutputPath? {
        if let served = task.servedPath { return served }
        return if case .download(_, let path) = task.job.work { path } else { nil }
    }
}
