// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import JobModel
import LinuxKit

/// What `dld get` shows while it works: on a terminal one line a running file and a total, redrawn in place; else a
/// line every ten seconds. Main thread.
final class GetProgress {
    private let board: StatusBoard
    private let isTerminal = isatty(2) == 1
    private var drawnLines = 0
    private var last = Monotonic.nanoseconds()
    static let plainInterval: Int64 = 10_000_000_000
    static let maxFiles = 12

    init(board: StatusBoard) { self.board = board }

    func tick() {
        let status = board.read().status
        if isTerminal {
            draw(Self.lines(status, width: Self.width))
        } else if Monotonic.nanoseconds() - last >= Self.plainInterval {
            last = Monotonic.nanoseconds()
            write(Self.total(status) + "\n")
        }
    }

    /// Leaves the total as the last line.
    ///
    /// - Parameter failed: entries that did not end well, bad lines among them.
    func finish(failed: Int) {
        let status = board.read().status
        if isTerminal { draw([]) }
        write(Self.total(status, failed: failed) + "\n")
    }

    private func draw(_ lines: [String]) {
        // The terminal may have echoed a key: back to the margin first.
        var text = drawnLines > 0 ? "\r\u{1B}[\(drawnLines)A" : ""
        for line in lines { text += "\u{1B}[2K" + line + "\n" }
        // What was drawn below and is no more.
        text += "\u{1B}[J"
        drawnLines = lines.count
        write(text)
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        // A terminal that is gone shows nothing any more.
        _ = unsafe bytes.span.bytes.withUnsafeBytes { buffer in
            unsafe Glibc.write(2, buffer.baseAddress, buffer.count)
        }
    }

    private static var width: Int {
        var size = winsize()
        guard unsafe ioctl(2, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else { return 80 }
        return Int(size.ws_col)
    }

    static func lines(_ status: StatusDocument, width: Int) -> [String] {
        var lines: [String] = []
        for transfer in status.transfers.prefix(maxFiles) { lines.append(file(transfer, width: width)) }
        let more = status.transfersTotal - lines.count
        if more > 0 { lines.append("  and \(more) more") }
        lines.append(fit(total(status), width - 1))
        return lines
    }

    /// `name      45 %  12.3 MiB of 27 MiB   3.1 MiB/s  5 s`
    private static func file(_ transfer: TransferStatus, width: Int) -> String {
        var right = Quantity.size(transfer.bytes)
        if let total = transfer.total, total > 0 {
            let percent = max(0, Int(min(100, Double(transfer.bytes) * 100 / Double(total))))
            right = "\(percent) %  \(right) of \(Quantity.size(total))"
        }
        right += "  \(Quantity.rate(transfer.rate))"
        if let total = transfer.total, transfer.rate > 1, total > transfer.bytes {
            right += "  " + Quantity.time(Double(total - transfer.bytes) / transfer.rate)
        }
        let room = max(8, width - right.count - 3)
        let name = fit(Masking.text(transfer.path), room)
        let gap = String(repeating: " ", count: max(2, width - 1 - name.count - right.count))
        return name + gap + right
    }

    static func total(_ status: StatusDocument, failed counted: Int = 0) -> String {
        // An open list counts what earlier calls did of it; a closed one is in the totals only.
        let done = max(status.totals.done, status.jobs.done)
        let failed = max(counted, status.totals.failed)
        let all = max(status.jobs.total, done + failed + status.totals.cancelled)
        var text = "\(done) of \(all) files, \(Quantity.size(status.totals.bytes))"
        if failed > 0 { text += ", \(failed) failed" }
        if status.state == .running {
            text += ", \(Quantity.rate(status.totals.rate))"
            if let left = timeLeft(status) { text += ", \(Quantity.time(left)) left" }
        } else if let reason = status.pauseReason {
            text += ", paused: \(reason)"
        } else if status.state == .waiting {
            text += ", \(status.verdict)"
        }
        return text
    }

    /// By bytes where every running file has a length and nothing waits behind; else by files.
    private static func timeLeft(_ status: StatusDocument) -> Double? {
        let isAllKnown = status.transfers.allSatisfy { $0.total != nil }
        if isAllKnown, status.jobs.queued == 0, status.totals.rate > 1 {
            // In floating point: lengths are what servers say.
            let left = status.transfers.reduce(0.0) { $0 + max(0, Double($1.total ?? 0) - Double($1.bytes)) }
            return left / status.totals.rate
        }
        return status.totals.secondsLeft
    }

    /// Cut in the middle: both ends of a name tell more than one.
    private static func fit(_ text: String, _ room: Int) -> String {
        guard text.count > room, room > 4 else { return text }
        let head = (room - 1) / 2
        return text.prefix(head) + "…" + text.suffix(room - 1 - head)
    }
}
