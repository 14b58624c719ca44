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
        let order = transfer.order
        // Where a rate is set, finding the line's speed costs nothing.
        let isLimited =
            order.maxRate != nil || order.hostLimiter?.isSet ?? false || tools.totalLimiter?.isSet ?? false
        let reading = isLimited ? nil : reception.key.flatMap { multi.reading(of: $0) }
        let cost = ConnectionStart(roundTrip: reading?.roundTrip ?? .zero)
        transfer.divided = DividedTransfer(
            reception, template: template, anchor: anchor, cost: cost, now: Clock.now())
        divided.insert(token)
        tellWanted(transfer)
    }

    /// The dispatcher has a slot for one more.
    /// - Parameter isOpen: a connection to its host is in this worker's cache.
    mutating func openSegment(_ token: UInt64, _ helper: HelperOrder?, _ isOpen: Bool) {
        // Not there: the transfer has ended, and its report gives all slots back.
        guard let transfer = active[token] else { return }
        let place = helper?.place ?? transfer.order.place
        guard let divided = transfer.divided else {
            giveBack(SegmentReport(token: token, worker: worker, place: place))
            return
        }
        let now = Clock.now()
        divided.slots.append(place)
        divided.update()
        guard divided.machine.mayOpen(at: place, now: now),
            let segment = divided.machine.open(at: place, isOpen: isOpen, now: now)
        else {
            giveBack(transfer, divided, place) { $0.keptConnection = isOpen }
            // Not again before something has changed.
            var wish = divided.machine.wish(now: now)
            wish.count = min(divided.slots.count, wish.count)
            wish.open = min(divided.slots.count, wish.open)
            return tell(transfer, divided, wish)
        }
        if let failure = begin(transfer, divided, segment.id, segment.range, helper?.order, now) {
            if place == divided.own {
                divided.machine.failed(segment.id, hadBytes: true, now: now)
            } else {
                divided.machine.lost(segment.id, hadBytes: false, isFinal: !failure.isLocal)
            }
            if failure.isLocal { tools.folders[transfer.order.home].forget() }
            giveBack(transfer, divided, place)
            return tellWanted(transfer)
        }
        divided.limit()
        // The first will be cut.
        if let reception = transfer.reception, reception.machine.head.isHTTP2, let key = reception.key {
            multi.forbidReuse(key)
        }
    }

    /// Others want the slots: the youngest end, and what they have is kept.
    mutating func closeSegments(_ token: UInt64, _ count: Int, at places: Set<Int>) {
        guard let transfer = active[token], let divided = transfer.divided else { return }
        let sources = divided.machine.sources
        let youngest = divided.requests.keys.filter {
            $0 != SegmentMachine.first && places.contains(sources.place(of: $0))
        }.sorted().suffix(count)
        for id in youngest { close(transfer, divided, id) }
        pump(transfer, divided)
    }

    private mutating func close(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ id: Int,
        _ trouble: SegmentReport.Trouble? = nil
    ) {
        let place = divided.machine.sources.place(of: id)
        guard let reading = endRequest(transfer, divided, id) else { return }
        transfer.newConnections += reading.newConnections
        giveBack(transfer, divided, place) { $0.trouble = trouble }
    }

    /// Gives a slot back.
    mutating func giveBack(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ place: Int,
        _ change: (inout SegmentReport) -> Void = { _ in }
    ) {
        guard let index = divided.slots.firstIndex(of: place) else { return }
        divided.slots.remove(at: index)
        var report = SegmentReport(token: transfer.order.token, worker: worker, place: place)
        change(&report)
        giveBack(report)
    }

    private mutating func giveBack(_ report: SegmentReport) { tell(.segmentOver(report)) }

    /// Four times a second: what each connection brings, and whether there should be more.
    mutating func lookAtSegments(_ now: MonotonicTime) {
        for token in divided {
            guard let transfer = active[token], let divided = transfer.divided else { continue }
            let surplus = divided.machine.sample(divided.positions(), bytes: divided.bytes, now: now)
            for id in surplus + divided.machine.laggards() { close(transfer, divided, id) }
            for id in divided.machine.stalled(now: now) {
                let stall = SegmentReport.Trouble(error: JobError(.stalled, "the mirror stands still"))
                divided.machine.drop(divided.machine.sources.place(of: id))
                close(transfer, divided, id, stall)
            }
            pump(transfer, divided)
        }
    }

    /// After anything that has changed the plan: the first goes on, ends move, the dispatcher hears what is wanted.
    mutating func pump(_ transfer: ActiveTransfer, _ divided: DividedTransfer) {
        divided.update()
        let now = Clock.now()
        let needsFirst = divided.requests[SegmentMachine.first] == nil
        if needsFirst, !divided.machine.plan.isWhole,
            divided.machine.mayOpen(now: now)
                || (divided.requests.isEmpty && !divided.machine.awaitsHelp(now: now)),
            let range = divided.machine.openFirst(now: now),
            let failure = begin(transfer, divided, SegmentMachine.first, range, nil, now)
        {
            divided.machine.failed(SegmentMachine.first, hadBytes: true, now: now)
            if divided.requests.isEmpty { return fail(transfer, failure, nil) }
        }
        divided.limit()
        tellWanted(transfer)
    }

    mutating func tellWanted(_ transfer: ActiveTransfer) {
        guard let divided = transfer.divided else { return }
        tell(transfer, divided, divided.machine.wish(now: Clock.now()))
    }

    mutating func tell(_ transfer: ActiveTransfer, _ divided: DividedTransfer, _ wish: SegmentWish) {
        guard wish != divided.toldWish else { return }
        divided.toldWish = wish
        tell(.segmentsWanted(worker: worker, token: transfer.order.token, wish))
    }

    /// Asks for a range, with everything that the first request was asked with; of a mirror, with what is its own.
    /// - Returns: why that could not be.
    private mutating func begin(
        _ transfer: ActiveTransfer, _ divided: DividedTransfer, _ id: Int, _ range: ByteRange,
        _ helper: TransferOrder? = nil, _ now: MonotonicTime
    ) -> TransferFailure? {
        var order = helper ?? transfer.order
        // Together they are as fast as one should be; and a stall is one either way.
        order.lowestSpeed = nil
        order.waitsForMultiplex = false
        if let deadline = order.deadline, deadline <= now { return Self.jobOver }
        if let deadline = order.attemptDeadline, deadline <= now { return FailureMap.attemptOver }
        do {
            let ask = segmentAsk(order, divided, range, isHelper: helper != nil)
            if let helper, let denied = try deniedBehindProxy(helper) { return denied }
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

    private func segmentAsk(
        _ order: TransferOrder, _ divided: DividedTransfer, _ range: ByteRange, isHelper: Bool
    ) -> ResponseAsk {
        var point = divided.template
        point.bytes = range.start
        var ask = ResponseAsk(
            url: divided.url, resume: point, end: range.end, expectedSize: order.expectedSize,
            maxFileSize: order.maxFileSize, now: Clock.wall())
        guard isHelper else { return ask }
        ask.url = order.url.text
        ask.agreement = divided.agreement(with: order.place, hasDigest: order.hasDigest)
        // Validators are each server's own.
        ask.resume?.etag = nil
        ask.resume?.lastModified = nil
        return ask
    }
}
