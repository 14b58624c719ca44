// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SumWorker

struct SumVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sum", abstract: "Add every integer of a range, as a job in a list would.",
        discussion: "sumd sum 0..100000000 --repeat 5 --processes 5")

    @Argument(help: "LOW..HIGH, both ends included, or N for 0..N; whole numbers below 2^64.")
    var range: String
    @OptionGroup var repeats: RepeatOnce
    @OptionGroup var pool: PoolOptions

    func run() throws {
        let report = try verb { () throws(ByHandError) in
            try ByHand.sum(range, repeats: repeats.repeats, processes: pool.count)
        }
        var table = Table(["job", "range", "total", "queued ms", "run ms", "cpu ms", "worker"], left: [1])
        for (place, job) in report.jobs.enumerated() {
            table.add([
                String(place + 1), report.range, job.answer ?? "failed", Screen.milliseconds(job.queued),
                Screen.milliseconds(job.run), Screen.milliseconds(job.cpu), String(job.worker),
            ])
        }
        Screen.show(table.text)
        for job in report.jobs { if let failure = job.failure { Screen.complain("sumd: \(failure)") } }
        let rate = report.wall > 0 ? report.terms / (Double(report.wall) / 1e9) : 0
        Screen.show(
            "\(report.jobs.count) jobs on \(report.processes) processes in \(Screen.milliseconds(report.wall)) ms, "
                + "\(Screen.grouped(rate)) terms a second; "
                + (report.totalsAgree ? "totals agree" : "TOTALS DIFFER"))
        if !report.totalsAgree { throw ExitCode(1) }
    }
}

struct RepeatOnce: ParsableArguments {
    @Option(name: .customLong("repeat"), help: "How many such jobs are handed in at once.")
    var repeats = 1

    func validate() throws {
        guard (1...100_000).contains(repeats) else {
            throw ValidationError("--repeat is a number from 1 to 100000")
        }
    }
}

struct CompareVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "The same jobs in turn, in a process each, and on the pool: what each way takes.")

    @Argument(help: "LOW..HIGH, both ends included, or N for 0..N.")
    var range = "0..100000000"
    @OptionGroup var repeats: RepeatOptions
    @OptionGroup var pool: PoolOptions

    func run() throws {
        let report = try verb { () throws(ByHandError) in
            try ByHand.compare(range, repeats: repeats.repeats, processes: pool.count)
        }
        Screen.show("\(report.range), \(repeats.repeats) times")
        var table = Table(["way", "wall ms", "cpu ms", "against in turn", "total"], left: [0])
        let base = Double(report.ways.first?.wall ?? 0)
        for way in report.ways {
            let ratio = way.wall > 0 ? base / Double(way.wall) : 0
            let totals = Set(way.jobs.map { $0.answer ?? "failed" }).sorted().joined(separator: " ")
            table.add([
                way.name, Screen.milliseconds(way.wall), Screen.milliseconds(way.cpu),
                Screen.decimal(ratio, 2) + " x",
                totals,
            ])
        }
        Screen.show(table.text)
        Screen.show(report.totalsAgree ? "totals agree" : "TOTALS DIFFER")
        if !report.totalsAgree { throw ExitCode(1) }
    }
}
