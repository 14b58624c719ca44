// SPDX-License-Identifier: Apache-2.0

import CCurl
import Glibc

/// The address of the other end, as bytes: what an address policy judges.
public enum PeerAddress: Sendable, Hashable {
    /// In host byte order: 127.0.0.1 is `0x7F00_0001`.
    case v4(UInt32)
    /// The first and the last eight bytes, in host byte order.
    case v6(UInt64, UInt64)
    /// Any other family (`AF_UNIX`, ...), by its number.
    case other(family: Int32)

    /// Reads what libcurl is about to connect to.
    init(_ address: UnsafePointer<curl_sockaddr>) {
        let family = unsafe address.pointee.family
        let bytes = unsafe dld_sockaddr_bytes(address)!
        // The addresses begin after family and port (IPv4: 4 bytes in), and flow label (IPv6: 8 bytes in).
        switch family {
        case AF_INET:
            self = .v4(UInt32(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        case AF_INET6:
            self = unsafe .v6(
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)))
        default:
            self = .other(family: family)
        }
    }

    /// Reads a numeric address as libcurl writes it (`127.0.0.1`, `fe80::1%2`); nil for anything else.
    public init?(numeric text: String) {
        let bare = String(text.prefix { $0 != "%" })
        var four = in_addr()
        if unsafe inet_pton(AF_INET, bare, &four) == 1 {
            self = .v4(UInt32(bigEndian: four.s_addr))
            return
        }
        var six = in6_addr()
        guard unsafe inet_pton(AF_INET6, bare, &six) == 1 else { return nil }
        self = unsafe withUnsafeBytes(of: &six) { bytes in
            unsafe .v6(
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }
}

/// Tells a multi handle's open connections from each other.
public struct ConnectionName: Sendable, Hashable {
    /// Our own port.
    public var localPort: Int
    /// The other end, or the proxy.
    public var peer: PeerAddress
    public init(localPort: Int, peer: PeerAddress) {
        self.localPort = localPort
        self.peer = peer
    }
}
