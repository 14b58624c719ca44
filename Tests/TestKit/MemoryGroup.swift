// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A memory cgroup of a test's own (cgroups(7), version 1 or 2), in which the kernel really kills for memory.
///
/// Whatever is in it is killed and it is removed with the last reference. Root only. Any thread.
public final class MemoryGroup: Sendable {
    public let path: String
    private let isVersion2: Bool

    /// Where one can be made: the mount point, and whether it is of version 2.
    private static let place: (root: String, isVersion2: Bool)? = {
        guard geteuid() == 0 else { return nil }
        if FileTree.exists("/sys/fs/cgroup/memory/memory.limit_in_bytes") {
            return ("/sys/fs/cgroup/memory", false)
        }
        // No such file: no version 2 either.
        let controllers = (try? FileTree.text("/sys/fs/cgroup/cgroup.subtree_control")) ?? ""  // see above
        return controllers.contains("memory") ? ("/sys/fs/cgroup", true) : nil
    }()
    public static var isPossible: Bool { place != nil }

    public init() throws {
        guard let place = Self.place else { throw KitError("no memory cgroup can be made here") }
        isVersion2 = place.isVersion2
        path = "\(place.root)/dld-test-\(getpid())-\(UInt32.random(in: .min ... .max))"
        guard mkdir(path, 0o755) == 0 else { throw KitError.system("mkdir \(path)") }
    }

    deinit {
        // rmdir waits for nobody: the dead are out of it only when they are reaped.
        for _ in 0..<200 where rmdir(path) != 0 {
            let left = (try? FileTree.lines("\(path)/cgroup.procs")) ?? []  // gone meanwhile: nobody left
            for pid in left.compactMap({ pid_t($0) }) { _ = kill(pid, SIGKILL) }
            usleep(10_000)
        }
    }

    /// An absolute program with arguments that becomes the one named after it, inside.
    public var prefix: [String] { ["/bin/sh", "-c", "echo $$ >\(path)/cgroup.procs && exec \"$@\"", "sh"] }

    /// What all in it may have at once, in bytes; nil: no limit. What can be given back is, until it fits.
    public func limit(_ bytes: Int?) throws {
        let file = isVersion2 ? "memory.max" : "memory.limit_in_bytes"
        try FileTree.write(bytes.map { "\($0)" } ?? (isVersion2 ? "max" : "-1"), to: "\(path)/\(file)")
    }

    /// Bytes that cannot be given back.
    public func anonymous() throws -> Int { try field(isVersion2 ? "anon" : "rss", "memory.stat") }

    /// How often the kernel has killed in it for memory.
    public func kills() throws -> Int {
        try field("oom_kill", isVersion2 ? "memory.events" : "memory.oom_control")
    }

    private func field(_ name: String, _ file: String) throws -> Int {
        for line in try FileTree.lines("\(path)/\(file)") {
            let parts = line.split(separator: " ")
            if parts.count == 2, parts[0] == name { return Int(parts[1]) ?? 0 }
        }
        throw KitError("\(path)/\(file): no \(name)")
    }

    /// Eats what memory there is, a little at a time, until one in it has to go, and makes that one `victim`: returns
    /// once it is killed. What was eaten is given back.
    /// - Parameter victim: nil leaves the choice to the kernel, as long as somebody has a score of 500 or more.
    public func starve(_ victim: pid_t?) throws {
        let before = try kills()
        if let victim { try FileTree.write("1000", to: "/proc/\(victim)/oom_score_adj") }
        // So large that a score counts for more than what its process has.
        try limit(anonymous() + (512 << 20))
        let script = "\(#filePath)".replacingOccurrences(of: "MemoryGroup.swift", with: "eat_memory.py")
        let file = "\(path)/\(isVersion2 ? "memory.events" : "memory.oom_control")"
        // The eater is the next to go after the victim, and before everybody else.
        let score = victim == nil ? "400" : "800"
        let command = prefix + [try ProgramRun.find("python3"), script, file, "\(before)", score]
        let eater = try ProgramRun.run(command[0], Array(command.dropFirst()))
        guard try kills() > before else { throw KitError(eater.transcript) }
        try limit(nil)
    }
}
