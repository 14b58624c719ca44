// SPDX-License-Identifier: Apache-2.0

import Glibc

enum Bytes {
    /// memchr(3): every byte of every list goes through here.
    static func firstIndex(of byte: UInt8, in bytes: [UInt8], from start: Int) -> Int? {
        guard start < bytes.count else { return nil }
        return unsafe bytes.withUnsafeBytes { buffer in
            let base = buffer.baseAddress!
            guard let found = unsafe memchr(base + start, Int32(byte), buffer.count - start) else {
                return nil
            }
            return unsafe UnsafeRawPointer(found) - base
        }
    }
}

extension Collection<UInt8> where Self: BidirectionalCollection {
    /// Without spaces and TABs (and a stray CR) at both ends.
    var trimmed: SubSequence {
        var slice = self[...]
        while let first = slice.first, isBlank(first) { slice = slice.dropFirst() }
        while let last = slice.last, isBlank(last) { slice = slice.dropLast() }
        return slice
    }

    func contains(subsequence text: String) -> Bool {
        let wanted = Array(text.utf8)
        guard count >= wanted.count else { return false }
        var start = startIndex
        let last = index(endIndex, offsetBy: -wanted.count)
        while start <= last {
            if self[start...].starts(with: wanted) { return true }
            start = index(after: start)
        }
        return false
    }

    private func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}
