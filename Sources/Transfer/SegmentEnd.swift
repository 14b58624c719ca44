// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit
import SystemPackage

// How one connection of a file ends that has several, and how the file does.
extension TransferLoop {
    /// What a segment's request came to.
    private enum SegmentEnding {
        /// It brought what it was to, or a part of that.
        case over(keptConnection: Bool)
        /// The server knows no ranges after all.
        case noRanges
        /// Two versions, or a lie: nothing of this file is believed any more.
        case mismatch(String)
        /// The mirror that is to mend it is elsewhere.
        case moved(String)
        case trouble(TransferFailure)
    }

    /// A request of a divided file is over.
    mutating func settleSegment(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ id: Int, _ error: CurlError?,
        _ reading: TransferReading
    ) {
        guard let reception = divided.requests[id] else { return }
        let ending = ending(transfer, reception, error, reading)
        let place = divided.machine.sources.place(of: id)
        if place != divided.own {
            return settleHelper(transfer, divided, id, place, ending, reading)
        }
        let hadBytes = reception.fetchedBytes > 0
        transfer.newConnections += reading.newConnections
        if reception.machine.conduct != .fair, transfer.ranges != .lies {
            transfer.ranges = reception.machine.conduct
        }
        if let failure = takeOut(transfer, divided, id, reading) { return fail(transfer, failure, reading) }
        let isFirst = id == SegmentMachine.first
        switch ending {
        case .over(let keptConnection):
            divided.machine.over(id)
            if !isFirst {
                giveBack(transfer, divided, place) {
                    $0.load = .success
                    $0.keptConnection = keptConnection
                }
            }
        case .noRanges:
            divided.machine.off()
            divided.machine.over(id)
            if isFirst, divided.requests.isEmpty {
                return beginAnew(transfer, divided, "the server knows no ranges after all", reading)
            }
            if !isFirst { giveBack(transfer, divided, place) }
        case .mismatch(let reason): return beginAnew(transfer, divided, reason, reading)
        case .moved(let location):
            endRequests(transfer)
            return leave(transfer, .redirect(location: location), reading)
        case .trouble(let failure):
            let now = Clock.now()
            divided.machine.failed(id, hadBytes: hadBytes, now: now)
            // The attempt ends where its own request fails and no other brings anything.
            if isFirst, divided.requests.isEmpty, !divided.machine.plan.isWhole,
                !divided.machine.awaitsHelp(now: now)
            {
                return fail(transfer, failure, reading)
            }
            if !isFirst {
                giveBack(transfer, divided, place) {
                    $0.load = Self.load(of: failure)
                    $0.retryAfter = failure.retryAfter
                }
            }
        }
        goOn(transfer, divided, reading)
    }

    private mutating func goOn(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ reading: TransferReading
    ) {
        if divided.machine.plan.isWhole {
            complete(transfer, divided, reading)
        } else {
            pump(transfer, divided)
        }
    }

    /// A request to a mirror is over. Whatever was wrong with it, the file does without that mirror.
    private mutating func settleHelper(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ id: Int, _ place: Int,
        _ ending: SegmentEnding, _ reading: TransferReading
    ) {
        guard let reception = divided.requests[id] else { return }
        let hadBytes = reception.fetchedBytes > 0
        let conduct = reception.machine.conduct
        transfer.newConnections += reading.newConnections
        if let failure = takeOut(transfer, divided, id, reading) { return fail(transfer, failure, reading) }
        let failure: TransferFailure
        switch ending {
        case .over(let keptConnection):
            divided.machine.over(id)
            giveBack(transfer, divided, place) {
                $0.load = .success
                $0.keptConnection = keptConnection
            }
            return goOn(transfer, divided, reading)
        case .noRanges: failure = Self.answered(JobError(.protocol, "the mirror knows no ranges"))
        case .mismatch(let reason):
            let code: ErrorCode = reason == HeadPolicy.lengthDiffers ? .badLength : .protocol
            failure = Self.answered(JobError(code, reason))
        case .moved: failure = Self.answered(JobError(.protocol, "the mirror leads elsewhere"))
        case .trouble(let trouble): failure = trouble
        }
        let isAnswer = failure.uplink == .answered
        divided.machine.lost(id, hadBytes: hadBytes, isFinal: isAnswer && failure.retryAfter == nil)
        giveBack(transfer, divided, place) {
            $0.load = Self.load(of: failure)
            $0.retryAfter = failure.retryAfter
            $0.trouble = SegmentReport.Trouble(
                error: failure.error, isConnectFailure: failure.isConnectFailure, ranges: conduct)
        }
        goOn(transfer, divided, reading)
    }

    private func ending(
        _ transfer: ActiveTransfer, _ reception: Reception, _ error: CurlError?, _ reading: TransferReading
    ) -> SegmentEnding {
        if reception.isCut { return .over(keptConnection: false) }
        switch reception.machine.end(isClean: error == nil) {
        case .piece, .whole: return .over(keptConnection: true)
        case .more(let place):
            transfer.continuations += 1
            guard transfer.continuations <= Self.continuationLimit else {
                return .trouble(Self.answered(JobError(.truncated, "only the bytes up to \(place) came")))
            }
            return .over(keptConnection: true)
        case .restart(let reason, let conduct):
            let isOther = conduct == .lies || reception.machine.ask.agreement != nil
            return isOther ? .mismatch(reason) : .noRanges
        case .otherVersion(let reason): return .mismatch(reason)
        case .redirect(let location) where transfer.divided?.isMending ?? false: return .moved(location)
        case .notModified, .redirect:
            return .trouble(
                Self.answered(JobError(.protocol, "\(reception.machine.head.status) to a segment")))
        case .failed(let error, let retryAfter): return .trouble(Self.answered(error, retryAfter))
        case .broken: return .trouble(brokenFailure(transfer, reception, error, reading))
        }
    }

    /// What the host's load is to learn from it.
    private static func load(of failure: TransferFailure) -> AdaptiveCap.End {
        if failure.isLocal || failure.isUncharged { return .neutral }
        switch failure.error.code {
        case .http(429), .http(503): return .trouble
        default: return failure.isCut || failure.isConnectFailure ? .trouble : .neutral
        }
    }

    /// Takes a request out that libcurl has let go of; its bytes go to the kernel.
    /// - Returns: what the disk said, if it refused them.
    private mutating func takeOut(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ id: Int, _ reading: TransferReading
    ) -> TransferFailure? {
        guard let reception = divided.requests.removeValue(forKey: id) else { return nil }
        divided.note(reception, at: divided.machine.sources.place(of: id))
        if let key = reception.key { tokens[key] = nil }
        reception.key = nil
        if id == SegmentMachine.first, divided.firstReading == nil { divided.firstReading = reading }
        transfer.fetchedBefore += reception.takeFetched()
        reception.settleRates()
        guard let writer = reception.writer else { return nil }
        let isFlushed = writer.flush()
        divided.machine.reached(id, writer.flushedSize)
        if writer.failure?.code == .ioError { transfer.isSpoiled = true }
        let failure = reception.localError ?? (isFlushed ? nil : writer.failure)
        if writer !== divided.anchor { reception.close() }
        return failure.map { FailureMap.failure($0) }
    }

    /// Ends one request before its time; its range is free. nil: it was not under way.
    mutating func endRequest(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ id: Int
    ) -> TransferReading? {
        guard let key = divided.requests[id]?.key, let reading = multi.remove(key) else { return nil }
        // Should the disk have refused the last of it, that range is not counted as there.
        _ = takeOut(transfer, divided, id, reading)
        divided.machine.over(id)
        return reading
    }

    /// Ends all requests of a divided file. What has come is with the kernel, or not counted.
    /// - Returns: the reading of one, the first's if that is there.
    @discardableResult
    mutating func endRequests(_ transfer: ActiveTransfer) -> TransferReading? {
        guard let divided = transfer.divided else { return nil }
        var last: TransferReading?
        for id in divided.requests.keys.sorted(by: >) {
            guard let reading = endRequest(transfer, divided, id) else { continue }
            transfer.newConnections += reading.newConnections
            last = reading
        }
        return divided.firstReading ?? last
    }

    /// Once more from zero, on one connection and under another name: a resume point that speaks of this part may be
    /// stored, and must never find other bytes.
    private mutating func beginAnew(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ reason: String, _ reading: TransferReading
    ) {
        endRequests(transfer)
        tell(transfer, divided, .none)
        while let place = divided.slots.last { giveBack(transfer, divided, place) }
        transfer.restarts += 1
        guard transfer.restarts == 1 else {
            transfer.isSpoiled = true
            return fail(transfer, Self.answered(JobError(.protocol, reason)), reading)
        }
        transfer.reception?.close()
        transfer.divided = nil
        self.divided.remove(transfer.order.token)
        tools.folders[transfer.order.home].remove(divided.anchor.name)
        if let part = PartName(divided.anchor.name) {
            transfer.partName = PartName(of: part.job, after: divided.anchor.name).description
        }
        transfer.old = nil
        again(transfer, from: nil)
    }

    /// Every range is there.
    private mutating func complete(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ reading: TransferReading
    ) {
        endRequests(transfer)
        let head = transfer.reception?.machine.head
        let modified = transfer.order.keepsRemoteTime ? head?.lastModified : nil
        let anchor = divided.anchor
        guard anchor.finish(modified: modified.flatMap { HTTPDate.parse($0) }) else {
            return fail(transfer, FailureMap.failure(anchor.failure!), reading)
        }
        let total = divided.machine.plan.total
        do {
            let size = try anchor.fileSize()
            guard size == total else {
                transfer.isSpoiled = true
                let error = JobError(.truncated, "\(size) of \(total) bytes were written")
                return fail(transfer, TransferFailure(error), reading)
            }
        } catch {
            return fail(transfer, FailureMap.failure(error), reading)
        }
        var part = PartFile(
            name: anchor.name, device: anchor.device, inode: anchor.inode, size: total,
            isLengthVerified: true)
        if total >= settings.checkpointBytes { part.point = divided.point() }
        if settings.isDurable { part.file = anchor.handOver(to: tools.purse) }
        transfer.reception?.close()
        report(transfer, .complete(part), reading)
    }
}
