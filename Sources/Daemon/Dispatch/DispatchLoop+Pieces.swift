// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import SumPool
import Transfer

/// Files whose pieces are being looked at. Digests of pieces are large: only so many are in memory, other files wait.
struct PieceDesk {
    /// Bytes of digests, beyond those of the first file.
    static let room = 4 << 20
    var bytes = 0
    var waiting = Queue<JobSeq>()
    /// Runs that lie with the pool, by their number there.
    var runs: [JobSeq: (job: JobSeq, first: Int)] = [:]
    private var lastRun: Int64 = 0

    /// Jobs count up from 1, lists of digests down from -1, audits down from -2^62: runs of pieces lie between.
    private static let base: Int64 = -(1 << 61)

    mutating func number() -> JobSeq {
        lastRun += 1
        return JobSeq(Self.base - lastRun)
    }
}

// Digests of pieces: all processes work on one file, and what is wrong is known to the piece.
extension DispatchLoop {
    /// Every byte is there: the whole is digested, or its pieces are.
    mutating func digestPart(_ task: JobTask) {
        let wantsWhole = task.job.options.checksum != nil || plan.configuration.digest.always != nil
        guard let layout = task.job.options.pieces, !wantsWhole else {
            let place = wholeFile(of: task)
            outbox.sums.append(
                .digest(
                    task.seq, directory: place.directory, name: place.name, digestAlgorithm(for: task)))
            return
        }
        checkPieces(task, layout)
    }

    /// The whole has its digest; whether that is the end of it.
    mutating func looksAtPieces(_ task: JobTask, wanted: Checksum?, found: Checksum) -> Bool {
        guard let layout = task.job.options.pieces,
            PiecePolicy.looksAtPieces(layout, wanted: wanted, found: found)
        else { return false }
        if let wanted, wanted != found { task.wrongDigest = found } else { task.digest = found }
        checkPieces(task, layout)
        return true
    }

    private mutating func checkPieces(_ task: JobTask, _ layout: PieceLayout) {
        let size = task.part?.size ?? 0
        guard layout.fits(size: size) else {
            discardPart(task)
            let message = "\(size) bytes, which \(layout.count) pieces of \(layout.length) bytes are not"
            return fail(task, JobError(.badLength, message))
        }
        guard pieces.bytes == 0 || pieces.bytes + layout.hashBytes <= PieceDesk.room else {
            return pieces.waiting.append(task.seq)
        }
        pieces.bytes += layout.hashBytes
        outbox.ledger.append(.pieces(task.seq))
    }

    mutating func piecesArrived(_ seq: JobSeq, _ hashes: PieceHashes?) {
        guard let task = tasks[seq], case .digesting = task.machine.state else { return }
        guard let hashes, let check = PieceCheck(hashes, size: task.part?.size ?? 0) else {
            endPieces(task)
            discardPart(task)
            return fail(task, JobError(.disk, "the ledger has lost the digests of its pieces"))
        }
        task.pieceCheck = check
        dealPieces(task)
    }

    private mutating func dealPieces(_ task: JobTask) {
        let place = wholeFile(of: task)
        while let run = task.pieceCheck?.nextRun() {
            let number = pieces.number()
            pieces.runs[number] = (task.seq, run.first)
            outbox.sums.append(
                .digest(
                    number, directory: place.directory, name: place.name,
                    task.pieceCheck?.hashes.layout.algorithm ?? .sha256, span: run.span))
        }
    }

    /// A run has its digests.
    mutating func pieced(_ number: JobSeq, _ digests: [UInt8], _ timings: SumTimings) {
        guard let (seq, first) = pieces.runs.removeValue(forKey: number), let task = tasks[seq] else {
            return
        }
        task.workerName = "sum-\(timings.worker)"
        task.timings.run = max(0, task.timings.run) &+ timings.run
        task.timings.cpu = max(0, task.timings.cpu) &+ timings.cpu
        guard task.pieceCheck?.answered(first, digests) ?? false else {
            return piecesFailed(
                task, JobError(.workerDied, "the pool gave other digests than it was asked for"))
        }
        dealPieces(task)
        guard let check = task.pieceCheck, check.isOver else { return }
        endPieces(task)
        if task.isPartSuspect { return startOver(task) }
        if !check.faults.isEmpty { return mend(task, check) }
        if let found = task.wrongDigest, let wanted = task.job.options.checksum {
            return mismatched(task, wanted: wanted, found: found)
        }
        act(task.machine.handle(.digestMatched), on: task)
    }

    /// Whether the pool's failure is about a run of pieces; then it is their job's.
    mutating func pieceRunFailed(_ number: JobSeq, _ error: JobError) -> Bool {
        guard let (seq, _) = pieces.runs.removeValue(forKey: number) else { return false }
        if let task = tasks[seq] { piecesFailed(task, error) }
        return true
    }

    private mutating func piecesFailed(_ task: JobTask, _ error: JobError) {
        for number in pieces.runs.filter({ $0.value.job == task.seq }).keys {
            pieces.runs[number] = nil
            outbox.sums.append(.cancel(number))
        }
        endPieces(task)
        sumFailed(task, error)
    }

    /// Its digests leave the memory, and others' may come.
    private mutating func endPieces(_ task: JobTask) {
        task.pieceCheck = nil
        pieces.bytes -= task.job.options.pieces?.hashBytes ?? 0
        while let seq = pieces.waiting.first {
            guard let task = tasks[seq], let layout = task.job.options.pieces,
                case .digesting = task.machine.state
            else {
                _ = pieces.waiting.popFirst()
                continue
            }
            guard pieces.bytes == 0 || pieces.bytes + layout.hashBytes <= PieceDesk.room else { return }
            _ = pieces.waiting.popFirst()
            checkPieces(task, layout)
        }
    }

    /// Some pieces are wrong: they are fetched again, and only they.
    private mutating func mend(_ task: JobTask, _ check: PieceCheck) {
        guard let part = task.part, case .download(let urls, _) = task.job.work else { return }
        switch PiecePolicy.verdict(check, earlier: task.job.mismatches, mirrors: urls.count) {
        case .mend(let sound):
            let error = PiecePolicy.error(check, keptAs: nil)
            remark(
                .notice, "pieces of a file are wrong, they are fetched again",
                [("job", "\(task.job.id)"), ("why", error.message)])
            task.part = nil
            task.resume = ResumePoint(
                sound: sound, of: check.size, from: task.finalURL ?? urls[0].text, device: part.device,
                inode: part.inode, part: part.name)
            task.resume?.isShared = task.isShared ? true : nil
            passPiecesOn(task, error)
            fetchAgain(task, error)
        case .fetchAgain:
            let error = PiecePolicy.error(check, keptAs: nil)
            discardPart(task)
            task.part = nil
            task.resume = nil
            _ = passedOn(MismatchPolicy.Verdict.fetchAgain, of: task, error)
            fetchAgain(task, error)
        case .fail:
            let kept = quarantinePart(of: task)
            fail(task, PiecePolicy.error(check, keptAs: kept))
        }
    }

    private mutating func fetchAgain(_ task: JobTask, _ error: JobError) {
        task.error = error
        task.retryDelay = .zero
        act(task.machine.handle(.broke(.waiting, keepsPart: false)), on: task)
    }
}
