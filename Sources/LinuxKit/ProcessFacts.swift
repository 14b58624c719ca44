// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import SystemPackage

/// What the kernel tells of this process.
public enum ProcessFacts {
    /// Memory in RAM, in bytes (/proc/self/statm); nil where /proc is not mounted.
    public static func residentMemory() -> Int64? { residentMemory(of: nil) }

    /// The same of another process; nil when it is gone.
    public static func residentMemory(of pid: Int32?) -> Int64? {
        let path = FilePath("/proc/\(pid.map(String.init) ?? "self")/statm")
        do throws(SystemError) {
            let file = try Descriptor.open(path, .readOnly)
            let fields = String(decoding: try file.read(upTo: 256) ?? [], as: UTF8.self).split(separator: " ")
            guard fields.count > 1, let pages = Int64(fields[1]) else { return nil }
            return pages.multipliedReportingOverflow(by: Int64(sysconf(Int32(_SC_PAGESIZE)))).partialValue
        } catch {
            return nil
        }
    }

    /// How many descriptors are open, the one for counting left out; nil where /proc is not mounted.
    public static func openDescriptors() -> Int? {
        guard let folder = unsafe opendir("/proc/self/fd") else { return nil }
        defer { unsafe _ = closedir(folder) }
        var count = 0
        while let entry = unsafe readdir(folder) {
            let first = unsafe entry.pointee.d_name.0
            if first != CChar(bitPattern: UInt8(ascii: ".")) { count += 1 }
        }
        return count - 1
    }

    /// CPU time of this process so far, user and system.
    public static func processorTime() -> Duration { clock(CLOCK_PROCESS_CPUTIME_ID) }

    /// CPU time of the calling thread so far.
    public static func threadProcessorTime() -> Duration { clock(CLOCK_THREAD_CPUTIME_ID) }

    private static func clock(_ id: clockid_t) -> Duration {
        var time = timespec()
        unsafe _ = clock_gettime(id, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Processors this process may run on (its affinity mask, as taskset and systemd set it), at least 1.
    public static func usableProcessors() -> Int { max(1, Int(dld_usable_processors())) }

    /// RLIMIT_NOFILE, soft and hard.
    public static func descriptorLimit() throws(SystemError) -> (soft: UInt64, hard: UInt64) {
        var limit = rlimit()
        _ = try systemCall("getrlimit", "open files") { () in
            unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        return (UInt64(limit.rlim_cur), UInt64(limit.rlim_max))
    }

    /// Raises the soft RLIMIT_NOFILE to `wanted` or as far as the hard one lets it; never lowers it.
    /// - Returns: what holds now. Children inherit it.
    @discardableResult
    public static func raiseDescriptorLimit(to wanted: UInt64) throws(SystemError) -> UInt64 {
        let (soft, hard) = try descriptorLimit()
        let target = min(wanted, hard)
        if target <= soft { return soft }
        var limit = rlimit(rlim_cur: rlim_t(target), rlim_max: rlim_t(hard))
        _ = try systemCall("setrlimit", "open files") { () in
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        return target
    }
}
