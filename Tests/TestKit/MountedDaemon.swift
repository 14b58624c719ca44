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
