// SPDX-License-Identifier: Apache-2.0

import LinuxKit
import SystemPackage

/// Tells a SIGKILL of the kernel for want of memory from any other: its counters have moved.
///
/// Two are read, because a sandbox may hide either: the machine's in /proc/vmstat and that of our own cgroup.
struct MemoryKills {
    private var last: UInt64

    init() { last = Self.count() }

    /// Whether the kernel has killed for memory since the last look.
    mutating func haveGrown() -> Bool {
        let now = Self.count()
        defer { last = now }
        return now > last
    }

    private static func count() -> UInt64 {
        let machine = field("oom_kill", in: "/proc/vmstat")
        guard
            let line = text("/proc/self/cgroup").split(separator: "\n").first(where: { $0.hasPrefix("0::") })
        else {
            return machine
        }
        let events = "/sys/fs/cgroup" + line.dropFirst(3) + "/memory.events"
        return machine &+ field("oom_kill", in: events)
    }

    private static func field(_ name: String, in path: String) -> UInt64 {
        for line in text(path).split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, parts[0] == name { return UInt64(parts[1]) ?? 0 }
        }
        return 0
    }

    /// Empty where the file is hidden or not there.
    private static func text(_ path: String) -> String {
        do throws(SystemError) {
            let file = try Descriptor.open(FilePath(path), .readOnly)
            var bytes: [UInt8] = []
            while let part = try file.read(upTo: 16_384), !part.isEmpty { bytes += part }
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            return ""
        }
    }
}
