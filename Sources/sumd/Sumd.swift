// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JobModel
import SumWorker

/// `sumd`: the CPU side of dld, and a bench for it by hand.
///
/// Not async, and nothing here starts a thread: the pool forks, and says so loudly if it may not.
@main
struct Sumd: ParsableCommand {
    static func main() { main(NamesOption.argumentsToParse) }

    static let configuration = CommandConfiguration(
        commandName: "sumd",
        abstract: "Adds ranges of integers and digests files on a pool of forked processes.",
        discussion: """
            dld runs `sumd serve` as its child. The other verbs are for people: they run the same pool and print \
            what each job took.

            Exit status: 0 fine, 1 a job failed, totals or digests differ, 64 usage, 74 the system refuses, 130 interrupted.
            """,
        version: "sumd \(Version.number)",
        subcommands: [
            SumVerb.self, CompareVerb.self, DigestVerb.self, CheckVerb.self, ServeVerb.self, AttemptVerb.self,
        ])
}

/// Options that all verbs share.
struct PoolOptions: ParsableArguments {
    @Option(name: .long, help: "Worker processes (default: one a processor).")
    var processes: Int?

    var count: Int { processes ?? ByHand.defaultProcesses }

    func validate() throws {
        if let processes, !(1...1024).contains(processes) {
            throw ValidationError("--processes is a number from 1 to 1024")
        }
    }
}

struct RepeatOptions: ParsableArguments {
    @Option(name: .customLong("repeat"), help: "How many times the job is done.")
    var repeats = 5

    func validate() throws {
        guard (1...100_000).contains(repeats) else {
            throw ValidationError("--repeat is a number from 1 to 100000")
        }
    }
}

/// Runs a verb and turns its error into a line and an exit status.
func verb<Report>(_ body: () throws(ByHandError) -> Report) throws -> Report {
    do throws(ByHandError) {
        return try body()
    } catch {
        switch error {
        case .usage(let message): throw ValidationError(message)
        case .refused(let message):
            Screen.complain("sumd: \(message)")
            throw ExitCode(74)
        case .interrupted: throw ExitCode(130)
        }
    }
}
