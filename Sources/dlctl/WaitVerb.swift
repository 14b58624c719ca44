// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import ControlClient
import Glibc
import JobModel

struct Wait: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Wait until lists have ended; exits 0 if every job of them is done.",
        discussion: "A name may still lie in the spool. A restart of the daemon is waited out.")
    @OptionGroup var common: CommonOptions
    @Option(help: ArgumentHelp("Give up after so long (90s, 1h) with status 1.", valueName: "time"))
    var timeout: String?
    @Argument(help: "Lists: id or name.")
    var lists: [String]

    func run() throws {
        let references = try lists.map { try Parse.list($0) }
        let limit = try timeout.map { text in
            guard let limit = DurationText.parse(text) else {
                throw ValidationError("--timeout is a time like 90s, 5m or 1h30m.")
            }
            return limit
        }
        try Console.reporting {
            try WaitRun(client: try common.client(), common: common, isQuiet: false).follow(
                references, limit: limit)
        }
    }
}

/// One or more lists followed to their ends, with progress on a terminal.
struct WaitRun {
    let client: ControlClient
    let common: CommonOptions
    /// After `add`, whose output is the id alone: the summary goes to standard error.
    let isQuiet: Bool

    func follow(_ references: [ListReference], limit: Duration?) throws {
        let showsProgress = Console.errorIsTerminal
        let columns = Console.columns(of: STDERR_FILENO)
        let surroundings = ListWait.Surroundings(
            sleep: { Console.sleep($0) }, now: { Console.monotonic() },
            progress: { if showsProgress { Console.progress(WaitView.progress($0, columns: columns)) } })
        let wait = ListWait(client: client, surroundings: surroundings)
        let end = limit.map { Console.monotonic() + $0 }
        var isGood = true
        for reference in references {
            let left = end.map { max(.zero, $0 - Console.monotonic()) }
            let answer: Answer<ListDocument>?
            do {
                answer = try wait.follow(reference, limit: left)
                if showsProgress { Console.progress("") }
            } catch {
                if showsProgress { Console.progress("") }
                throw error
            }
            guard let answer else {
                throw ClientError(.failed, "\(Masking.text(reference.description)) has not ended in time")
            }
            isGood = isGood && WaitView.isSuccess(answer.document)
            if common.json {
                Console.write(answer.bytes)
            } else if isQuiet {
                if !WaitView.isSuccess(answer.document) {
                    Console.complain(WaitView.summary(answer.document))
                }
            } else {
                Console.write(WaitView.summary(answer.document) + "\n")
            }
        }
        if !isGood { throw ExitCode(1) }
    }
}
