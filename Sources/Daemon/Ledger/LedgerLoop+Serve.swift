// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import Spool

/// What one request does to the ledger. Called inside the turn's transaction; replies leave after its commit.
extension LedgerLoop {
    func serve(
        _ request: LedgerRequest, now: WallTime, works: inout [Work], replies: inout Replies
    ) throws(LedgerError) {
        switch request {
        case .lanes(let list, let after, let limit, let includesHeld):
            let rows = try store.lanes(
                of: list, after: after, limit: limit, now: now, includesHeld: includesHeld)
            replies.dispatch.append(.lanes(list, rows, isLast: rows.count < limit))
        case .jobs(let lane, let generation, let after, let limit):
            let jobs = try store.queued(in: lane, after: after, limit: limit)
            var entries: [LaneBoard.Entry] = []
            entries.reserveCapacity(jobs.count)
            for job in jobs { entries.append(try entry(job)) }
            replies.dispatch.append(.jobs(lane, generation: generation, entries, isLast: jobs.count < limit))
        case .apply(let changes, let ticket):
            let ignored = try store.apply(changes, now: now)
            if !ignored.isEmpty { replies.dispatch.append(.ignored(ignored)) }
            replies.dispatch.append(.committed(ticket: ticket))
        case .suffix(let seq, let path):
            replies.dispatch.append(.suffix(seq, try freeSuffix(for: path, seq)))
        case .name(let seq, let path, let url):
            replies.dispatch.append(.named(seq, try store.claim(seq, path: path, url: url)))
        case .releaseDue:
            let lanes = try store.releaseDue(now: now, limit: Self.dueLimit)
            replies.dispatch.append(.due(lanes, next: try store.nextDue()))
        case .expireParts(let time):
            let parts = try store.expireParts(endedBefore: time, limit: Self.partLimit)
            replies.dispatch.append(.expired(parts, isLast: parts.count < Self.partLimit))
        case .rangeConduct(let host, let lies):
            try store.note(liesAboutRanges: lies, host: host)
        case .pieces(let seq): replies.dispatch.append(.pieces(seq, try store.pieces(of: seq)))
        case .dropPieces(let seq): try store.dropPieces(of: seq)
        case .command(let command):
            try begin(command, now: now, works: &works, replies: &replies)
        case .audit(let request): try serve(request, now: now, replies: &replies)
        case .hold, .barren, .giveUp, .hurry, .stop: break
        }
    }

    /// The next number whose name no live job holds; the name is this job's from here on.
    private func freeSuffix(for path: OutputPath, _ seq: JobSeq) throws(LedgerError) -> Int {
        while true {
            let number = try store.nextSuffix(for: path)
            if case .granted = try store.claim(seq, path: path.numbered(number), url: "") { return number }
        }
    }

    /// A job with its claim; the part that an earlier job of the same URL and path left is this one's.
    private func entry(_ job: QueuedJob) throws(LedgerError) -> LaneBoard.Entry {
        let claim = try claim(job)
        var job = job
        if case .granted = claim, job.resume == nil { job.resume = try store.takeOverPart(job) }
        return LaneBoard.Entry(job: job, claim: claim)
    }

    private func claim(_ job: QueuedJob) throws(LedgerError) -> PathClaim {
        switch job.work {
        case .sum: .granted(known: nil)
        case .download where job.errand != nil: .granted(known: nil)
        case .download(let urls, let path): try store.claim(job.seq, path: path, url: urls.first?.text ?? "")
        }
    }

    private func begin(
        _ command: ControlCommand, now: WallTime, works: inout [Work], replies: inout Replies
    ) throws(LedgerError) {
        switch command.target {
        case .host: break
        case .list(let list):
            guard try store.list(list) != nil else {
                let error = JobError(.badOption, "no list \(list)")
                replies.answers.append { command.answer(.failure(error)) }
                return
            }
            switch command.verb {
            case .pause, .resume:
                try store.set(list: list, paused: command.verb == .pause)
                // Its lists of digests are fetched by jobs of no list: what is in the window only dispatch can stop.
                let errands = try store.errands(of: list)
                if !errands.isEmpty { replies.dispatch.append(.errands(errands, command.verb)) }
                // A resumed list also brings back its jobs that were paused one by one.
                if command.verb == .resume { return works.append(Work(command: command, list: list)) }
                replies.answers.append { command.answer(.success(1)) }
            case .cancel, .retry:
                works.append(Work(command: command, list: list))
            }
        case .job(let seq, _):
            let verdict: JobVerdict =
                switch command.verb {
                case .cancel: try store.cancel(seq, now: now)
                case .pause: try store.pause(seq, now: now)
                case .resume: try store.resume(seq, now: now)
                case .retry: try store.retry(seq, now: now)
                }
            answer(command, verdict, replies: &replies)
            if case .changed = verdict, let job = try store.lane(of: seq) {
                replies.dispatch.append(.reread([job]))
            }
        }
    }

    private func answer(_ command: ControlCommand, _ verdict: JobVerdict, replies: inout Replies) {
        let result: Result<Int, JobError> =
            switch verdict {
            case .changed: .success(1)
            case .unchanged(let state):
                .failure(JobError(.badOption, "cannot \(command.verb.rawValue) a job that is \(state.name)"))
            case .inFlight(let state):
                .failure(JobError(.badOption, "the job is \(state.name) just now; try again"))
            case .refused(let why): .failure(JobError(.badOption, why))
            }
        replies.answers.append { command.answer(result) }
    }

    /// A part of the oldest command on a whole list.
    func slice(_ works: inout [Work], now: WallTime, replies: inout Replies) throws(LedgerError) {
        guard var work = works.first else { return }
        let slice: Slice
        switch work.command.verb {
        case .cancel: slice = try store.cancelSlice(list: work.list, limit: Self.sliceLimit, now: now)
        case .pause: slice = Slice(changed: 0, isComplete: true)
        case .resume: slice = try store.resumeSlice(list: work.list, limit: Self.sliceLimit, now: now)
        case .retry:
            let answer = try store.retrySlice(
                list: work.list, after: work.after, limit: Self.sliceLimit, now: now)
            work.after = answer.next
            slice = Slice(changed: answer.changed, isComplete: answer.next == nil)
        }
        work.changed += slice.changed
        guard slice.isComplete else {
            works[0] = work
            return
        }
        works.removeFirst()
        let changed = work.changed
        let command = work.command
        replies.answers.append { command.answer(.success(changed)) }
        if command.verb != .cancel { replies.dispatch.append(.woke(work.list, lowestRank: nil)) }
    }

    func serve(
        _ request: SpoolRequest, now: WallTime, ended: inout Set<ListID>, replies: inout Replies
    ) throws(LedgerError) {
        switch request {
        case .begin(let file):
            let row = try store.begin(file, now: now)
            replies.spool.append(.begun(file, .success(row)))
        case .finish(let list, let position):
            let row = try store.finishAdmission(list, position: position)
            replies.spool.append(.finished(row))
        case .reject(let list, let reason):
            try store.reject(list, reason: reason, now: now)
            replies.spool.append(.rejected(list))
        case .page(let list, let after, let limit):
            let page = try store.results(of: list, after: after, limit: limit)
            replies.spool.append(.page(list, page.records, next: page.next))
        case .digests(let batch):
            try store.take(batch)
            replies.spool.append(.digestsTaken(batch.id))
        case .close(let list, let finalName):
            let notes = try store.digestNotes(of: list)
            if !notes.isEmpty { replies.dispatch.append(.digestNotes(list, notes)) }
            try store.close(list, finalName: finalName, now: now)
            ended.remove(list)
            replies.spool.append(.closed(list))
        case .admit, .expired, .forget: break
        }
    }
}
