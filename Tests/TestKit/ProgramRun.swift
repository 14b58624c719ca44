// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit

/// A program that has run to its end, with all it printed.
public struct ProgramRun: Sendable {
    public let end: ProgramEnd
    public let output: String
    public let errors: String
    public let usage: ProgramUsage
    public let commandLine: String

    /// The exit status; 128 + N for signal N, as a shell has it.
    public var status: Int32 {
        switch end {
        case .exited(let status): status
        case .signalled(let signal): 128 + signal
        }
    }
    /// Everything at once, for failure messages.
    public var transcript: String {
        "\(commandLine): \(end)\n--- standard output\n\(output)\n--- standard error\n\(errors)"
    }

    /// Runs a program and waits for its end; throws when it could not be started or the time was over (it is killed).
    ///
    /// - Parameter executable: an absolute path, or the name of one of the built programs (`dld`, `sumd`, `dlctl`).
    public static func run(
        _ executable: String, _ arguments: [String] = [], environment: [String: String?] = [:],
        directory: String? = nil, input: String = "", within limit: Duration = .seconds(30)
    ) throws -> ProgramRun {
        let path = executable.hasPrefix("/") ? executable : try BuildProducts.path(executable)
        let child = try ChildProcess(
            path, arguments, environment: environment, directory: directory, input: Array(input.utf8))
        let end = try child.wait(atMost: limit)
        return ProgramRun(
            end: end, output: child.output, errors: child.errors,
            usage: child.usage ?? ProgramUsage(cpuSeconds: 0),
            commandLine: child.commandLine)
    }

    /// The same for async tests: the wait is on a thread of its own, not on the pool that all tests share.
    public static func run(
        _ executable: String, _ arguments: [String] = [], environment: [String: String?] = [:],
        directory: String? = nil, input: String = "", within limit: Duration = .seconds(30)
    ) async throws -> ProgramRun {
        try await Blocking.run {
            try run(
                executable, arguments, environment: environment, directory: directory, input: input,
                within: limit)
        }
    }

    /// A program of the system, found in the usual directories.
    public static func find(_ name: String) throws -> String {
        for directory in ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"] {
            let path = "\(directory)/\(name)"
            if access(path, X_OK) == 0 { return path }
        }
        throw KitError("\(name) is not installed: run scripts/setup")
    }
}

/// Blocking work from an async test.
public enum Blocking {
    /// Runs `body` on a thread of its own.
    public static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            _ = WorkerThread(name: "test-blocking") { continuation.resume(with: Result { try body() }) }
        }
    }
}
