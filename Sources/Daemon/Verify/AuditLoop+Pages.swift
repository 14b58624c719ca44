// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// One page: read, looked at, digested, doubted once more where something seems bad, stored.
extension AuditLoop {
    mutating func readPage() throws -> Duration {
        guard let audit, let reader else {
            phase = .resting
            return .zero
        }
        guard !isDraining, unstored < Self.maxUnstored else { return LoopPulse.interval }
        if let why = missingPlace(for: []) {
            hold(why)
            return Self.holdTime
        }
        holdReason = nil
        let slice = try takeAhead(of: audit) ?? slice(reader, audit.scope, after: audit.cursor)
        next = slice.next
        page = AuditPage(slice.entries, options: audit.options, algorithm: setup.algorithm)
        pageStarted = now
        tree = try DirectoryTree(root: FilePath(setup.place.root), capacity: 1)
        phase = .checking
        return .zero
    }

    private func slice(
        _ reader: borrowing LedgerReader, _ scope: AuditScope, after cursor: AuditCursor?
    ) throws -> AuditSlice {
        try heartbeat.within("SQLite read") {
            try reader.slice(of: scope, after: cursor, limit: Self.pageSize)
        }
    }

    /// The last of a page are being digested: meanwhile the next is read. What it says of a file may be older by then,
    /// as at the end of any page.
    private mutating func readAhead() throws {
        guard let audit, let reader, let next, ahead == nil, page.isHandedOut, !isDraining else { return }
        ahead = (next, try slice(reader, audit.scope, after: next))
    }

    /// nil: another place is to be read than the one that was read ahead.
    private mutating func takeAhead(of audit: AuditRow) -> AuditSlice? {
        defer { ahead = nil }
        return ahead.flatMap { $0.after == audit.cursor ? $0.slice : nil }
    }

    /// Hands out what the pace allows; when all of the page is back, it is stored.
    mutating func check() throws -> Duration {
        if now - pageStarted >= Self.pageTime, page.hasBegun { page.cut() }
        // A disk that is asleep, or gone, is no stuck thread.
        heartbeat.enter("looking at files")
        defer { heartbeat.leave() }
        // Not all at once: a message may wait.
        var looks = 0
        while looks < 256, pace.hasRoom {
            if let delay = pace.delay(now: now), !page.isComplete {
                sendBundle()
                return delay
            }
            guard let index = page.next() else { break }
            looks += 1
            guard look(index) else { return Self.holdTime }
        }
        sendBundle()
        guard page.isComplete else {
            if looks == 256 { return .zero }
            try readAhead()
            return LoopPulse.interval
        }
        // Cut before its first file: a drain has nothing to wait for.
        if page.isCut, !page.hasBegun {
            phase = .reading
            return .zero
        }
        if !page.suspects.isEmpty, try !doubt() { return .zero }
        try store()
        return .zero
    }

    /// False: the system has no descriptor to spare, the audit waits.
    private mutating func look(_ index: Int) -> Bool {
        let record = page.entries[index].record
        let path = record.path.description
        do throws(SystemError) {
            guard let file = try tree?.open(FilePath(path), .readOnly, options: [.nonBlocking]) else {
                return true
            }
            let status = try file.status(path)
            pace.charge(record.digest == nil ? 0 : status.size, now: now)
            if let algorithm = page.looked(index, .file(FileFacts(status))) {
                handOut(
                    FileInHand(
                        file, index: index, size: status.size, isBundled: mayBundle(index, status.size)),
                    path, algorithm)
            } else {
                seenBytes &+= max(0, record.size)
            }
        } catch {
            if [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory].contains(error.code) {
                hold("\(error)")
                return false
            }
            pace.charge(0, now: now)
            _ = page.looked(index, refusal(of: record.path, error))
        }
        return true
    }

    /// What cannot be opened is described, as far as it can be: a link or a socket is no regular file any more.
    private func refusal(of path: OutputPath, _ error: SystemError) -> AuditPage.Look {
        guard error.code != .noSuchFileOrDirectory else { return .gone }
        switch tree {
        case .some(let tree):
            let look = AuditPage.Look.at(path, in: tree)
            if case .file(let facts) = look, facts.isRegular { return .refused("\(error.code)") }
            return look
        case .none: return .refused("\(error.code)")
        }
    }

    /// What seems bad is looked at twice before anything is said: an output that went away is none that lost its files,
    /// and a file that a job replaces is none that has changed.
    ///
    /// - Returns: false: not yet; the page goes on, or the audit waits.
    private mutating func doubt() throws -> Bool {
        guard let reader else { return true }
        let suspects = page.suspects
        if let why = missingPlace(for: suspects.map { page.entries[$0].record.path }) {
            hold(why)
            return false
        }
        // By the path once more, from the root as it is now.
        let fresh = try DirectoryTree(root: FilePath(setup.place.root), capacity: 1)
        for index in suspects {
            page.recheck(index, AuditPage.Look.at(page.entries[index].record.path, in: fresh))
        }
        if let why = missingPlace(for: suspects.map { page.entries[$0].record.path }) {
            hold(why)
            return false
        }
        tree = consume fresh
        guard page.isComplete else { return false }
        for index in page.suspects {
            let known = try reader.published(at: page.entries[index].record.path)
            page.confirm(index, record: known?.isBeingReplaced ?? true ? nil : known?.record)
        }
        return true
    }

    /// Why nothing may be said of these files: the output, or a mount below it that they lie on, is not there.
    private func missingPlace(for paths: [OutputPath]) -> String? {
        do throws(SystemError) {
            guard try setup.place.owner() == setup.place.identity else {
                return "\(setup.place.root) is not this ledger's output just now: not mounted?"
            }
            guard !paths.isEmpty else { return nil }
            let known = try MountMemory.read(setup.place)
            guard !known.isEmpty else { return nil }
            let mounts = try MountMemory.table(setup.place, known: known)
            for path in paths {
                let home = mounts.table.home(of: path)
                guard home.isOutput || mounts.mounted.contains(home) else {
                    return "\(home.root(output: setup.place.root)) is not mounted"
                }
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Results first, then the ledger: what a crash leaves in between is written again.
    private mutating func store() throws {
        guard var audit else { return phase = .resting }
        let wall = WallTime(milliseconds: WallClock.milliseconds())
        var progress = AuditProgress(id: audit.id, resultBytes: audit.resultBytes)
        var lines: [UInt8] = []
        for (entry, finding) in page.findings {
            progress.bytes &+= max(0, entry.record.size)
            if finding.verdict?.isBad ?? false || audit.options.listsAll {
                lines += AuditLine.line(audit.id, entry, finding, now: wall)
            }
            guard let verdict = finding.verdict else {
                progress.counts.skipped += 1
                continue
            }
            progress.counts[verdict] += 1
            progress.files.append(
                .init(
                    path: entry.record.path, publishedAt: entry.record.publishedAt, verdict: verdict,
                    digest: audit.options.recordsDigests && verdict == .fine ? finding.digest : nil))
        }
        if !lines.isEmpty {
            try AuditResults.append(
                lines, to: audit.id, at: audit.resultBytes, state: setup.stateDir, isDurable: setup.isDurable)
        }
        progress.resultBytes += Int64(lines.count)
        let cursor = page.isCut ? page.cursor ?? audit.cursor : next ?? page.cursor ?? audit.cursor
        let isLast = !page.isCut && next == nil
        progress.cursor = cursor
        audit.cursor = cursor
        audit.resultBytes = progress.resultBytes
        // Until the ledger has said so.
        audit.counts += progress.counts
        audit.bytes &+= progress.bytes
        self.audit = audit
        facts.counts += progress.counts
        facts.bytes &+= progress.bytes
        tree = nil
        ask(.note(progress))
        guard isLast else { return phase = .reading }
        guard audit.options.repairs, audit.counts.bad > 0 else {
            ask(.finish(audit.id, list: nil, count: 0))
            return phase = .ending
        }
        ask(.beginRepair(audit.id))
        beginRepair()
    }
}
