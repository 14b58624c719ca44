// SPDX-License-Identifier: Apache-2.0

import Config
import Curl
import JobModel
import LinuxKit
import Transfer

extension DispatchLoop {
    mutating func transferReported(_ event: TransferEvent) {
        switch event {
        case .connected(let worker, let token, let isHTTP2, let isUsable, let sight):
            guard let task = task(of: token), let key = task.slot else { return }
            let role = task.role
            answered(isHTTP2: isHTTP2, isUsable: isUsable, to: task, host: key)
            if isHTTP2 { hosts[key]?.machine.saw(sight ?? .one, on: worker, to: role) }
            if isUsable { hosts[key]?.machine.opened() }
            uplinkProved()
            freed(key)
        case .carried(let worker, let token, let sight):
            guard let task = task(of: token), let key = task.slot else { return }
            hosts[key]?.machine.saw(sight, on: worker, to: .ordinary)
            freed(key)
        case .sized(_, let token, let total): sized(token, total: total)
        case .segmentsWanted(_, let token, let wish):
            if let task = task(of: token) { segmentsWanted(task, wish) }
        case .helperConnected(_, let token, let place, let isUsable):
            if let task = task(of: token) { helperConnected(task, place, isUsable: isUsable) }
        case .segmentOver(let report):
            if let task = task(of: report.token) { segmentEnded(report, of: task) }
        case .progress(_, let samples):
            for sample in samples {
                guard let task = task(of: sample.token) else { continue }
                if sample.bytes > task.bytes { uplinkProved(lag: UplinkWatch.progressLag) }
                noteGoodput(sample.bytes, of: task)
                task.bytes = sample.bytes
                task.total = sample.total
                task.rate.sample(sample.bytes, now: now)
            }
        case .checkpoint(_, let reached):
            for item in reached {
                if let task = task(of: item.token) { self.reached(item.checkpoint, by: task) }
            }
        case .finished(let report):
            finished(report)
        case .stopped: break
        }
    }

    /// Bytes that have come of a transfer that goes on: what its host brings.
    private func noteGoodput(_ bytes: Int64, of task: JobTask) {
        guard let key = task.slot, bytes > task.bytes, task.segments.isAtOneHost(task.ownPlace) else {
            return
        }
        hosts[key]?.machine.progressed(bytes - task.bytes, now: now)
    }

    private func noteGoodput(_ report: TransferReport, of task: JobTask) {
        guard let key = task.slot, case .complete = report.result else { return }
        let timings = report.timings
        let begun = max(0, timings.dns) &+ max(0, timings.connect) &+ max(0, timings.tls)
        let wait = timings.firstByte > begun ? Duration.nanoseconds(timings.firstByte - begun) : nil
        hosts[key]?.machine.brought(max(0, report.fetchedBytes - task.bytes), wait: wait, now: now)
        if timings.firstByte >= 0, timings.transfer >= 0 {
            hosts[key]?.staged.gauge.ended(after: .nanoseconds(timings.firstByte &+ timings.transfer))
        }
    }

    func task(of token: UInt64) -> JobTask? { tokens[token].flatMap { tasks[$0] } }

    private mutating func finished(_ report: TransferReport) {
        guard let task = task(of: report.token) else { return }
        tokens[report.token] = nil
        if case .staged = task.machine.state { return unstaged(task) }
        disks.release(report.token)
        let key = task.slot
        noteProbe(task.seq)
        noteResponse(report, on: task, host: key)
        noteRanges(report.ranges, host: key)
        noteGoodput(report, of: task)
        endSegments(task)
        freeSlot(task, keptConnection: report.keepsConnection, end: report.load)
        if let successor = report.successor { succeeded(by: successor) }
        if report.stageVerdict == .closes, let key { withdrawStaged(at: key) }
        switch report.result {
        case .complete(let part):
            task.servedPath = servedPath(for: task, report.response)
            if report.response.httpStatus == nil, let key { fruitful(key) }
            received(part, by: task)
        case .notModified: unchanged(task)
        case .taken(let size, let modified): taken(task, size: size, modified: modified)
        case .redirect(let location): redirected(task, to: location)
        case .failed(let failure): broke(task, failure, host: key)
        case .cancelled(let resume):
            task.resume = resume
            act(task.machine.handle(.stopped(keepsPart: resume != nil)), on: task)
        }
    }

    /// What the answer told, whatever became of it.
    private mutating func noteResponse(_ report: TransferReport, on task: JobTask, host key: HostKey?) {
        task.fetched &+= report.fetchedBytes
        task.resumed = report.resumedBytes
        task.isShared = report.isShared
        task.helpers = report.helpers
        task.workerName = "xfer-\(report.worker)"
        view.received(report)
        if report.response.httpStatus != nil {
            task.response = report.response
            task.finalURL = task.url?.text
            if let key {
                let role = task.role
                noteAnswer(report.response, to: task, host: key)
                noteStreams(report, role, host: key)
            }
            noteSize(report.response, of: task)
        }
        // What a redirect may lead to depends on it.
        if case .redirect = report.result, isPublic(report, task) { task.isFromPublic = true }
        task.timings.dns = report.timings.dns
        task.timings.connect = report.timings.connect
        task.timings.tls = report.timings.tls
        task.timings.firstByte = report.timings.firstByte
        task.timings.transfer = report.timings.transfer
    }

    private func noteStreams(_ report: TransferReport, _ role: HostMachine.Role, host key: HostKey) {
        guard report.response.httpVersion == "2", let sight = report.sight else { return }
        hosts[key]?.machine.saw(sight, on: report.worker, to: role)
    }

    /// Whether the answer came from a public host; in doubt it did, so that it may not lead into this network. Behind
    /// a proxy only the target's name is known.
    private func isPublic(_ report: TransferReport, _ task: JobTask) -> Bool {
        if task.isProxied {
            let host = task.url.map { HostName.bare($0.host.rawValue) } ?? ""
            return !AddressPolicy.isPrivate(host: host)
        }
        return !(report.response.remoteIP.flatMap { IPAddress($0) }?.isPrivate ?? false)
    }

    private mutating func answered(isHTTP2: Bool, isUsable: Bool, to task: JobTask, host key: HostKey) {
        task.role =
            hosts[key]?.machine.answered(isHTTP2: isHTTP2, isUsable: isUsable, to: task.role) ?? task.role
    }

    /// An answer of the host: anything but 429 and 503 is a usable one.
    private mutating func noteAnswer(_ response: ResponseFacts, to task: JobTask, host key: HostKey) {
        let isUsable = response.httpStatus != 429 && response.httpStatus != 503
        answered(isHTTP2: response.httpVersion == "2", isUsable: isUsable, to: task, host: key)
        if isUsable { fruitful(key) }
        if let time = response.quotaReset { hold(key, for: time, reason: "rate_limit") }
    }

    private mutating func received(_ part: PartFile, by task: JobTask) {
        task.part = part
        task.resume = nil
        if task.isPartSuspect { return startOver(task) }
        let options = task.job.options
        let needsDigest =
            options.checksum != nil || options.pieces != nil || plan.configuration.digest.always != nil
        // A digest of a large file takes its time: should it be cut off, the file is not fetched again.
        if needsDigest, let point = part.point {
            reached(Checkpoint(resume: point, fetchedBytes: 0), by: task)
        }
        act(task.machine.handle(.received(needsDigest: needsDigest)), on: task)
    }

    /// Where the server's own name for the file leads, if it may give one: neither `out=` nor a template has.
    private func servedPath(for task: JobTask, _ response: ResponseFacts) -> OutputPath? {
        let output = plan.configuration.output
        guard output.contentDisposition, task.job.options.out == nil,
            ["flat", "host_path"].contains(output.layout.template), let path = task.path,
            let name = ContentDisposition.name(response.contentDispositions)
        else { return nil }
        let served = path.renamed(name)
        // As long as a path may be: PATH_MAX with the root and the NUL.
        let isTooLong = served.bytes.count + plan.outputRoot.utf8.count > 4000
        return served == path || isTooLong ? nil : served
    }

    private mutating func unchanged(_ task: JobTask) {
        var outcome = outcome(.done, for: task)
        if case .granted(let known?) = task.claim {
            outcome.bytes = known.size
            outcome.digest = known.digest
        }
        outcome.flags.append(.unchanged)
        conclude(task, outcome)
    }

    /// The final path is taken and the policy wants to know before anything is requested.
    private mutating func taken(_ task: JobTask, size: Int64, modified: WallTime) {
        task.preflightDone = true
        task.foundSize = size
        if task.mayBeRecovered, recovers(task, size: size) { return }
        switch task.exists {
        case .skip:
            var outcome = outcome(.done, for: task)
            outcome.bytes = size
            outcome.flags.append(.skipped)
            conclude(task, outcome)
        case .fail:
            fail(task, JobError(.exists, "\(task.path?.description ?? "") is already there"))
        case .update:
            if task.job.options.checksum != nil {
                act(task.machine.handle(.checkNeeded), on: task)
            } else {
                task.condition = condition(for: task, modified: modified)
                act(task.machine.handle(.redirected), on: task)
            }
        case .rename, .overwrite:
            act(task.machine.handle(.redirected), on: task)
        }
    }

    /// A file that a lost ledger's job may have published: its job is done if it can be shown to be that file.
    private mutating func recovers(_ task: JobTask, size: Int64) -> Bool {
        if let wanted = task.recoverableSize, wanted != size { return false }
        guard task.job.options.checksum == nil else {
            act(task.machine.handle(.checkNeeded), on: task)
            return true
        }
        var outcome = outcome(.done, for: task)
        outcome.bytes = size
        outcome.flags.append(.recovered)
        conclude(task, outcome)
        return true
    }

    /// The ledger's validators, else the file's own mtime. A part's mtime never counts: only what stands under the
    /// final name is looked at, and that was whole when it got there.
    private func condition(for task: JobTask, modified: WallTime) -> Condition? {
        guard case .granted(let known?) = task.claim else { return .modifiedSince(modified) }
        if let etag = known.etag { return .etag(etag) }
        if let text = known.lastModified, let time = HTTPDate.parse(text) { return .modifiedSince(time) }
        return .modifiedSince(modified)
    }

    private mutating func redirected(_ task: JobTask, to location: String) {
        guard let from = task.url else { return }
        let target: ParsedURL
        do {
            target = try ParsedURL.parse(location)
        } catch {
            return exhaust(task, JobError(.badURL, "redirect to \(Masking.url(location)): \(error)"))
        }
        let network = plan.configuration.network
        let policy = RedirectPolicy(
            maxRedirects: plan.configuration.limits.maxRedirects, protocols: network.protocols,
            allowsDowngrade: network.httpsDowngrade)
        let next = DownloadURL(text: target.text, scheme: target.scheme, host: HostKey(target.hostKeyText))
        if let error = policy.verdict(from: from, to: next, hops: task.hops) { return exhaust(task, error) }
        task.hops += 1
        if !RedirectPolicy.isSameOrigin(from, next) { task.hasLeftOrigin = true }
        task.url = next
        task.preflightDone = true
        act(task.machine.handle(.redirected), on: task)
    }
}
