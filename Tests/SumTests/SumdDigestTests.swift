// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// `sumd digest` and `sumd check` beside the programs of coreutils: the same lines, complaints and exit status.
@Suite(.serialized) struct SumdDigestTests {
    /// Files with names that are hard to show, one below a folder, one empty.
    static func tree() throws -> TempDirectory {
        let folder = try TempDirectory()
        let names = [
            "plain", "a b", "c\\d", "e\nf", "g\rh", "x\n\\y", "it's", "co:lon", " lead", "é", "tab\there",
            "sub/deep",
        ]
        try folder.directory("sub")
        for (seed, name) in names.enumerated() {
            try folder.file(name, [UInt8](repeating: UInt8(seed), count: seed * 40_001))
        }
        return folder
    }

    /// Both runs, with the program's name in complaints made equal.
    func compare(
        _ ours: [String], _ theirs: [String], in folder: TempDirectory, input: String = ""
    ) throws -> (ours: ProgramRun, theirs: ProgramRun) {
        let utf8 = ["LC_ALL": "C.UTF-8"]
        let one = try ProgramRun.run("sumd", ours, environment: utf8, directory: folder.path, input: input)
        let two = try ProgramRun.run(
            "/usr/bin/\(theirs[0])", Array(theirs.dropFirst()), environment: utf8, directory: folder.path,
            input: input)
        #expect(one.output == two.output)
        #expect(one.errors == two.errors.replacing("/usr/bin/\(theirs[0]): ", with: "sumd: "))
        #expect(one.status == two.status)
        return (one, two)
    }

    static let programs: [(String, String)] = [
        ("sha-256", "sha256sum"), ("SHA512", "sha512sum"), ("sha384", "sha384sum"), ("sha-224", "sha224sum"),
        ("sha1", "sha1sum"), ("md5", "md5sum"), ("blake2b", "b2sum"),
    ]
    @Test(arguments: programs) func `digest prints what coreutils print`(
        algorithm: String, program: String
    ) throws {
        let folder = try Self.tree()
        let names = FileTree.files(below: folder.path)
        #expect(names.count == 12)
        for flags in [[], ["--tag"], ["-b"], ["-z"]] {
            let run = try compare(
                ["digest", "-a", algorithm, "--processes", "2"] + flags + names, [program] + flags + names,
                in: folder)
            #expect(run.ours.status == 0)
        }
    }

    @Test func `what cannot be read is told as coreutils tell it, and the others are digested`() throws {
        let folder = try Self.tree()
        let names = ["none", "plain", "sub", "n o", "it's not", "a b", "", "no\nne", "$x", "plain/below"]
        let run = try compare(["digest"] + names, ["sha256sum"] + names, in: folder)
        #expect(run.ours.status == 1)
    }

    @Test func `standard input and pipes are digested too, each once`() throws {
        let folder = try Self.tree()
        _ = try compare(["digest"], ["sha256sum"], in: folder, input: "abc")
        _ = try compare(
            ["digest", "plain", "-", "é", "-"], ["sha256sum", "plain", "-", "é", "-"], in: folder,
            input: "abc")
        let fifo = folder.sub("fifo")
        #expect(mkfifo(fifo, 0o600) == 0)
        let writer = try TestKit.ChildProcess("/bin/sh", ["-c", "printf abc > \"$0\"", fifo])
        let run = try ProgramRun.run("sumd", ["digest", "--algorithm", "md5", fifo])
        #expect(run.output == "900150983cd24fb0d6963f7d28e17f72  \(fifo)\n", "\(run.transcript)")
        try writer.wait()
    }

    /// Good, wrong, missing, a folder, a comment, no line at all, upper case, escapes, both kinds of line.
    func list(_ folder: TempDirectory, tagged: Bool = false) throws -> String {
        let names = ["plain", "a b", "c\\d", "e\nf", "x\n\\y", "sub/deep"]
        let good = try ProgramRun.run(
            "/usr/bin/sha256sum", (tagged ? ["--tag"] : []) + names, directory: folder.path
        ).output
        let digest = String(repeating: "5a", count: 32)
        return good
            + "# a comment\n\nno line\n\(digest)  it's\n\(digest.uppercased())  not there\n\(digest) *sub\n"
            + "\(digest)\nSHA256 (co:lon) = \(digest)\n"
    }

    static let flags: [[String]] = [
        [], ["--quiet"], ["--status"], ["--strict"], ["--warn"], ["--ignore-missing"],
        ["--quiet", "--warn", "--strict", "--ignore-missing"],
    ]
    @Test(arguments: flags) func `check says what sha256sum says`(flags: [String]) throws {
        let folder = try Self.tree()
        let good = try ProgramRun.run("/usr/bin/sha256sum", ["plain", "e\nf"], directory: folder.path).output
        try folder.file("good", good)
        try folder.file("mixed", try list(folder))
        try folder.file("tagged", try list(folder, tagged: true))
        try folder.file("stray", good + "nothing\n")
        try folder.file("missing", "\(String(repeating: "0", count: 64))  nowhere\n")
        for lists in [
            ["good"], ["mixed"], ["tagged"], ["stray"], ["missing"], ["plain"], ["none"], ["sub"],
            ["good", "mixed", "none"],
        ] {
            _ = try compare(
                ["check", "-a", "sha256"] + flags + lists, ["sha256sum", "-c"] + flags + lists, in: folder)
        }
        _ = try compare(
            ["check", "-a", "sha256"] + flags, ["sha256sum", "-c"] + flags, in: folder, input: good)
    }

    @Test func `without an algorithm each line goes by its own`() throws {
        let folder = try Self.tree()
        var list = ""
        for (_, program) in Self.programs {
            list += try ProgramRun.run(
                "/usr/bin/\(program)", ["--tag", "plain", "a b"], directory: folder.path
            ).output
        }
        for program in ["sha256sum", "sha1sum", "md5sum", "sha512sum"] {
            list += try ProgramRun.run("/usr/bin/\(program)", ["é"], directory: folder.path).output
        }
        try folder.file("CHECKSUMS", list)
        let run = try ProgramRun.run("sumd", ["check", "CHECKSUMS"], directory: folder.path)
        #expect(run.status == 0, "\(run.transcript)")
        #expect(run.output.split(separator: "\n").count == 18)
        try folder.file("B2SUMS", try ProgramRun.run("/usr/bin/b2sum", ["é"], directory: folder.path).output)
        #expect(try ProgramRun.run("sumd", ["check", "B2SUMS"], directory: folder.path).status == 0)
    }

    @Test func `a name that is no text is digested and checked`() throws {
        let folder = try TempDirectory()
        let script = """
            cd "$0" && n=$(printf 'a\\377b') && printf x > "$n" && "$1" digest "$n" > S && sha256sum -c --quiet S \
            && "$1" check S && "$1" digest "$n"
            """
        let run = try ProgramRun.run(
            "/bin/bash", ["-c", script, folder.path, try BuildProducts.path("sumd")])
        #expect(run.status == 0, "\(run.transcript)")
    }

    @Test func `a name that begins with a dash follows two of them`() throws {
        let folder = try TempDirectory()
        for name in ["-a", "--tag", "-", "x"] { try folder.file(name, name) }
        let names = ["--", "-a", "--tag", "./-", "x"]
        _ = try compare(["digest", "-a", "sha256"] + names, ["sha256sum"] + names, in: folder)
        _ = try compare(["digest", "x", "--algorithm=md5", "./-"], ["md5sum", "x", "./-"], in: folder)
        let bad = try ProgramRun.run("sumd", ["digest", "--nonsense", "x"], directory: folder.path)
        #expect(bad.status == 64 && bad.errors.contains("--nonsense"))
    }

    @Test func `a full disk under standard output is told`() throws {
        let folder = try Self.tree()
        let run = try ProgramRun.run(
            "/bin/sh", ["-c", "\"$0\" digest plain > /dev/full", try BuildProducts.path("sumd")],
            directory: folder.path)
        #expect(run.status == 1)
        #expect(run.errors == "sumd: write error: No space left on device\n")
    }

    @Test func `more files than descriptors are allowed are digested all the same`() throws {
        let folder = try TempDirectory()
        for number in 0..<200 { try folder.file("f\(number)", "\(number)") }
        let names = FileTree.files(below: folder.path)
        let run = try ProgramRun.run(
            "/usr/bin/prlimit",
            ["--nofile=48:48", try BuildProducts.path("sumd"), "digest", "--processes", "8"] + names,
            directory: folder.path)
        #expect(run.status == 0, "\(run.transcript)")
        #expect(
            run.output == (try ProgramRun.run("/usr/bin/sha256sum", names, directory: folder.path)).output)
    }

    @Test func `where the kernel has no filters the work goes on, and it is told`() throws {
        let name = "where the kernel has no filters the work goes on, and it is told"
        let strace = "/usr/bin/strace"
        let isSanitized = dlsym(nil, "__tsan_init") != nil || dlsym(nil, "__asan_init") != nil
        if skip(
            name, unless: access(strace, X_OK) == 0 && !isSanitized,
            "needs strace, and a build without sanitizer")
        {
            return
        }
        let folder = try Self.tree()
        let refused = [
            "-f", "-qq", "-o", "/dev/null", "-e", "trace=seccomp", "-e", "inject=seccomp:error=EINVAL",
            try BuildProducts.path("sumd"),
        ]
        let run = try ProgramRun.run(
            strace, refused + ["digest", "--timings", "plain"], directory: folder.path)
        #expect(run.status == 0, "\(run.transcript)")
        #expect(
            run.errors.contains("without a system call filter: load the seccomp filter: Invalid argument"))
        #expect(
            run.output == (try ProgramRun.run("/usr/bin/sha256sum", ["plain"], directory: folder.path)).output
        )
        // And the attempts are refused by the filter and by nothing else.
        let attempt = try ProgramRun.run(strace, refused + ["attempt"])
        #expect(attempt.status == 1)
        #expect(attempt.output.contains("socket: Success") && attempt.output.contains("openat: Success"))
    }

    @Test func `every attempt of a worker at more than computing is refused`() throws {
        let name = "every attempt of a worker at more than computing is refused"
        let isSanitized = dlsym(nil, "__tsan_init") != nil || dlsym(nil, "__asan_init") != nil
        if skip(name, unless: !isSanitized, "sanitizer builds run without the filter") { return }
        let run = try ProgramRun.run("sumd", ["attempt"])
        #expect(run.status == 0, "\(run.transcript)")
        let lines = run.output.split(separator: "\n")
        #expect(lines.allSatisfy { $0.hasSuffix(": refused") })
        for call in [
            "openat", "openat2", "memfd_create", "socket", "connect", "execve", "fork", "clone3", "ptrace",
            "kill",
        ] {
            #expect(lines.contains("\(call): refused"))
        }
    }
}
