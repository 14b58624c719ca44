// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import TestKit
import Testing

@testable import SumPool

@Suite(.serialized) struct SumdProgramTests {
    @Test func `sum prints a row a job, agrees, and is spread over the processes`() throws {
        let run = try ProgramRun.run("sumd", ["sum", "0..1000000", "--repeat", "5", "--processes", "3"])
        #expect(run.status == 0, "\(run.transcript)")
        let lines = run.output.split(separator: "\n")
        #expect(lines.count == 7)
        #expect(lines.filter { $0.contains("500000500000") }.count == 5)
        #expect(run.output.contains("5 jobs on 3 processes"))
        #expect(run.output.contains("totals agree"))
    }

    @Test func `compare shows three ways that agree`() throws {
        let run = try ProgramRun.run("sumd", ["compare", "0..3000000", "--repeat", "2", "--processes", "2"])
        #expect(run.status == 0, "\(run.transcript)")
        for way in ["in turn", "a process each", "pool of 2", "totals agree"] {
            #expect(run.output.contains(way))
        }
        #expect(run.output.split(separator: "\n").filter { $0.contains("4500001500000") }.count == 3)
    }

    @Test func `digest prints what sha256sum prints, in the order given`() throws {
        let folder = try TempDirectory()
        var files: [String] = []
        for number in 0..<40 {
            let name = number == 7 ? "a\nb\\c" : "file \(number) é"
            files.append(try folder.file(name, [UInt8](repeating: UInt8(number), count: number * 7001)))
        }
        let run = try ProgramRun.run("sumd", ["digest", "--processes", "2"] + files)
        let reference = try ProgramRun.run("/usr/bin/sha256sum", files)
        #expect(run.status == 0, "\(run.transcript)")
        #expect(run.output == reference.output)
        #expect(run.errors.isEmpty)
        let told = try ProgramRun.run("sumd", ["digest", "--timings"] + files)
        #expect(told.output == reference.output)
        #expect(told.errors.contains("40 of 40 files"))
    }

    @Test func `digest of a file that cannot be read goes on with the others and exits 1`() throws {
        let folder = try TempDirectory()
        let good = try folder.file("good", "123456789")
        let run = try ProgramRun.run(
            "sumd", ["digest", "--algorithm", "crc32c", folder.sub("none"), folder.path, good])
        #expect(run.status == 1)
        #expect(run.output == "e3069283  \(good)\n")
        #expect(run.errors.contains("No such file"))
        #expect(run.errors.contains("Is a directory"))
    }

    static let misuses: [[String]] = [
        ["sum", "10..3"], ["sum", "-1"], ["sum", "+5"], ["sum", "007"], ["sum", " 5 "], ["sum", "1e3"],
        ["sum", "0x10"], ["sum", "١٢"], ["sum", ""], ["sum", "18446744073709551616"], ["sum", "NaN"],
        ["sum", String(repeating: "9", count: 400)], ["sum", "5", "--processes", "0"],
        ["sum", "5", "--repeat", "0"],
        ["digest", "x", "--algorithm", "rot13"], ["check", "x", "--algorithm", ""], ["nonsense"],
        ["serve", "--descriptor", "1"],
    ]
    @Test(arguments: misuses) func `what makes no sense is a usage error`(arguments: [String]) throws {
        let run = try ProgramRun.run("sumd", arguments)
        #expect(run.status == 64, "\(run.transcript)")
        #expect(run.output.isEmpty)
        #expect(run.errors.contains("Error:"))
    }

    @Test func `help and version say what they should`() throws {
        let help = try ProgramRun.run("sumd", ["--help"])
        #expect(help.status == 0)
        for word in ["sum", "compare", "digest", "check", "serve"] { #expect(help.output.contains(word)) }
        let version = try ProgramRun.run("sumd", ["--version"])
        #expect(version.status == 0)
        #expect(version.output.hasPrefix("sumd "))
        #expect(try ProgramRun.run("sumd", ["compare", "--help"]).status == 0)
    }

    @Test func `where processes are short it runs with fewer`() throws {
        let name = "where processes are short it runs with fewer"
        if skip(name, unless: geteuid() == 0, "needs root to become a user with a limit") { return }
        let folder = try TempDirectory()
        let program = try folder.file("sumd", FileTree.read(try BuildProducts.path("sumd")))
        chmod(program, 0o755)
        // A user that nobody is: the limit counts all processes of the user.
        let run = try ProgramRun.run(
            "/usr/bin/setpriv",
            [
                "--reuid=54321", "--regid=54321", "--clear-groups", "/usr/bin/prlimit", "--nproc=3:3",
                program,
                "sum", "0..100000", "--processes", "8", "--repeat", "4",
            ])
        #expect(run.status == 0, "\(run.transcript)")
        // A sanitizer's own thread counts too.
        let counts = unsafe getenv("DLD_TEST_SANITIZER") == nil ? 2...2 : 1...2
        #expect(
            counts.contains { run.output.contains("4 jobs on \($0) processes") }, "\(run.transcript)")
    }

    @Test func `an interrupt ends the verb with 130 and leaves no worker`() throws {
        let child = try TestKit.ChildProcess(
            try BuildProducts.path("sumd"), ["sum", "18446744073709551615", "--processes", "2"])
        let workers = try eventuallySome("it has its workers") { () -> [Int32]? in
            let found = children(of: child.pid)
            return found.count == 2 ? found : nil
        }
        child.kill(.interrupt)
        #expect(try child.wait() == .exited(130))
        for worker in workers { #expect(!Processes.exists(worker)) }
    }

    @Test func `serve without a socket says so and exits 74`() throws {
        let run = try ProgramRun.run("sumd", ["serve", "--descriptor", "77"])
        #expect(run.status == 74)
        #expect(run.errors.contains("sumd: "))
    }

    @Test func `serve ends with its workers when the other end closes`() throws {
        let (child, workers) = try servedAndClosed { _ in }
        #expect(try child.wait() == .exited(0))
        try eventually("no orphan is left") { workers.allSatisfy { !Processes.exists($0) } }
    }

    @Test func `serve drops a peer that talks nonsense`() throws {
        let (child, workers) = try servedAndClosed { try $0.send(packet: [1, 2, 3, 4, 5, 6, 7]) }
        #expect(try child.wait() == .exited(74))
        try eventually("no orphan is left") { workers.allSatisfy { !Processes.exists($0) } }
    }

    /// Starts `sumd serve`, waits for its workers, lets `body` talk and closes.
    func servedAndClosed(
        _ body: (inout RunningSumd) throws -> Void
    ) throws -> (Ended, workers: [Int32]) {
        let settings = SumPoolSettings(executable: try BuildProducts.path("sumd"), processes: 2)
        var sumd = try RunningSumd.start(settings, now: Monotonic.nanoseconds())
        let child = sumd.process
        var workers: [Int32] = []
        // What the workers told is the last news: from here on sumd has nothing to say.
        var confinement = SumConfinement.unknown
        while workers.count < 2 || confinement == .unknown {
            _ = Poll.readable([sumd.pollEntry.descriptor], atMost: .seconds(10))
            for case .pool(let live, _, _, let told) in try sumd.receive() ?? [] {
                (workers, confinement) = (live, told)
            }
        }
        try body(&sumd)
        return (Ended(child: child), workers)
    }

    struct Ended {
        let child: LinuxKit.ChildProcess
        func wait() throws -> LinuxKit.ChildProcess.Ending { try child.wait() }
    }

    func children(of pid: Int32) -> [Int32] {
        FileTree.names("/proc").compactMap { Int32($0) }.filter { Processes.parent(of: $0) == pid }
    }
}
