// SPDX-License-Identifier: Apache-2.0

import Glibc
import SumWorker

/// Standard output, byte by byte and in large pieces, in step with the complaints on standard error.
struct Page {
    private static let pieceBytes = 1 << 15
    private let lineEnd: UInt8
    private let isTerminal = isatty(1) == 1
    private var unwritten: [UInt8] = []
    private var failure: Int32 = 0

    init(lineEnd: UInt8) { self.lineEnd = lineEnd }

    mutating func show(_ text: ByHand.DigestText) {
        switch text {
        case .output(let line):
            unwritten += line
            unwritten.append(lineEnd)
            if isTerminal || unwritten.count >= Self.pieceBytes { flush() }
        case .complaint(let words):
            flush()
            ByHand.complain("sumd: \(words)")
        }
    }

    /// Answers whether all could be written; says so if not.
    mutating func finish() -> Bool {
        flush()
        if failure != 0 { ByHand.complain("sumd: write error: \(ByHand.reason(failure))") }
        return failure == 0
    }

    private mutating func flush() {
        var start = 0
        while failure == 0, start < unwritten.count {
            let count = unsafe unwritten.withUnsafeBytes {
                unsafe write(1, $0.baseAddress! + start, $0.count - start)
            }
            if count >= 0 { start += count } else if errno != EINTR { failure = errno }
        }
        unwritten.removeAll(keepingCapacity: true)
    }
}
