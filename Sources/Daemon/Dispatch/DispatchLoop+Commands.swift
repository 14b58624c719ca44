// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit

extension DispatchLoop {
    /// A wish from the control socket. What is in the window is told here; all the rest is the ledger's.
    mutating func commanded(_ command: ControlCommand) {
        switch command.target {
        case .job(let seq, let lane):
            jobCommanded(seq, lane, command)
        case .list(let list):
            listCommanded(list, command)
        case .host(let key):
            ensureHost(key)
            command.answer(.success(releaseHost(key) ? 1 : 0))
        }
    }

    private mutating func jobCommanded(_ seq: JobSeq, _ lane: LaneKey?, _ command: ControlCommand) {
        if let lane { board.discard(seq, in: lane) }
        guard let task = tasks[seq], let request = request(for: command.verb) else {
            outbox.ledger.append(.command(command))
            return
        }
        switch task.machine.state {
        case .keeping, .resting:
            // On its way to a resting state, where the ledger can apply it.
            lateRequests[seq, default: []].append(command)
        case .ending, .ended, .rested, .digesting, .syncing, .committing, .renaming, .numbering:
            command.answer(.failure(JobError(.badOption, "job \(task.job.id) is being published; too late")))
        case .ready, .transferring, .hopping, .checking, .summing:
            act(task.machine.handle(.requested(request)), on: task)
            command.answer(.success(1))
        }
    }

    private mutating func listCommanded(_ list: ListID, _ command: ControlCommand) {
        switch command.verb {
        case .pause:
            haltedLists.insert(list)
            board.remove(list)
            request(.requeue, ofList: list)
        case .cancel:
            board.remove(list)
            request(.cancel, ofList: list)
        case .resume, .retry: break
        }
        outbox.ledger.append(.command(command))
    }

    private func request(for verb: ControlCommand.Verb) -> JobMachine.Request? {
        switch verb {
        case .cancel: .cancel
        case .pause: .pause
        case .resume, .retry: nil
        }
    }

    private mutating func request(_ request: JobMachine.Request, ofList list: ListID) {
        for task in Array(tasks.values) where task.job.lane.list == list { ask(request, of: task) }
    }

    /// Stops what can be stopped, parts kept; what is being published ends by itself.
    mutating func stopTransfers(within limit: Duration) {
        if case .stopping(let until) = mode {
            mode = .stopping(until: min(until, now + limit))
            return
        }
        mode = .stopping(until: now + limit)
        for task in Array(tasks.values) { ask(.requeue, of: task) }
    }

    private mutating func ask(_ request: JobMachine.Request, of task: JobTask) {
        switch task.machine.state {
        case .ready, .transferring, .hopping, .summing:
            act(task.machine.handle(.requested(request)), on: task)
        case .checking:
            act(task.machine.handle(.requested(request)), on: task)
        case .digesting, .syncing, .committing, .renaming, .numbering, .keeping, .resting, .ending, .rested, .ended:
            break
        }
    }
}
