// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit
import SystemPackage

// A file over several connections: how its segments begin and are looked after.
extension TransferLoop {
    /// The answer has shown that others may bring parts of the file.
    mutating func divide(_ token: UInt64) {
        guard let transfer = active[token], transfer.divided == nil, let reception = transfer.reception,
            // From zero the part is made here, not with the first block: the others need it.
            let start = reception.machine.start, reception.openPart(at: start), let anchor = reception.writer,
            var template = reception.machine.resumePoint(
                bytes: 1, device: anchor.device, inode: anchor.inode, part: anchor.name)
        else { return }
        // Known bytes beyond a gap are of use only here; else a file that has been begun anew stays whole.
        guard transfer.restarts == 0 || reception.machine.ask.resume?.ranges != nil else { return }
        template.ranges = nil
        transfer.divided = DividedTransfer(reception, template: template, anchor: anchor, now: Clock.now())
        divided.insert(token)
        tellWanted(transfer)
    }

    /// The dispatcher has a slot for one more.
    mutating func openSegment(_ token: UInt64) {
        // Not there: the transfer has ended, and its report gives all slots back.
        guard let transfer = active[token] else { return }
        guard let divided = transfer.divided else {
            giveBack(SegmentReport(token: token, worker: worker))
            return
        }
        let now = Clock.now()
        divided.slots += 1
        divided.update()
        guard divided.machine.mayOpen(now: now), let segment = divided.machine.open(now: now) else {
            giveBack(transfer, divided)
            // Not again before something has changed.
            return tell(transfer, divided, wanted: min(divided.slots, divided.machine.wanted(now: now)))
        }
        if let failure = begin(transfer, divided, segment.id, segment.range, now) {
            divided.machine.failed(segment.id, hadBytes: true, now: now)
            if failure.isLocal { tools.folders[transfer.order.home].forget() }
            giveBack(transfer, divided)
            return tellWanted(transfer)
        }
        divided.limit()
        // The first will be cut.
        if let reception = transfer.reception, reception.machine.head.isHTTP2, let key = reception.key {
            multi.forbidReuse(key)
        }
    }

    /// Others want the slots: the youngest end, and what they have is kept.
    mutating func closeSegments(_ token: UInt64, _ count: Int) {
        guard let transfer = active[token], let divided = transfer.divided else { return }
        let youngest = divided.requests.keys.filter { $0 != SegmentMachine.first }.sorted().suffix(count)
        for id in youngest { close(transfer, divided, id) }
        pump(transfer, divided)
    }

    private mutating func close(_ transfer: ActiveTransfer, _ divided: DividedTransfer, _ id: Int) {
        guard let reading = endRequest(transfer, divided, id) else { return }
        transfer.newConnections += reading.newConnections
        giveBack(transfer, divided)
    }

    /// Gives a slot back.
    mutating func giveBack(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ load: AdaptiveCap.End = .neutral,
        retryAfter: Duration? = nil, keptConnection: Bool = false
    ) {
        divided.slots -= 1
        var report = SegmentReport(token: transfer.order.token, worker: worker)
        report.load = load
        report.retryAfter = retryAfter
        report.keptConnection = keptConnection
        giveBack(report)
    }

    private mutating func giveBack(_ report: SegmentReport) { events.append(.segmentOver(report)) }

    /// Four times a second: what each connection brings, and whether there should be more.
    mutating func lookAtSegments(_ now: MonotonicTime) {
        for token in divided {
            guard let transfer = active[token], let divided = transfer.divided else { continue }
            let surplus = divided.machine.sample(divided.positions(), bytes: divided.bytes, now: now)
            for id in surplus { close(transfer, divided, id) }
            pump(transfer, divided)
        }
    }

    /// After anything that has changed the plan: the first goes on, ends move, the dispatcher hears what is wanted.
    mutating func pump(_ transfer: ActiveTransfer, _ divided: DividedTransfer) {
        divided.update()
        let now = Clock.now()
        let needsFirst = divided.requests[SegmentMachine.first] == nil
        if needsFirst, !divided.machine.plan.isWhole,
            divided.requests.isEmpty || divided.machine.mayOpen(now: now),
            let range = divided.machine.openFirst(now: now),
            let failure = begin(transfer, divided, SegmentMachine.first, range, now)
        {
            divided.machine.failed(SegmentMachine.first, hadBytes: true, now: now)
            if divided.requests.isEmpty { return fail(transfer, failure, nil) }
        }
        divided.limit()
        tellWanted(transfer)
    }

    mutating func tellWanted(_ transfer: ActiveTransfer) {
        guard let divided = transfer.divided else { return }
        tell(transfer, divided, wanted: divided.machine.wanted(now: Clock.now()))
    }

    mutating func tell(_ transfer: ActiveTransfer, _ divided: DividedTransfer, wanted: Int) {
        guard wanted != divided.toldWanted else { return }
        divided.toldWanted = wanted
        events.append(.segmentsWanted(worker: worker, token: transfer.order.token, count: wanted))
    }

    /// Asks for a range, with everything that the first request was asked with.
    /// - Returns: why that could not be.
    private mutating func begin(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ id: Int, _ range: ByteRange,
        _ now: MonotonicTime
    ) -> TransferFailure? {
        var order = transfer.order
        // Together they are as fast as one should be; and a stall is one either way.
        order.lowestSpeed = nil
        order.waitsForMultiplex = false
        if let deadline = order.deadline, deadline <= now { return Self.jobOver }
        if let deadline = order.attemptDeadline, deadline <= now { return FailureMap.attemptOver }
        var point = divided.template
        point.bytes = range.start
        let ask = ResponseAsk(
            url: divided.url, resume: point, end: range.end, expectedSize: order.expectedSize,
            maxFileSize: order.maxFileSize, now: Clock.wall())
        do {
            let reception = Reception(
                order: order, ask: ask, writer: try divided.anchor.branch(at: range.start),
                partName: transfer.partName, isSegment: true, tools: tools, now: now)
            if let limiter = divided.ownLimiter { reception.share(limiter) }
            reception.limit = range.end
            let key = try multi.add(try readyEasy(order, ask, reception, now))
            reception.key = key
            tokens[key] = order.token
            divided.requests[id] = reception
            return nil
        } catch let error as SystemError {
            return FailureMap.failure(error)
        } catch let error as CurlError {
            return FailureMap.failure(BreakFacts(error: error))
        } catch {
            return TransferFailure(JobError(.protocol, Masking.text("\(error)")))
        }
    }
}
