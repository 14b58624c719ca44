// SPDX-License-Identifier: Apache-2.0

/// One run of a file on its way to the disk: blocks of 16 KiB come in, one large write goes out.
@safe final class GatherBuffer {
    /// Bytes. Several writes of this size measured no slower than one of 1 MiB, and 64 transfers hold 16 MiB.
    static let capacity = 256 * 1024

    private let memory: UnsafeMutableRawPointer
    private(set) var count = 0

    init() { unsafe memory = .allocate(byteCount: Self.capacity, alignment: 4096) }
    deinit { unsafe memory.deallocate() }

    var isFull: Bool { count == Self.capacity }

    /// Takes as much as fits, from `start` on; how many bytes.
    func fill(_ block: borrowing RawSpan, from start: Int) -> Int {
        let taken = min(Self.capacity - count, block.byteCount - start)
        unsafe block.withUnsafeBytes { bytes in
            unsafe memory.advanced(by: count).copyMemory(from: bytes.baseAddress! + start, byteCount: taken)
        }
        count += taken
        return taken
    }

    /// What has been gathered; valid until the next `fill` or `empty`.
    func withBytes<Failure: Error>(_ body: (borrowing RawSpan) throws(Failure) -> Void) throws(Failure) {
        let bytes = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(memory), byteCount: count)
        try body(bytes)
    }

    func empty() { count = 0 }
}

/// Buffers that no transfer uses at the moment. One worker's; as many as it ever had transfers at once.
final class GatherPool {
    private var resting: [GatherBuffer] = []

    func take() -> GatherBuffer { resting.popLast() ?? GatherBuffer() }
    func give(_ buffer: GatherBuffer) {
        buffer.empty()
        resting.append(buffer)
    }
}
