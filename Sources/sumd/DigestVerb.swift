// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SumWorker

struct DigestVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "digest", abstract: "Digest files on the pool; lines as sha256sum prints them.",
        discussion: "Algorithms: " + ByHand.algorithms.joined(separator: ", ")
            + ". Every file is read once, in any order; lines come in the order given.")

    @OptionGroup var names: NamesOption
    @Option(name: .shortAndLong, help: "One of the algorithms below.", completion: .list(ByHand.algorithms))
    var algorithm = "sha-256"
    @Flag(help: "BSD lines: SHA256 (name) = digest.")
    var tag = false
    @Flag(name: .shortAndLong, help: "End lines with a zero byte and leave names unescaped.")
    var zero = false
    @Flag(name: .shortAndLong, help: "Mark names with *, as sha256sum does; nothing else comes of it.")
    var binary = false
    @OptionGroup var pool: PoolOptions
    @OptionGroup var cost: CostOptions

    func run() throws {
        var form = ByHand.DigestForm()
        form.isTagged = tag
        form.isBinary = binary
        form.isZeroEnded = zero
        var page = Page(lineEnd: zero ? 0 : UInt8(ascii: "\n"))
        let report = try verb { () throws(ByHandError) in
            try ByHand.digest(names.names, algorithm: algorithm, form: form, processes: pool.count) {
                page.show($0)
            }
        }
        cost.tell(report)
        if !page.finish() || report.failures > 0 { throw ExitCode(1) }
    }
}

struct CheckVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check files against lists of digests, as sha256sum -c does.",
        discussion: """
            Lists such as SHA256SUMS: GNU and BSD lines, each by the algorithm that it names or that the number of its \
            digits tells. Exit status 0 if every file matches, else 1.
            """)

    @OptionGroup var names: NamesOption
    @Option(
        name: .shortAndLong, help: "Only lines of this algorithm count.", completion: .list(ByHand.algorithms)
    )
    var algorithm: String?
    @Flag(help: "Say nothing of files that are not there.")
    var ignoreMissing = false
    @Flag(exclusivity: .chooseLast)
    var telling: Telling?
    @Flag(help: "A line that is none fails the check.")
    var strict = false
    @OptionGroup var pool: PoolOptions
    @OptionGroup var cost: CostOptions

    func run() throws {
        var rules = ByHand.CheckRules()
        rules.algorithm = algorithm
        rules.ignoresMissing = ignoreMissing
        rules.isQuiet = telling == .quiet
        rules.isStatusOnly = telling == .status
        rules.isStrict = strict
        rules.warns = telling == .warn
        var page = Page(lineEnd: UInt8(ascii: "\n"))
        let (isFine, report) = try verb { () throws(ByHandError) in
            try ByHand.check(names.names, rules: rules, processes: pool.count) { page.show($0) }
        }
        cost.tell(report)
        if !page.finish() || !isFine { throw ExitCode(1) }
    }
}

struct CostOptions: ParsableArguments {
    @Flag(help: "Tell at the end, on standard error, what it took.")
    var timings = false

    func tell(_ report: ByHand.DigestReport) {
        guard timings else { return }
        if let why = report.unconfined {
            Screen.complain("sumd: workers run without a system call filter: \(why)")
        }
        let seconds = Double(report.wall) / 1e9
        let rate = seconds > 0 ? Double(report.bytes) / seconds / 1e6 : 0
        Screen.complain(
            "\(report.files - report.failures) of \(report.files) files, \(Screen.grouped(Double(report.bytes))) bytes "
                + "on \(report.processes) processes in \(Screen.milliseconds(report.wall)) ms "
                + "(cpu \(Screen.milliseconds(report.cpu)) ms), \(Screen.decimal(rate, 1)) MB/s")
    }
}

/// What `sumd check` says; the last one counts, as with sha256sum.
enum Telling: EnumerableFlag {
    case quiet, status, warn

    static func name(for value: Telling) -> NameSpecification { value == .warn ? .shortAndLong : .long }
    static func help(for value: Telling) -> ArgumentHelp? {
        switch value {
        case .quiet: "Say nothing of files that are fine."
        case .status: "Say nothing at all; the exit status tells."
        case .warn: "Complain of each line that is none."
        }
    }
}
