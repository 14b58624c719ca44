// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A daemon in a mount namespace of its own, for tests with disks that fill, go away and come back. Root only.
///
/// Nothing of its mounts is seen outside, and all go with it; `inside` is where the test finds its files.
public final class MountedDaemon: Sendable {
    public let daemon: RunningDaemon

    public static var isPossible: Bool { geteuid() == 0 }

    /// - Parameter mounts: a shell script that makes them, run in the new namespace before the daemon is; `$T` is the
    ///   test's directory, which holds `output`, `spool`, `state` and whatever the script makes.
    public init(_ config: ConfigValue = [:], mounts: String, environment: [String: String?] = [:]) throws {
        let script = "set -e; export T=\"$(dirname \"${!#}\")\"; \(mounts)\nexec \"$@\""
        daemon = try RunningDaemon(
            config, environment: environment,
            prefix: [
                try ProgramRun.find("unshare"), "--mount", "--propagation", "private", "bash", "-c", script,
                "bash",
            ])
    }

    public func start() throws { try daemon.start() }

    /// The test's directory as the daemon sees it.
    public func inside(_ name: String) throws -> String {
        "/proc/\(try daemon.process().pid)/root\(daemon.directory.sub(name))"
    }

    /// Runs a shell script in the daemon's namespace, for a disk that changes under it.
    public func shell(_ script: String) throws {
        let run = try ProgramRun.run(
            try ProgramRun.find("nsenter"),
            ["--mount", "--target", "\(try daemon.process().pid)", "bash", "-ec", script],
            environment: ["T": daemon.directory.path])
        guard run.status == 0 else { throw KitError(run.transcript) }
    }
}

/// strace on a running daemon: system calls that fail as the test wants. Ends with `stop`, or with the object.
public final class Injection: Sendable {
    private let tracer: ChildProcess

    /// - Parameter rules: as for `-e inject=`: `fsync:error=EIO:when=1`. Counted per thread.
    /// - Parameter threads: only those whose names begin so; nil: all, also those that are made later.
    public init(_ rules: [String], into daemon: RunningDaemon, threads prefix: String? = nil) throws {
        let pid = try daemon.process().pid
        let chosen = try FileTree.names("/proc/\(pid)/task").filter { thread in
            guard let prefix else { return true }
            return try FileTree.text("/proc/\(pid)/task/\(thread)/comm").hasPrefix(prefix)
        }
        let calls = rules.map { String($0.prefix { $0 != ":" }) }.joined(separator: ",")
        let log = daemon.directory.sub("strace.log")
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

    public static var isPossible: Bool {
        guard geteuid() == 0 else { return false }
        return (try? ProgramRun.find("strace")) != nil  // not installed: the test is skipped
    }
}
