// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// The fixtures themselves: a fault in one of them would show as a fault of the daemon.
@Suite struct FixtureTests {
    @Test func `a temp directory goes with its last reference`() throws {
        var directory: TempDirectory? = try TempDirectory()
        let path = try #require(directory?.path)
        try directory?.file("a/b/c", "text")
        #expect(FileTree.files(below: path) == ["a/b/c"])
        directory = nil
        #expect(!FileTree.exists(path))
    }

    @Test func `a program's output, errors and status are all told`() throws {
        let run = try ProgramRun.run("/bin/sh", ["-c", "cat; echo bad >&2; exit 7"], input: "in")
        #expect(run.output == "in")
        #expect(run.errors == "bad\n")
        #expect(run.end == .exited(7))
    }

    @Test func `an async test waits for a program without holding the pool`() async throws {
        let run = try await ProgramRun.run("/bin/sh", ["-c", "echo $WORD"], environment: ["WORD": "yes"])
        #expect(run.output == "yes\n")
    }

    @Test func `a program that takes too long is killed and told`() throws {
        let start = ContinuousClock.now
        #expect(throws: KitError.self) {
            try ProgramRun.run("/bin/sleep", ["60"], within: .milliseconds(50))
        }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func `a background program is signalled and awaited`() throws {
        let child = try ChildProcess("/bin/sleep", ["60"])
        #expect(child.isRunning)
        child.kill(.terminate)
        #expect(try child.wait() == .signalled(SIGTERM))
    }

    @Test func `a program that is not there is an error, not a hang`() {
        #expect(throws: KitError.self) { try ChildProcess("/nowhere/at/all") }
    }

    @Test func `eventually tells what it waited for`() {
        let error = #expect(throws: KitError.self) {
            try eventually(within: .milliseconds(5), "pigs fly", context: { "no wings" }) { false }
        }
        #expect(error?.description.contains("pigs fly") == true)
        #expect(error?.description.contains("no wings") == true)
    }

    @Test func `the programs are found beside the tests`() throws {
        for program in ["dld", "sumd", "dlctl"] { _ = try BuildProducts.path(program) }
    }

    @Test func `a configuration is merged key by key`() {
        let base: ConfigValue = ["a": ["b": 1, "c": "x\"y"], "d": true]
        #expect(base.merged(with: ["a": ["b": 2]]).json == #"{"a": {"b": 2, "c": "x\"y"}, "d": true}"#)
    }
}
