// SPDX-License-Identifier: Apache-2.0

import CZlib

/// One gzip stream on its way through zlib: members one after the other, each with its CRC and length checked.
///
/// Bounded whatever the ratio: output comes in chunks of the size asked for. zlib keeps its stream's address, so the
/// stream lives on the heap.
@safe final class Inflater {
    enum Step {
        /// Text, never empty.
        case output([UInt8])
        case needsInput
        /// A member ended well; more input may begin another.
        case memberEnd
        case damaged(String)
    }

    private let stream: UnsafeMutablePointer<z_stream>
    private var input: [UInt8] = []
    private var taken = 0
    /// The last call filled its output: zlib may hold more, also where all input is taken.
    private var isFull = false
    /// The member has ended, and its last output has been given out.
    private var hasEnded = false

    init() {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // 15 bits of window, +16: gzip framing only. Fails only without memory, and then nothing can go on.
        let status = unsafe inflateInit2_(stream, 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "inflateInit2: \(status)")
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Input that has not been taken yet.
    var rest: ArraySlice<UInt8> { input[taken...] }

    /// Gives the next piece of the file; the last one must have been taken.
    func feed(_ bytes: [UInt8]) {
        precondition(rest.isEmpty, "the last piece has not been taken")
        input = bytes
        taken = 0
    }

    /// Skips input that belongs to no member.
    func skip(_ count: Int) { taken += count }

    /// Begins the next member.
    func reset() {
        unsafe _ = inflateReset(stream)
        (isFull, hasEnded) = (false, false)
    }

    /// Goes on until there is output, or a reason to stop.
    func step(upTo limit: Int) -> Step {
        if hasEnded { return .memberEnd }
        guard taken < input.count || isFull else { return .needsInput }
        var produced = 0
        var status = Z_OK
        let output = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            (status, produced) = unsafe inflateOnce(into: buffer)
            count = produced
        }
        isFull = produced == limit
        hasEnded = status == Z_STREAM_END
        switch status {
        case Z_OK, Z_BUF_ERROR: return produced > 0 ? .output(output) : .needsInput
        case Z_STREAM_END: return produced > 0 ? .output(output) : .memberEnd
        case Z_DATA_ERROR: return .damaged("its gzip data is damaged")
        case Z_NEED_DICT: return .damaged("its gzip data needs a dictionary")
        default: return .damaged("zlib cannot unpack it (\(status))")
        }
    }

    private func inflateOnce(into buffer: UnsafeMutableBufferPointer<UInt8>) -> (status: Int32, produced: Int)
    {
        unsafe input.withUnsafeMutableBufferPointer { bytes in
            // An empty array may have no address; zlib then takes nil with a length of 0.
            unsafe stream.pointee.next_in = unsafe bytes.baseAddress.map { unsafe $0 + taken }
            unsafe stream.pointee.avail_in = UInt32(bytes.count - taken)
            unsafe stream.pointee.next_out = buffer.baseAddress
            unsafe stream.pointee.avail_out = UInt32(buffer.count)
            let status = unsafe inflate(stream, Z_NO_FLUSH)
            taken = bytes.count - Int(unsafe stream.pointee.avail_in)
            return (status, unsafe buffer.count - Int(stream.pointee.avail_out))
        }
    }
}
