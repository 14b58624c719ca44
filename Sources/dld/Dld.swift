// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Daemon
import Glibc
import JobModel

/// `dld`: parses arguments, calls one function, chooses the exit status.
@main
struct Dld: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dld",
        abstract: "Downloads lists of URLs: whole, verified, durable files.",
        discussion: """
            Drop a list into the spool directory and `dld run` does the rest; `dlctl status` tells how it goes. \
            `dld get` needs no daemon.

            Exit status: 0 fine, 1 a job failed or a list was rejected, 64 usage, 65 the ledger is corrupt, 74 I/O, \
            75 another dld is at work there, 78 config, 130 interrupted.
            """,
        version: "dld \(Version.number)",
        subcommands: [
            RunCommand.self, OnceCommand.self, GetCommand.self, CheckCommand.self, FsckCommand.self,
            SumdCommand.self,
        ])
}

struct ConfigOption: ParsableArguments {
    @Option(
        name: .long,
        help: "The config file (default: /etc/dld/config.json if it is there, else the defaults).")
    var config: String?
}

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run as a daemon until stopped.")
    @OptionGroup var file: ConfigOption

    func run() throws { throw ExitCode(DaemonRun.run(config: file.config, version: Version.number)) }
}

struct OnceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "once", abstract: "Take in what lies in the spool, finish it, and end.",
        discussion: "Exits with 1 if any job of this run is not done.")
    @OptionGroup var file: ConfigOption

    func run() throws { throw ExitCode(DaemonRun.once(config: file.config, version: Version.number)) }
}

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Validate the config file.")
    @OptionGroup var file: ConfigOption
    @Flag(help: "Print the effective config, secrets masked.")
    var print = false

    func run() throws {
        let answer = CheckRun.run(config: file.config, prints: self.print)
        Screen.show(answer.output)
        Screen.complain(answer.complaints)
        throw ExitCode(answer.status)
    }
}

struct SumdCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sumd", abstract: "The CPU side: sums and digests on processes (see `sumd --help`).")
    @Argument(parsing: .captureForPassthrough)
    var arguments: [String] = []

    func run() throws {
        let program = Programs.sumd
        let failure = Replacement.become(program, arguments: arguments)
        Screen.complain("dld: \(program): \(failure)\n")
        throw ExitCode(ExitStatus.io)
    }
}
