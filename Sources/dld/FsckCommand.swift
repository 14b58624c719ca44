// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Daemon
import JobModel

struct FsckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fsck",
        abstract: "Compare spool, ledger, parts and output; say what is wrong, and mend it.",
        discussion: """
            For a stopped daemon. One line for each finding, a summary at last. Without options nothing is changed.

            Exit status: 0 nothing is wrong (any more), 1 something is, 65 the ledger is corrupt and --repair was not \
            given, 75 a daemon is running.
            """)
    @OptionGroup var file: ConfigOption
    @Flag(help: "Mend what is dld's own: parts, leftovers, counts, a corrupt ledger, lists it does not know.")
    var repair = false
    @Flag(help: "A published file that is gone or changed is an error, not a note.")
    var strict = false
    @Flag(help: "Accept the output directory as this ledger's: after a move.")
    var adopt = false
    @Flag(help: "Queue published files that are gone or changed again, by a list in the spool.")
    var refetch = false
    @Flag(help: "Read every published file whose digest is known (else: size and time of change).")
    var digest = false

    func run() throws {
        var options = FsckOptions()
        options.repair = repair
        options.strict = strict
        options.adopt = adopt
        options.refetch = refetch
        options.digest = digest
        let status = FsckRun.run(
            config: file.config, options, version: Version.number, show: Screen.show,
            complain: Screen.complain)
        throw ExitCode(status)
    }
}
