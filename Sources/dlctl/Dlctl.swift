// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import ControlClient
import Glibc
import JobModel

/// The program that talks to a running dld: parses arguments, asks, shows, chooses the exit status.
@main
struct Dlctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlctl",
        abstract: "Look at and steer a running dld.",
        discussion: """
            The socket is --socket, else DLD_SOCKET, else \(ControlAPI.defaultSocketPath).
            LIST is a list's id or its name (the newest of that name); a job's id has 16 hex digits.

            Exit status: 0 fine; 1 what was asked failed; 64 usage; 69 no daemon, or no answer in 5 s;
            74 input that cannot be read; 77 not permitted to use the socket; 130 interrupted.
            """,
        version: Version.number,
        subcommands: [
            Status.self, Lists.self, Jobs.self, Show.self, Add.self, Wait.self, Cancel.self, Pause.self,
            Resume.self,
            Retry.self, Host.self, Hosts.self, Verify.self, Audits.self, Audit.self, Reload.self,
            Metrics.self,
        ])
}

/// What every verb takes.
struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The daemon's control socket.", valueName: "path"), completion: .file())
    var socket: String?
    @Flag(help: "Print the daemon's own JSON.")
    var json = false

    /// The client, with libcurl readied.
    func client() throws -> ControlClient {
        do { try CurlTransport.initialize() } catch { throw Console.failure(ClientError(error)) }
        return ControlClient(CurlTransport(socketPath: socketPath))
    }
    private var socketPath: String {
        if let socket { return socket }
        if let path = Console.environment("DLD_SOCKET"), !path.isEmpty { return path }
        return ControlAPI.defaultSocketPath
    }

    /// Prints an answer: its bytes under `--json`, else its view.
    func show<Document>(_ answer: Answer<Document>, _ view: (Document) -> String) {
        if json { Console.write(answer.bytes) } else { Console.write(view(answer.document)) }
    }
}

extension Console {
    /// Runs a verb; what the client says went wrong becomes a line on standard error and an exit status.
    static func reporting(_ body: () throws -> Void) throws {
        do { try body() } catch let error as ClientError { throw failure(error) }
    }
    static func failure(_ error: ClientError) -> ExitCode {
        complain(error.message)
        return ExitCode(error.exit.rawValue)
    }
}
