// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
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
        case .failed(let seq, let error):
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

    private mutating func sumFailed(_ task: JobTask, _ error: JobError) {
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
            // The file in place cannot be read: whatever it is, it is not known to be current.
            act(task.machine.handle(.checkDiffers), on: task)
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
            act(task.machine.handle(.checkDiffers), on: task)
        case .digesting where task.isPartSuspect:
            startOver(task)
        case .digesting:
            task.digest = found
            if let wanted, found != wanted, task.resumed > 0 {
                // Whose fault it is cannot be told: the last word has a file that came in one piece.
                remark(
                    .notice, "a resumed file has another digest, it is fetched again from zero",
                    [("job", "\(task.job.id)")])
                startOver(task)
            } else if let wanted, found != wanted {
                discardPart(task)
                fail(task, JobError(.digestMismatch, "expected \(wanted), received \(found)"))
            } else {
                task.digest = found
                act(task.machine.handle(.digestMatched), on: task)
            }
        default: break
        }
    }
}
