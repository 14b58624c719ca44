// SPDX-License-Identifier: Apache-2.0

import SystemPackage

/// A SOCK_SEQPACKET socket of ours: whole packets in, whole packets out, what cannot leave yet waits here in order.
///
/// Never blocks and never signals; the owner polls `descriptor`, for writing too while `hasUnsent`. How much may wait
/// is for the protocol above to bound (credits). Any error means that the peer is of no use any more.
public struct PacketSocket: ~Copyable {
    /// One packet. No bytes: the other end is closed.
    public struct Packet: Sendable {
        public var bytes: [UInt8]
        /// Close-on-exec.
        public var files: [HeldFile]
    }

    private let socket: Descriptor
    private var buffer: [UInt8]
    private var unsent: [Packet] = []

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

    /// Sends a packet (at least one byte) after all that waits, or lets it wait; files that have to wait stay open.
    public mutating func send(_ packet: [UInt8], passing files: [HeldFile] = []) throws(SystemError) {
        try flush()
        if unsent.isEmpty,
            unsafe try DescriptorPassing.send(packet.span.bytes, passing: files, over: socket) != nil
        {
            return
        }
        unsent.append(Packet(bytes: packet, files: files))
    }

    /// Sends what waits, as far as the peer takes it.
    public mutating func flush() throws(SystemError) {
        guard !unsent.isEmpty else { return }
        var sent = 0
        defer { unsent.removeFirst(sent) }
        while sent < unsent.count {
            let next = unsent[sent]
            let bytes = next.bytes
            guard
                unsafe try DescriptorPassing.send(bytes.span.bytes, passing: next.files, over: socket) != nil
            else { return }
            sent += 1
        }
    }

    /// The next packet; nil when none is there. A peer that died with packets of ours unread counts as closed.
    public mutating func receive() throws(SystemError) -> Packet? {
        do throws(SystemError) {
            guard let received = try DescriptorPassing.receive(into: &buffer, over: socket) else {
                return nil
            }
            return Packet(bytes: Array(buffer.prefix(received.count)), files: received.files)
        } catch  where error.code == .connectionReset {
            return Packet(bytes: [], files: [])
        }
    }

    /// Closes our end: the peer reads its end of file.
    public consuming func close() {}
}
