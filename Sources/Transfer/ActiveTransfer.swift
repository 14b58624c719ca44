// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit
import SystemPackage

/// One order under way: usually one request, more where a resume point proved no good or a range came in
/// pieces. The loop's thread only.
final class ActiveTransfer {
    /// What becomes of the part when the transfer ends without a file.
    enum Keeping {
        case nothing
        /// With the kernel; who stores the resume point syncs it first.
        case flushed
        case synced(isDurable: Bool)
    }

    var order: TransferOrder
    /// Where the next request goes on; the order's, until it proves no good or a piece is done.
    var resume: ResumePoint?
    /// What lies there from before, whether or not this request goes on from it; nil once it is known to be gone.
    var old: ResumePoint?
    var ranges = RangeConduct.fair
    var reception: Reception?
    /// The connection that its request was given to, where it may be shared.
    var ride: ConnectionName?
    /// What was left when it had ended.
    var sight: StreamSight?
    /// Once its file comes over several connections.
    var divided: DividedTransfer?
    /// Of a part that is begun: another one each time.
    var partName: String
    /// Body bytes of earlier requests of this order.
    var fetchedBefore: Int64 = 0
    var newConnections = 0
    /// Nothing of its part is believed any more.
    var isSpoiled = false
    var restarts = 0
    var continuations = 0
    /// Took the place of another: nobody waits to hear how it gets on.
    var isSuccessor = false
    /// Bytes of an earlier attempt that are part of the file.
    var keptBytes: Int64 {
        // Dropped, refused, or answered with the whole file: nothing of it was kept.
        let isWhole = reception?.machine.start == 0 && !(divided?.isMending ?? false)
        let isFromZero = restarts > 0 || resume == nil || isWhole
        return isFromZero ? 0 : order.resume?.known ?? 0
    }
    private var shownBytes: Int64 = -1
    private var checkpointed: (bytes: Int64, time: MonotonicTime)?

    init(_ order: TransferOrder) {
        self.order = order
        partName = order.partName
        resume = order.resume
        old = order.resume
    }

    /// The request that libcurl has of it, where there is but one.
    var key: TransferKey? { reception?.key }

    /// How far it is, if that has changed since the last call.
    func progress() -> TransferProgress? {
        guard let reception else { return nil }
        let bytes = divided?.bytes ?? reception.writer?.size ?? 0
        guard bytes != shownBytes else { return nil }
        shownBytes = bytes
        return TransferProgress(
            token: order.token, bytes: bytes, total: reception.machine.total ?? resume?.total)
    }

    /// What could be gone on from, when enough has come since the last time. The bytes are flushed, not synced:
    /// this thread never waits for the disk.
    func checkpoint(_ settings: TransferSettings, now: MonotonicTime) -> Checkpoint? {
        guard let reception, let writer = reception.writer, !writer.isUntouched else { return nil }
        let start = reception.machine.start ?? 0
        let last = checkpointed ?? (start > 0 ? resume?.known ?? start : 0, now)
        checkpointed = last
        let size = divided?.bytes ?? writer.size
        let isDue =
            size - last.bytes >= settings.checkpointBytes
            || now - last.time >= settings.checkpointInterval && size > last.bytes
        guard isDue, divided?.flush() ?? writer.flush() else { return nil }
        checkpointed = (size, now)
        if let divided {
            let running = divided.requests.values.reduce(fetchedBefore) { $0 + $1.fetchedBytes }
            return divided.point().map { Checkpoint(resume: $0, fetchedBytes: running) }
        }
        return reception.machine.resumePoint(
            bytes: writer.flushedSize, device: writer.device, inode: writer.inode, part: writer.name
        ).map { Checkpoint(resume: $0, fetchedBytes: fetchedBefore + reception.fetchedBytes) }
    }

    /// Closes the part and says where it can be gone on from; without such a point it is removed.
    func settlePart(_ tools: ReceptionTools, keeping: Keeping) -> ResumePoint? {
        guard let reception, let writer = reception.writer else {
            // Nothing was opened: what lay there before is as good as before.
            return reception?.hasBegunAnew ?? false ? nil : old
        }
        defer { reception.close() }
        let point = point(reception, writer, keeping)
        if point == nil { tools.folders[order.home].remove(writer.name) }
        return point
    }

    private func point(_ reception: Reception, _ writer: PartWriter, _ keeping: Keeping) -> ResumePoint? {
        if isSpoiled { return nil }
        let isSound: Bool
        switch keeping {
        case .nothing: return nil
        // No byte of this answer went in: the point that was checked at the start still holds.
        case .flushed, .synced: if writer.isUntouched { return resume }
        }
        switch keeping {
        case .synced(isDurable: true): isSound = divided?.flush() ?? true && writer.synchronize()
        case .synced, .flushed, .nothing: isSound = divided?.flush() ?? writer.flush()
        }
        // After a failed write what lies before it is fine; after an I/O error or a failed sync nothing is.
        if !isSound {
            if case .synced = keeping { return nil }
            if writer.failure?.code == .ioError { return nil }
        }
        if let divided { return divided.point() }
        return reception.machine.resumePoint(
            bytes: writer.flushedSize, device: writer.device, inode: writer.inode, part: writer.name)
    }
}
