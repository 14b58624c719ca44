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
            command.answer(.success(releaseHost(key) ? 1 : 0))
        }
    }

    private mutating func jobCommanded(_ seq: JobSeq, _ lane: LaneKey?, _ command: ControlCommand) {
        if command.verb == .cancel || command.verb == .pause {
            // Its row is the ledger's from here on. Resume and retry leave what is read ahead alone.
            if let lane { board.discard(seq, in: lane) }
            unfollow(seq)
        }
        guard let task = tasks[seq], let request = request(for: command.verb) else {
            outbox.ledger.append(.command(command))
            // Its twins are to know soon that it will not end as they hope.
            if followers[seq] != nil { lookAtFollowers(within: .seconds(1)) }
            return
        }
        switch task.machine.state {
        case .keeping, .resting:
            // On its way to a resting state, where the ledger can apply it.
            lateRequests[seq, default: []].append(command)
        case .ending, .parting, .ended, .rested, .digesting, .reading, .syncing, .naming, .committing,
            .renaming, .numbering:
            command.answer(.failure(JobError(.badOption, "job \(task.job.id) is being published; too late")))
        case .ready, .staged, .transferring, .doubted, .hopping, .checking, .summing:
            act(task.machine.handle(.requested(request)), on: task)
            command.answer(.success(1))
        }
    }

    private mutating func listCommanded(_ list: ListID, _ command: ControlCommand) {
        switch command.verb {
        case .pause:
            halt(list)
        case .cancel:
            board.remove(list)
            unfollow(list)
            request(.cancel, ofList: list)
        case .resume, .retry: break
        }
        outbox.ledger.append(.command(command))
        if command.verb == .cancel, !followers.isEmpty { lookAtFollowers(within: .seconds(1)) }
    }

    /// Nothing of this list starts, and what runs goes back to the queue.
    mutating func halt(_ list: ListID) {
        haltedLists.insert(list)
        board.remove(list)
        suspects.forget(list)
        unfollow(list)
        request(.requeue, ofList: list)
    }

    private func request(for verb: ControlCommand.Verb) -> JobMachine.Request? {
        switch verb {
        case .cancel: .cancel
        case .pause: .pause
        case .resume, .retry: nil
        }
    }

    private mutating func request(_ request: JobMachine.Request, ofList list: ListID) {
        for task in Array(tasks.values) where task.job.lane.list == list {
            if !ask(request, of: task), request == .cancel {
                // Past stopping: should it come to rest instead of its end, the ledger cancels it there.
                lateRequests[task.seq, default: []].append(
                    ControlCommand(verb: .cancel, target: .job(task.seq, nil)) { _ in })
            }
        }
    }

    /// Stops what can be stopped, parts kept; what is being published ends by itself.
    mutating func stopTransfers(within limit: Duration) {
        if case .stopping(let until) = mode {
            mode = .stopping(until: min(until, now + limit))
            return
        }
        mode = .stopping(until: now + limit)
        for task in Array(tasks.values) { _ = ask(.requeue, of: task) }
    }

    /// Whether it could still be asked.
    mutating func ask(_ request: JobMachine.Request, of task: JobTask) -> Bool {
        switch task.machine.state {
        case .ready, .staged, .transferring, .doubted, .hopping, .checking, .summing:
            act(task.machine.handle(.requested(request)), on: task)
            return true
        case .digesting, .reading, .syncing, .naming, .committing, .renaming, .numbering, .keeping, .parting,
            .resting, .ending, .rested, .ended:
            return false
        }
    }
}
