// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Transfer

/// Outcomes from what a task has gathered. No effects.
extension DispatchLoop {
    func outcome(_ state: JobState, for task: JobTask) -> Outcome {
        let end = WallTime(milliseconds: WallClock.milliseconds())
        var outcome = Outcome(state: state, endedAt: end)
        outcome.fetchedBytes = task.fetched
        outcome.resumedBytes = task.resumed
        outcome.attempts = task.attempts
        outcome.flags = task.flags
        outcome.startedAt = task.startedAt
        outcome.finalURL = task.finalURL
        outcome.worker = task.workerName
        outcome.value = task.sumValue
        if let response = task.response {
            outcome.contentType = response.contentType
            outcome.etag = response.etag
            outcome.lastModified = response.lastModified
            outcome.httpStatus = response.httpStatus
            outcome.httpVersion = response.httpVersion
            outcome.remoteIP = response.remoteIP
        }
        if state == .done {
            outcome.path = task.job.errand == nil ? task.path : nil
            outcome.digest = task.digest
            outcome.bytes = task.part?.size
        }
        outcome.timings = timings(of: task, end: end)
        return outcome
    }

    func doneOutcome(for task: JobTask) -> Outcome {
        if var outcome = task.outcomeBeforeCrash {
            // What that run knew of the transfer, this run's end.
            outcome.path = task.path
            outcome.endedAt = WallTime(milliseconds: WallClock.milliseconds())
            return outcome
        }
        var outcome = outcome(.done, for: task)
        if task.part?.isLengthVerified == false, task.job.options.checksum == nil,
            task.job.options.pieces == nil
        {
            outcome.flags.append(.lengthUnverified)
        }
        return outcome
    }

    func cancelledOutcome(for task: JobTask) -> Outcome {
        var outcome = outcome(.cancelled, for: task)
        outcome.error = JobError(.cancelled, "cancelled on request")
        return outcome
    }

    /// A twin's outcome for another job: its file, its error, no bytes of its own.
    func copy(of outcome: Outcome, for task: JobTask) -> Outcome {
        var copy = outcome
        let end = WallTime(milliseconds: WallClock.milliseconds())
        copy.endedAt = end
        copy.startedAt = nil
        copy.fetchedBytes = 0
        copy.resumedBytes = 0
        copy.attempts = 0
        copy.worker = nil
        copy.timings = timings(of: task, end: end)
        if !copy.flags.contains(.duplicate) { copy.flags.append(.duplicate) }
        return copy
    }

    func record(of task: JobTask, _ outcome: Outcome) -> ResultRecord {
        let kind: ResultRecord.Kind =
            switch task.job.work {
            case .sum(let range): .sum(range)
            case .download(let urls, _):
                .download(
                    urls: task.job.errand?.file.map { [$0] } ?? urls.map(\.text),
                    host: urls.first?.host ?? .none)
            }
        return ResultRecord(
            list: task.job.lane.list, line: task.job.line, seq: task.seq, job: task.job.id,
            userID: task.job.options.id, kind: kind, options: task.job.sharedOptions, state: outcome.state,
            outcome: outcome)
    }

    private func timings(of task: JobTask, end: WallTime) -> JobTimings {
        var timings = task.timings
        let admitted = task.job.admittedAt.rawValue
        let started = task.startedAt?.rawValue ?? end.rawValue
        // Wall clocks jump: a phase is never below zero.
        timings.queued = max(0, started &- admitted) &* 1_000_000
        timings.waiting = task.waited
        timings.total = max(0, end.rawValue &- admitted) &* 1_000_000
        if let began = task.publishStarted {
            let here = MonotonicTime(nanoseconds: Monotonic.nanoseconds())
            timings.publish = max(0, (here - began).nanosecondsClamped)
        }
        return timings
    }
}
