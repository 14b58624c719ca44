// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit

/// One file that comes in segments: what its connections are, and what they have brought. The loop's thread only.
///
/// The transfer's own request is `SegmentMachine.first`; its part stays open to the end and is what is synced, also for
/// what others wrote: they write through duplicates of its descriptor.
final class DividedTransfer {
    var machine: SegmentMachine
    /// Requests under way, by segment.
    var requests: [Int: Reception] = [:]
    /// What every segment is asked with: URL, validators, length, part. Its `bytes` mean nothing.
    let template: ResumePoint
    let url: String
    let anchor: PartWriter
    /// What the transfer alone may have, for all its connections.
    let ownLimiter: RateLimiter?
    /// Of the transfer's first request, once that is over.
    var firstReading: TransferReading?
    /// What the dispatcher was told could be used.
    var toldWish = SegmentWish.none
    /// Slots that were given and not yet given back, by the place of the URL that each leads to.
    var slots: [Int] = []
    /// Mirrors that have brought some of it.
    var helpers: Set<Int> = []
    /// What mirrors have shown of their file.
    var shown: [Int: Agreement.Shown] = [:]
    let since: MonotonicTime

    /// The answer to the transfer's request has shown that its file can be divided.
    init(
        _ reception: Reception, template: ResumePoint, anchor: PartWriter, cost: ConnectionStart,
        now: MonotonicTime
    ) {
        let order = reception.order
        let start = reception.machine.start ?? 0
        let position = anchor.flushedSize
        var known = [ByteRange(0, position)]
        if start > 0 { known += reception.machine.ask.resume?.ranges ?? [] }
        let rules = order.asksRanges ? order.segments : .none
        self.template = template
        self.anchor = anchor
        url = reception.machine.ask.url
        let sources = SegmentSources(
            own: order.place, others: order.helpers, perSource: rules.perSource)
        machine = SegmentMachine(
            total: template.total ?? 0, known: known, rules: rules, sources: sources, cost: cost, now: now)
        machine.adopt(at: position, reach: reception.machine.end ?? 0, now: now)
        ownLimiter = order.maxRate.map { RateLimiter(rate: $0, now: now) }
        if let ownLimiter { reception.share(ownLimiter) }
        since = now
        requests[SegmentMachine.first] = reception
    }

    /// Some pieces of a file that has come were wrong: only they are asked for, as segments are.
    init(
        mending point: ResumePoint, at url: String, _ order: TransferOrder, anchor: PartWriter,
        now: MonotonicTime
    ) {
        var template = point
        template.url = url
        template.ranges = nil
        self.template = template
        self.anchor = anchor
        self.url = url
        machine = SegmentMachine(
            total: point.total ?? 0, known: [ByteRange(0, point.bytes)] + (point.ranges ?? []),
            rules: order.segments,
            sources: SegmentSources(own: order.place, perSource: order.segments.perSource), now: now)
        ownLimiter = order.maxRate.map { RateLimiter(rate: $0, now: now) }
        since = now
    }

    var isMending: Bool { template.isProven == true }
    var own: Int { machine.sources.own }
    /// Bytes of more than one source are in it.
    var isShared: Bool {
        template.isShared == true || !helpers.isEmpty
            || requests.contains { machine.sources.place(of: $0.key) != own && Self.hasBrought($0.value) }
    }
    /// A 206 that was doubted is let go of before its body.
    private static func hasBrought(_ reception: Reception) -> Bool {
        reception.machine.head.status == 206 && reception.fetchedBytes > 0
    }

    /// Remembers what a mirror's answer has shown, before its request goes.
    func note(_ reception: Reception, at place: Int) {
        guard place != own, Self.hasBrought(reception) else { return }
        helpers.insert(place)
        let head = reception.machine.head
        shown[place] = Agreement.Shown(etag: head.etag, lastModified: head.lastModified)
    }

    /// What a mirror at that place has to show now.
    func agreement(with place: Int, hasDigest: Bool) -> Agreement {
        for (id, reception) in requests where machine.sources.place(of: id) == place {
            note(reception, at: place)
        }
        return Agreement(
            isProven: hasDigest, etag: template.etag, lastModified: template.lastModified,
            shown: shown[place])
    }

    /// Bytes of the file that have come.
    var bytes: Int64 {
        requests.reduce(machine.plan.total - machine.plan.missing) { sum, request in
            guard let rest = machine.plan.rest(of: request.key) else { return sum }
            return sum + max(0, min(request.value.writer?.size ?? 0, rest.end) - rest.start)
        }
    }

    /// Tells the plan how far each has got: what the kernel has. What is still being gathered is less than a segment
    /// can be, so no end is moved into it.
    func update() {
        for (id, reception) in requests {
            if let writer = reception.writer { machine.reached(id, writer.flushedSize) }
        }
    }

    /// Tells each where its segment ends by now.
    func limit() {
        for (id, reception) in requests {
            if let rest = machine.plan.rest(of: id) { reception.limit = rest.end }
        }
    }

    func positions() -> [Int: Int64] { requests.compactMapValues { $0.writer?.size } }

    func id(of key: TransferKey) -> Int? { requests.first { $0.value.key == key }?.key }

    /// Hands everything to the kernel. False: some of it is not there.
    func flush() -> Bool {
        requests.values.reduce(anchor.flush()) { $1.writer?.flush() ?? true && $0 }
    }

    /// What a later attempt may go on with; what the kernel has not taken is not counted.
    func point() -> ResumePoint? {
        update()
        let known = machine.plan.known
        let front = known.first.flatMap { $0.start == 0 ? $0.end : nil }
        guard front != nil || (isMending && !known.isEmpty) else { return nil }
        var point = template
        point.bytes = front ?? 0
        let rest = known.filter { $0.start > 0 }
        point.ranges = rest.isEmpty ? nil : rest
        point.isShared = isShared ? true : nil
        return point
    }
}
