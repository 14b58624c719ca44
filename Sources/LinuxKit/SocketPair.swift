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

/// An open file that several hold, on any threads; closed with the last of them.
public final class HeldFile: Sendable, Hashable {
    public let descriptor: Descriptor
    public init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    public static func == (a: HeldFile, b: HeldFile) -> Bool { a === b }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Bytes with descriptors, over a Unix socket (SCM_RIGHTS, unix(7)).
public enum DescriptorPassing {
    /// As many descriptors as one message carries; more are EINVAL.
    public static let limit = Int(dld_descriptors_max)

    /// What came in one receive.
    public struct Received: Sendable {
        /// Bytes written to the front of the buffer; 0: the other end is closed.
        public var count: Int
        /// Close-on-exec, in the order they were sent.
        public var files: [HeldFile]
    }

    /// Sends bytes (at least one) and copies of descriptors. On a stream the answer may be short; the
    /// descriptors went with the first byte, so the rest is sent without. nil: would block, nothing was sent.
    /// A peer that is gone is EPIPE, never a signal.
    public static func send(
        _ bytes: RawSpan, passing files: [HeldFile] = [], over socket: borrowing Descriptor
    ) throws(SystemError) -> Int? {
        let number = socket.rawValue
        let passed = files.map { $0.descriptor.rawValue }
        let count = unsafe bytes.withUnsafeBytes {
            unsafe dld_send_descriptors(number, $0.baseAddress, $0.count, passed, passed.count, 0)
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
        var files: [HeldFile] = []
        let count = unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: limit) { numbers in
            var passed = 0
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
                return unsafe dld_receive_descriptors(
                    number, room.baseAddress, room.count, numbers.baseAddress, &passed, 0)
            }
            for place in 0..<passed { files.append(HeldFile(Descriptor(owning: unsafe numbers[place]))) }
            return count
        }
        if count >= 0 { return Received(count: count, files: files) }
        if errno == EAGAIN { return nil }
        throw .last("receive", "socket \(number)")
    }
}
