// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SumWorker

struct DigestVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "digest", abstract: "Digest files on the pool; lines as sha256sum prints them.",
        discussion: "Algorithms: " + ByHand.algorithms.joined(separator: ", ") + ".")

    @Argument(help: "Regular files.", completion: .file())
    var files: [String]
    @Option(name: .long, help: "One of the algorithms below.", completion: .list(ByHand.algorithms))
    var algorithm = "sha-256"
    @OptionGroup var pool: PoolOptions

    func run() throws {
        let report = try verb { () throws(ByHandError) in
            try ByHand.digest(files, algorithm: algorithm, processes: pool.count) { path, job in
                if let digest = job.answer {
                    Screen.show(Self.line(digest, path))
                } else {
                    Screen.complain("sumd: \(Screen.escaped(path)): \(job.failure ?? "failed")")
                }
            }
        }
        let seconds = Double(report.wall) / 1e9
        let rate = seconds > 0 ? Double(report.bytes) / seconds / 1e6 : 0
        Screen.complain(
            "\(report.files - report.failures) of \(report.files) files, \(Screen.grouped(Double(report.bytes))) bytes "
                + "on \(report.processes) processes in \(Screen.milliseconds(report.wall)) ms "
                + "(cpu \(Screen.milliseconds(report.cpu)) ms), \(Screen.decimal(rate, 1)) MB/s")
        if report.failures > 0 { throw ExitCode(1) }
    }

    /// As coreutils: a name with a backslash or a line break is escaped, and the line begins with a backslash.
    static func line(_ digest: String, _ path: String) -> String {
        var escaped = ""
        for scalar in path.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\r": escaped += "\\r"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return (escaped.utf8.count == path.utf8.count ? "" : "\\") + digest + "  " + escaped
    }
}

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
