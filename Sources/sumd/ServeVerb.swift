// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SumWorker

struct ServeVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve dld over an inherited socket; not for use by hand.")

    @Option(name: .long, help: "The descriptor of a connected SOCK_SEQPACKET socket.")
    var descriptor: Int32 = 3
    @Option(name: .long, help: "Process id of the parent, whose death ends this process.")
    var parent: Int32?
    @Option(name: .long, help: "Seconds without a sign of life after which a worker is killed.")
    var silence = 600
    @OptionGroup var pool: PoolOptions

    func validate() throws {
        guard descriptor > 2 else { throw ValidationError("--descriptor is above 2") }
        guard (1...86_400).contains(silence) else {
            throw ValidationError("--silence is a number from 1 to 86400")
        }
    }

    func run() throws {
        let status = SumServe.run(
            descriptor: descriptor, processes: pool.count, parent: parent, silence: .seconds(silence))
        throw ExitCode(status)
    }
}

/// What the system call filter of a worker refuses on this machine; for tests, and for who sees its warning in the log.
struct AttemptVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attempt",
        abstract: "Try in a worker process what none may do; exit status 0 if everything is refused.",
        shouldDisplay: false)

    func run() throws {
        let attempts = try verb { () throws(ByHandError) in try ByHand.attempt() }
        Screen.show(attempts.lines.joined(separator: "\n"))
        if let open = attempts.open {
            Screen.complain("sumd: workers run without a system call filter: \(open)")
        }
        if !attempts.areAllRefused { throw ExitCode(1) }
    }
}
