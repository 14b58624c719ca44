// SPDX-License-Identifier: Apache-2.0

/// What /proc tells of a running process's memory, in KiB (proc(5)).
///
/// Not wait4's ru_maxrss: until exec a child counts what its parent held, and the test process holds a lot.
public enum ProcessMemory {
    /// VmHWM: the most that was ever resident.
    public static func peak(of pid: Int32) throws -> Int { try field("VmHWM:", pid) }
    /// VmRSS.
    public static func resident(of pid: Int32) throws -> Int { try field("VmRSS:", pid) }

    private static func field(_ name: String, _ pid: Int32) throws -> Int {
        let line = try FileTree.lines("/proc/\(pid)/status").first { $0.hasPrefix(name) } ?? ""
        return Int(line.split { !$0.isNumber }.first ?? "0") ?? 0
    }
}
