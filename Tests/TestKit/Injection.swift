// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// strace on a running daemon: system calls that fail as the test wants. Ends with `stop`, or with the object.
public final class Injection: Sendable {
    private let tracer: ChildProcess
    private let log: String

    /// - Parameter rules: as for `-e inject=`: `fsync:error=EIO:when=1`. Counted per thread.
    /// - Parameter tracing: calls that are only written down, for `calls`.
    /// - Parameter threads: only those whose names begin so; nil: all, also those that are made later.
    public init(
        _ rules: [String], tracing: [String] = [], into daemon: RunningDaemon, threads prefix: String? = nil
    ) throws {
        let pid = try daemon.process().pid
        let chosen = try FileTree.names("/proc/\(pid)/task").filter { thread in
            guard let prefix else { return true }
            return try FileTree.text("/proc/\(pid)/task/\(thread)/comm").hasPrefix(prefix)
        }
        let calls = (rules.map { String($0.prefix { $0 != ":" }) } + tracing).joined(separator: ",")
        log = daemon.directory.sub("strace.log")
        let arguments =
            (prefix == nil ? ["-f"] : []) + ["-qq", "-o", log, "-e", "trace=\(calls)"]
            + rules.flatMap { ["-e", "inject=\($0)"] }
            + (prefix == nil ? ["-p", "\(pid)"] : chosen.flatMap { ["-p", $0] })
        let tracer = try ChildProcess(ProgramRun.find("strace"), arguments, deathSignal: SIGTERM)
        self.tracer = tracer
        try eventually("strace holds every thread", context: { tracer.transcript }) {
            if !tracer.isRunning { throw KitError(tracer.transcript) }
            return chosen.allSatisfy { thread in
                let path = "/proc/\(pid)/task/\(thread)/status"
                let status = try? FileTree.text(path)  // it may just have ended
                return status.map { !$0.contains("TracerPid:\t0\n") } ?? true
            }
        }
    }

    deinit { tracer.kill(.terminate) }

    /// The daemon goes on untraced.
    public func stop() throws {
        tracer.kill(.terminate)
        try tracer.wait()
    }

    /// Calls on `fd, buffer, count` and so on: what was asked for and what came back. Once it has stopped.
    public func calls() throws -> [(asked: Int, returned: Int)] {
        try FileTree.lines(log).compactMap { line in
            // `123 pwrite64(9, "..."..., 65536, 0) = 4096`
            guard let equals = line.range(of: ") = ", options: .backwards) else { return nil }
            let arguments = line[..<equals.lowerBound].split(separator: ",").map { $0.filter(\.isNumber) }
            let result = line[equals.upperBound...].prefix { $0.isNumber || $0 == "-" }
            guard arguments.count >= 3, let returned = Int(result) else { return nil }
            guard let asked = Int(arguments[arguments.count - 2]) else { return nil }
            return (asked, returned)
        }
    }

    public static var isPossible: Bool {
        guard geteuid() == 0 else { return false }
        return (try? ProgramRun.find("strace")) != nil  // not installed: the test is skipped
    }
}
