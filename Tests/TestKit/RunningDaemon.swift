// SPDX-License-Identifier: Apache-2.0

import Glibc
import Locking

/// A `dld run` with directories, configuration and control socket of its own.
///
/// The directories outlive the process, so that it can be killed and started again over them. Any thread.
public final class RunningDaemon: Sendable {
    public let directory: TempDirectory
    public var spool: String { directory.sub("spool") }
    public var output: String { directory.sub("output") }
    public var state: String { directory.sub("state") }
    public var logs: String { directory.sub("logs") }
    public var jobsLog: String { "\(logs)/jobs.log" }
    public var socket: String { directory.sub("run/control.sock") }
    public var configFile: String { directory.sub("config.json") }
    public var ledger: String { "\(state)/ledger.db" }

    private let settings: Guarded<ConfigValue>
    private let environment: [String: String?]
    private let prefix: [String]
    private let current = Guarded<ChildProcess?>(nil)

    /// Makes the directories and writes the configuration; starts nothing yet.
    ///
    /// - Parameters:
    ///   - config: merged over the paths above and `spool.quiet` 200 ms.
    ///   - prefix: an absolute program with its arguments that becomes `dld`, such as `nsenter`.
    public init(
        _ config: ConfigValue = [:], environment: [String: String?] = [:], prefix: [String] = []
    ) throws {
        directory = try TempDirectory()
        let base: ConfigValue = [
            "spool_dir": .text(directory.sub("spool")), "output_dir": .text(directory.sub("output")),
            "state_dir": .text(directory.sub("state")),
            "control": ["socket": .text(directory.sub("run/control.sock"))],
            "log": ["jobs_file": .text(directory.sub("logs/jobs.log"))],
            "spool": ["quiet": "200ms"],
        ]
        settings = Guarded(base.merged(with: config))
        self.environment = environment
        self.prefix = prefix
        for name in ["spool", "output", "state", "logs", "run"] { try directory.directory(name) }
        try writeConfig()
    }

    /// Makes it and starts it.
    public static func start(
        _ config: ConfigValue = [:], environment: [String: String?] = [:], prefix: [String] = []
    ) throws -> RunningDaemon {
        let daemon = try RunningDaemon(config, environment: environment, prefix: prefix)
        try daemon.start()
        return daemon
    }

    deinit { current.withLock { $0 }?.kill(.kill) }

    /// Merges into the configuration file; the daemon reads it at its next start or reload.
    public func configure(_ config: ConfigValue) throws {
        settings.withLock { $0 = $0.merged(with: config) }
        try writeConfig()
    }

    private func writeConfig() throws {
        try FileTree.write(settings.withLock { $0.json } + "\n", to: configFile)
    }

    /// Starts the process and waits until the control socket answers; an end before that is thrown, with its output.
    public func start(within limit: Duration = .seconds(20)) throws {
        let command = prefix + [try BuildProducts.path("dld"), "run", "--config", configFile]
        let child = try ChildProcess(command[0], Array(command.dropFirst()), environment: environment)
        current.withLock { $0 = child }
        try eventually(within: limit, "the control socket answers", context: { child.transcript }) {
            if !child.isRunning {
                throw KitError("dld ended: \(child.end.map { "\($0)" } ?? "")\n\(child.transcript)")
            }
            return (try? UnixHTTP.get(socket, "/v1/status").status) == 200  // refused: not there yet
        }
    }

    /// The running process; throws where there is none.
    public func process() throws -> ChildProcess {
        guard let child = current.withLock({ $0 }) else { throw KitError("dld was not started") }
        return child
    }

    /// SIGKILL, and waits until it is gone.
    public func kill() throws {
        let child = try process()
        child.kill(.kill)
        try child.wait()
    }

    /// SIGTERM, and waits for its end; returns how it ended.
    @discardableResult
    public func terminate(within limit: Duration = .seconds(30)) throws -> ProgramEnd {
        let child = try process()
        child.kill(.terminate)
        return try child.wait(atMost: limit)
    }

    /// Terminates (or kills) and starts it again over the same directories.
    public func restart(killing: Bool = false) throws {
        if killing { try kill() } else { try terminate() }
        try start()
    }

    /// Drops a list as a careful user does: written beside, renamed in.
    public func drop(_ name: String, _ text: String) throws {
        let beside = "\(spool)/.\(name).tmp"
        try FileTree.write(text, to: beside)
        try FileTree.rename(beside, "\(spool)/\(name)")
    }

    /// Waits until the list has ended; returns the folder it went to: `done`, `failed` or `rejected`.
    @discardableResult
    public func waitForList(_ name: String, within limit: Duration = .seconds(30)) throws -> String {
        try eventuallySome(within: limit, "\(name) has ended", context: { self.account }) {
            ["done", "failed", "rejected"].first { FileTree.exists("\(spool)/\($0)/\(name)") }
        }
    }

    /// The lines of the results file of an ended list, as they are.
    public func results(_ name: String) throws -> [String] {
        for folder in ["done", "failed"] {
            let path = "\(spool)/\(folder)/\(name).results.jsonl"
            if FileTree.exists(path) { return try FileTree.lines(path) }
        }
        throw KitError("no results of \(name)\n\(account)")
    }

    /// `dlctl --socket S ARGUMENTS`
    public func dlctl(
        _ arguments: String..., input: String = "", within limit: Duration = .seconds(30)
    ) throws -> ProgramRun {
        try ProgramRun.run("dlctl", arguments + ["--socket", socket], input: input, within: limit)
    }

    /// `dld ARGUMENTS --config F` beside or instead of the daemon: once, check, fsck.
    public func dld(_ arguments: String..., within limit: Duration = .seconds(60)) throws -> ProgramRun {
        try ProgramRun.run(
            "dld", arguments + ["--config", configFile], environment: environment, within: limit)
    }

    /// What a failure message needs: the tree of the spool and what the daemon printed.
    public var account: String {
        let files = FileTree.files(below: spool).joined(separator: "\n")
        return "--- spool\n\(files)\n\(current.withLock { $0 }?.transcript ?? "not started")"
    }
}
