// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit

// A whole file some of whose pieces were wrong: a divided transfer from its beginning, whose holes are the pieces.
extension TransferLoop {
    /// Asks for what is wrong and for nothing else.
    /// - Returns: false where the part, or this mirror, is not fit for that: then the file is fetched from zero.
    mutating func mend(
        _ transfer: ActiveTransfer, _ point: ResumePoint, _ now: MonotonicTime
    ) throws -> Bool {
        let order = transfer.order
        let url = try ParsedURL.parse(order.url.text)
        guard order.asksRanges, point.total != nil, url.scheme == "http" || url.scheme == "https" else {
            return false
        }
        if let denied = try deniedBehindProxy(order) {
            fail(transfer, denied, nil)
            return true
        }
        let folder = tools.folders[order.home]
        guard let anchor = try PartWriter.resume(point.part, from: point, in: folder, pool: tools.pool) else {
            folder.remove(point.part)
            transfer.old = nil
            return false
        }
        let mending = DividedTransfer(mending: point, at: url.text, order, anchor: anchor, now: now)
        transfer.divided = mending
        divided.insert(order.token)
        active[order.token] = transfer
        pump(transfer, mending)
        // What its answer tells is what is told of the transfer.
        transfer.reception = mending.requests[SegmentMachine.first]
        return true
    }
}
