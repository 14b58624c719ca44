// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import SystemPackage

/// Goes once through a span of a file, from the page cache where it is there.
///
/// Small files are read; of long ones windows are mapped, which spares the copy: SHA-256 out of mapped pages runs at
/// 0.93 of its speed in memory, out of a read buffer at 0.85. A window's pages are made present by the kernel first, so
/// that a file that ends early, or a disk that fails, is an answer and no SIGBUS; then reading goes on with `pread`,
/// as it does where mapping is refused. (A file cut off in the very moment between costs its worker; the job is dealt
/// again and finds the shorter file.)
///
/// The descriptor's position is shared with the sender's copy and with a worker that died over the same job: reads name
/// their place.
struct SpanReader: ~Copyable {
    enum Step: Sendable, Hashable {
        case bytes
        case end
        case failed(Errno)
        /// A span with a length reaches beyond the end of the file.
        case short(endsAt: Int64)
        /// The taker wants no more.
        case refused
    }
    static let blockBytes = 256 << 10
    static let windowBytes: Int64 = 4 << 20

    private let descriptor: Int32
    private let isOpenEnded: Bool
    private let end: Int64
    private var offset: Int64
    /// Up to here it is mapped; 0 until the file has shown to be long, and when mapping does not work.
    private var mappedEnd: Int64 = 0
    private var isFirst = true

    init(_ descriptor: Int32, _ span: DigestSpan) {
        self.descriptor = descriptor
        isOpenEnded = span.length == nil
        offset = span.offset
        // No overflow: the span was checked for it.
        end = span.length.map { span.offset + $0 } ?? .max
    }

    /// Hands the next bytes to `take`, which answers whether it took them.
    mutating func step(
        _ block: inout [UInt8], _ take: (UnsafeRawBufferPointer) -> Bool
    ) -> Step {
        if offset == end { return .end }
        if offset < mappedEnd, let isTaken = unsafe stepMapped(take) { return isTaken ? .bytes : .refused }
        if block.isEmpty { block = [UInt8](repeating: 0, count: Self.blockBytes) }
        let wanted = Int(min(Int64(block.count), end - offset))
        var count = 0
        repeat {
            count = unsafe block.withUnsafeMutableBytes {
                unsafe pread(descriptor, $0.baseAddress, wanted, off_t(offset))
            }
        } while count < 0 && errno == EINTR
        if count < 0 { return .failed(Errno(rawValue: errno)) }
        if count == 0 { return isOpenEnded ? .end : .short(endsAt: offset) }
        offset += Int64(count)
        if isFirst && count == block.count { findMappedEnd() }
        isFirst = false
        let isTaken = unsafe block.withUnsafeBytes { bytes in
            unsafe take(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
        return isTaken ? .bytes : .refused
    }

    /// A full first block: there is more, and reading ahead pays. Advice only: a file system may refuse it.
    private mutating func findMappedEnd() {
        _ = posix_fadvise(descriptor, off_t(offset), 0, POSIX_FADV_SEQUENTIAL)
        mappedEnd = min(end, Int64(lseek(descriptor, 0, SEEK_END)))
    }

    /// nil: it did not work, and will not be tried again.
    private mutating func stepMapped(_ take: (UnsafeRawBufferPointer) -> Bool) -> Bool? {
        let page = Int64(sysconf(Int32(_SC_PAGESIZE)))
        let base = offset / page * page
        let windowEnd = min(base + Self.windowBytes, mappedEnd)
        let length = Int(windowEnd - base)
        let window = unsafe mmap(nil, length, PROT_READ, MAP_SHARED, descriptor, off_t(base))
        guard let window = unsafe window, unsafe window != MAP_FAILED else {
            mappedEnd = 0
            return nil
        }
        defer { unsafe _ = munmap(window, length) }
        // Linux 5.14; before it this answers EINVAL.
        guard unsafe madvise(window, length, MADV_POPULATE_READ) == 0 else {
            mappedEnd = 0
            return nil
        }
        let bytes = unsafe UnsafeRawBufferPointer(
            start: window + Int(offset - base), count: Int(windowEnd - offset))
        offset = windowEnd
        return unsafe take(bytes)
    }
}
