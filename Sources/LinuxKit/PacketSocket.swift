// SPDX-License-Identifier: Apache-2.0

import CLinux
import SystemPackage

/// A SOCK_SEQPACKET socket of ours: whole packets in, whole packets out, what cannot leave yet waits here in order.
///
/// Never blocks and never signals; the owner polls `descriptor`, for writing too while `hasUnsent`. How much may wait
/// is for the protocol above to bound (credits). Any error means that the peer is of no use any more.
public struct PacketSocket: ~Copyable {
    /// One packet. No bytes: the other end is closed.
    @frozen
    public struct Packet: ~Copyable {
        public var bytes: [UInt8]
        /// Close-on-exec; closed with this value unless taken out.
        public var descriptor: Descriptor?
        @usableFromInline
        init(bytes: [UInt8], descriptor: consuming Descriptor?) {
            self.bytes = bytes
            self.descriptor = descriptor
        }
    }
    private final class Unsent {
        let bytes: [UInt8]
        let passed: Descriptor?
        init(bytes: [UInt8], passed: consuming Descriptor?) {
            self.bytes = bytes
            self.passed = passed
        }
    }

    private let socket: Descriptor
    private var buffer: [UInt8]
    private var unsent: [Unsent] = []

    /// - Parameter packetLimit: bytes of the longest packet; what is longer is cut by the kernel.
    public init(_ socket: consuming Descriptor, packetLimit: Int) throws(SystemError) {
        try socket.setNonBlocking(true)
        self.socket = socket
        buffer = [UInt8](repeating: 0, count: packetLimit)
    }

    public var descriptor: Int32 { socket.rawValue }
    public var hasUnsent: Bool { !unsent.isEmpty }
    /// What a poll should watch it for.
    public var interest: Poll.Interest { hasUnsent ? [.read, .write] : .read }

    /// Sends a packet (at least one byte) after all that waits, or lets it wait. A descriptor that has to wait is
    /// duplicated: the caller's may be closed at once.
    public mutating func send(_ packet: [UInt8], passing passed: Int32? = nil) throws(SystemError) {
        try flush()
        if unsent.isEmpty,
            unsafe try DescriptorPassing.send(packet.span.bytes, passing: passed, over: socket) != nil
        {
            return
        }
        var copy: Descriptor?
        if let passed {
            copy = Descriptor(
                owning: try systemCall("duplicate", "descriptor \(passed)") { () in dld_duplicate(passed, 0) }
            )
        }
        unsent.append(Unsent(bytes: packet, passed: copy))
    }

    /// Sends what waits, as far as the peer takes it.
    public mutating func flush() throws(SystemError) {
        var sent = 0
        defer { unsent.removeFirst(sent) }
        while sent < unsent.count {
            let next = unsent[sent]
            let passed: Int32? =
                switch next.passed {
                case .some(let held): held.rawValue
                case .none: nil
                }
            let bytes = next.bytes
            guard unsafe try DescriptorPassing.send(bytes.span.bytes, passing: passed, over: socket) != nil
            else {
                return
            }
            sent += 1
        }
    }

    /// The next packet; nil when none is there. A peer that died with packets of ours unread counts as closed.
    public mutating func receive() throws(SystemError) -> Packet? {
        do throws(SystemError) {
            guard var received = try DescriptorPassing.receive(into: &buffer, over: socket) else {
                return nil
            }
            let passed = received.descriptor.take()
            return Packet(bytes: Array(buffer.prefix(received.count)), descriptor: passed)
        } catch  where error.code == .connectionReset {
            return Packet(bytes: [], descriptor: nil)
        }
    }

    /// Closes our end: the peer reads its end of file.
    public consuming func close() {}
}
