// SPDX-License-Identifier: Apache-2.0

import SystemPackage

/// Tells a SIGKILL of the kernel for want of memory from any other: the counter of such kills has moved.
///
/// The counter is that of a process's own cgroup (memory.events of version 2, memory.oom_control of version 1), or the
/// machine's in /proc/vmstat (proc(5)) where there is no group or a sandbox hides it: who else was killed counts there
/// too. Any thread.
public struct MemoryKills: Sendable {
    private let counter: String
    private var last: UInt64

    /// - Parameter pid: the process in whose group kills are to be seen; nil: this one. It must be there now.
    public init(of pid: Int32? = nil) {
        let place = Self.text("/proc/\(pid.map { "\($0)" } ?? "self")/cgroup")
        let own = place.split(separator: "\n").compactMap(Self.counter(ofLine:))
        counter = own.first { Self.field("oom_kill", in: $0) != nil } ?? "/proc/vmstat"
        last = Self.field("oom_kill", in: counter) ?? 0
    }

    /// Whether the kernel has killed for memory since the last look.
    public mutating func haveGrown() -> Bool {
        let now = Self.field("oom_kill", in: counter) ?? last
        defer { last = now }
        return now > last
    }

    /// The file for a line of /proc/PID/cgroup: `0::/PATH`, or `N:CONTROLLERS:/PATH` of version 1, whose root is as good
    /// as none.
    private static func counter(ofLine line: Substring) -> String? {
        let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        if parts[0] == "0" { return "/sys/fs/cgroup\(parts[2])/memory.events" }
        guard parts[1].split(separator: ",").contains("memory"), parts[2] != "/" else { return nil }
        return "/sys/fs/cgroup/memory\(parts[2])/memory.oom_control"
    }

    private static func field(_ name: String, in path: String) -> UInt64? {
        for line in text(path).split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, parts[0] == name { return UInt64(parts[1]) }
        }
        return nil
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
