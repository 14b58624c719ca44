// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Two connected Unix sockets, both close-on-exec: one end stays, the other goes to a child (`Spawn`) or a
/// fork.
///
/// Frozen so that users in other modules may take the ends apart.
@frozen
public struct SocketPair: ~Copyable {
    public enum Kind: Sendable {
        /// Bytes without borders.
        case stream
        /// Messages with borders, in order; a read takes one.
        case sequencedPacket
    }
    /// One end and the other: equal.
    public var first: Descriptor
    public var second: Descriptor

    /// EMFILE and ENFILE where descriptors have run out.
    public init(_ kind: Kind, isNonBlocking: Bool = false) throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        let base = kind == .stream ? SOCK_STREAM : SOCK_SEQPACKET
        let type = Int32(base.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let wanted = isNonBlocking ? type | Int32(SOCK_NONBLOCK.rawValue) : type
        _ = try systemCall("socketpair", "") { () in unsafe socketpair(AF_UNIX, wanted, 0, &ends) }
        first = Descriptor(owning: ends[0])
        second = Descriptor(owning: ends[1])
    }
}

/// Bytes and at most one descriptor, over a Unix socket (SCM_RIGHTS, unix(7)).
public enum DescriptorPassing {
    /// What came in one receive.
    @frozen
    public struct Received: ~Copyable {
        /// Bytes written to the front of the buffer; 0: the other end is closed.
        public var count: Int
        /// Close-on-exec. Take it out with `take()`, or it is closed with this value.
        public var descriptor: Descriptor?
        @usableFromInline
        init(count: Int, descriptor: consuming Descriptor?) {
            self.count = count
            self.descriptor = descriptor
        }
    }

    /// Sends bytes (at least one) and a copy of `descriptor`. On a stream the answer may be short; the
    /// descriptor went with the first byte, so the rest is sent without. nil: would block, nothing was sent.
    /// A peer that is gone is EPIPE, never a signal.
    public static func send(
        _ bytes: RawSpan, passing descriptor: Int32? = nil, over socket: borrowing Descriptor
    ) throws(SystemError) -> Int? {
        let number = socket.rawValue
        let count = unsafe bytes.withUnsafeBytes {
            unsafe dld_send_descriptor(number, $0.baseAddress, $0.count, descriptor ?? -1, 0)
        }
        if count >= 0 { return count }
        if errno == EAGAIN { return nil }
        throw .last("send", "socket \(number)")
    }

    /// Receives into `buffer[start...]`. nil: would block.
    public static func receive(
        into buffer: inout [UInt8], from start: Int = 0, over socket: borrowing Descriptor
    ) throws(SystemError) -> Received? {
        let number = socket.rawValue
        var passed: Int32 = -1
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
            return unsafe dld_receive_descriptor(number, room.baseAddress, room.count, &passed, 0)
        }
        if count >= 0 {
            return Received(count: count, descriptor: passed >= 0 ? Descriptor(owning: passed) : nil)
        }
        if errno == EAGAIN { return nil }
        throw .last("receive", "socket \(number)")
    }
}
