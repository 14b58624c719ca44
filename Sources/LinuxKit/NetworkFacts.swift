// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

/// What the kernel and the resolver say of this machine's way to the network.
public enum NetworkFacts {
    /// What a look-up brought.
    public enum NameAnswer: Sendable, Hashable {
        case found
        /// A resolver says that there is no such name.
        case notFound
        /// No resolver answered, or the one that did could not tell.
        case noAnswer
    }

    /// Whether there is a default route in IPv4 or IPv6; true where the kernel does not show its tables.
    public static func hasDefaultRoute() -> Bool {
        guard let four = table("/proc/self/net/route") else { return true }
        return hasDefault(four: four, six: table("/proc/self/net/ipv6_route") ?? "")
    }

    /// The same from the text of the kernel's two tables.
    static func hasDefault(four: String, six: String) -> Bool {
        let rejects: UInt32 = 0x200
        let isIn4 = four.split(separator: "\n").dropFirst().contains { line in
            let fields = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
            guard fields.count >= 8, let flags = UInt32(fields[3], radix: 16) else { return false }
            return fields[1] == "00000000" && fields[7] == "00000000" && flags & 1 == 1
                && flags & rejects == 0
        }
        // A default route of IPv6 on `lo` is the one that says "nowhere".
        return isIn4
            || six.split(separator: "\n").contains { line in
                let fields = line.split(separator: " ")
                guard fields.count >= 10, let flags = UInt32(fields[8], radix: 16) else { return false }
                return fields[1] == "00" && fields[0].allSatisfy { $0 == "0" } && flags & rejects == 0
                    && fields[9] != "lo"
            }
    }

    private static func table(_ path: FilePath) -> String? {
        do throws(SystemError) {
            let file = try Descriptor.open(path, .readOnly)
            var bytes: [UInt8] = []
            // A router with the whole Internet's table has a default in its first lines or none that matters.
            while bytes.count < 1 << 20, let more = try file.read(upTo: 65_536), !more.isEmpty {
                bytes += more
            }
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            return nil
        }
    }

    /// Asks the system's resolver and waits for it, half a minute at worst: on a thread with nothing else to do.
    /// The corresponding C function is `getaddrinfo`.
    public static func lookUp(_ name: String) -> NameAnswer {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(name, nil, &hints, &found)
        defer { if let list = unsafe found { unsafe freeaddrinfo(list) } }
        // EAI_NODATA: the name is there, an address is not. A GNU addition that the Glibc module leaves out.
        let noData: Int32 = -5
        switch status {
        case 0: return .found
        case EAI_NONAME, noData: return .notFound
        default: return .noAnswer
        }
    }
}
