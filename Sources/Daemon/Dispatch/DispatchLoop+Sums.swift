// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Publish
import SumPool

extension DispatchLoop {
    mutating func startSum(_ task: JobTask, _ range: SumRange) {
        task.attempts += 1
        let wall = WallTime(milliseconds: WallClock.milliseconds())
        if task.startedAt == nil { task.startedAt = wall }
        outbox.changes.append(.active(task.seq, attempts: task.attempts, startedAt: task.startedAt ?? wall))
        activeSums += 1
        _ = task.machine.handle(.sumStarted)
        outbox.sums.append(.sum(task.seq, range))
    }

    mutating func sumReported(_ event: SumEvent) {
        switch event {
        case .summed(let seq, let value, let timings):
            guard let task = tasks[seq], case .summing = task.machine.state else { return }
            task.sumValue = value
            record(timings, on: task)
            endSum()
            conclude(task, outcome(.done, for: task))
        case .digested(let seq, let checksum, let timings):
            guard let task = tasks[seq] else { return }
            record(timings, on: task)
            digested(task, checksum)
        case .pieced(let number, let digests, let timings): pieced(number, digests, timings)
        case .bundled: break  // an audit's
        case .found(let seq, let size): tasks[seq]?.foundSize = size
        case .failed(let seq, let error):
            if pieceRunFailed(seq, error) { return }
            guard let task = tasks[seq] else { return }
            sumFailed(task, error)
        case .state(let state):
            sumPoolChanged(state)
        }
    }

    private func record(_ timings: SumTimings, on task: JobTask) {
        task.workerName = "sum-\(timings.worker)"
        task.timings.run = timings.run
        task.timings.cpu = timings.cpu
    }

    mutating func endSum() {
        activeSums -= 1
        freed(.none)
    }

    mutating func sumFailed(_ task: JobTask, _ error: JobError) {
        switch task.machine.state {
        case .summing:
            endSum()
            fail(task, error)
        case .digesting where task.foundWhole:
            // The file that was whole is not there any more.
            startOver(task)
        case .digesting:
            discardPart(task)
            fail(task, error)
        case .checking:
            // The file in place cannot be read, or is not there: whatever it is, it is not known to be current.
            checkDiffers(task)
        default: break
        }
    }

    /// A digest came back: of the received part, or of the file already in place.
    private mutating func digested(_ task: JobTask, _ found: Checksum) {
        let wanted = task.job.options.checksum
        switch task.machine.state {
        case .checking where found == wanted:
            task.digest = found
            var outcome = outcome(.done, for: task)
            outcome.bytes = task.foundSize
            outcome.flags.append(task.mayBeRecovered ? .recovered : .unchanged)
            conclude(task, outcome)
        case .checking:
            checkDiffers(task)
        case .digesting where task.isPartSuspect:
            startOver(task)
        case .digesting where looksAtPieces(task, wanted: wanted, found: found): break
        case .digesting:
            if let wanted, found != wanted { return mismatched(task, wanted: wanted, found: found) }
            task.digest = found
            act(task.machine.handle(.digestMatched), on: task)
        default: break
        }
    }

    /// The file is another than was asked for: once more, then never.
    mutating func mismatched(_ task: JobTask, wanted: Checksum, found: Checksum) {
        let verdict = MismatchPolicy.verdict(earlier: task.job.mismatches)
        let plain = MismatchPolicy.error(wanted: wanted, found: found, keptAs: nil)
        noteShares(task)
        switch unshare(task) ? .fetchAgain : passedOn(verdict, of: task, plain) {
        case .fetchAgain:
            remark(
                .notice, "a file has a wrong digest, it is fetched again from zero",
                [("job", "\(task.job.id)"), ("why", plain.message)])
            discardPart(task)
            task.part = nil
            task.resume = nil
            task.error = plain
            task.retryDelay = .zero
            act(task.machine.handle(.broke(.waiting, keepsPart: false)), on: task)
        case .fail:
            let kept = quarantinePart(of: task)
            let error = MismatchPolicy.error(wanted: wanted, found: found, keptAs: kept)
            fail(task, task.mirrors?.summary(error) ?? error)
        }
    }

    /// The bad part is moved aside, where that is asked for; else it goes.
    mutating func quarantinePart(of task: JobTask) -> String? {
        let configuration = plan.configuration
        guard configuration.digest.keepsBad, configuration.retention.parts > .zero, let path = task.path
        else {
            discardPart(task)
            return nil
        }
        let name = QuarantineName.name(of: task.job.id, path)
        outbox.publish[0, default: []].append(.quarantine(task.partName, as: name, home: task.home))
        return name
    }
}
