// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit
import Locking

/// How a program ended.
public enum ProgramEnd: Sendable, Hashable {
    case exited(Int32)
    case signalled(Int32)
}

/// What the kernel counted for an ended program.
public struct ProgramUsage: Sendable {
    public let cpuSeconds: Double
}

/// A program in the background; its output goes to files, so that nothing it prints can make it wait.
///
/// Each child has a thread that spawns it and then waits for its end. The child gets a signal when that thread dies,
/// that is, with the whole test process: a test run that crashes leaves nothing behind. Any thread may call.
public final class ChildProcess: Sendable {
    public let pid: pid_t
    public let commandLine: String
    private let ended: Latch
    private let result: ResultBox
    private let captures: Captures

    private final class ResultBox: Sendable { let value = Guarded<(ProgramEnd, ProgramUsage)?>(nil) }
    private final class Launch: Sendable {
        let pid = Guarded<pid_t>(0)
        let status = Guarded<Int32>(0)
        let done = Latch()
    }

    struct Captures: Sendable {
        let directory: TempDirectory
        var output: String { directory.sub("stdout") }
        var errors: String { directory.sub("stderr") }
    }

    /// - Parameters:
    ///   - executable: absolute path.
    ///   - environment: added to (or, with a nil value, taken from) that of the tests.
    ///   - input: what it reads on standard input; nothing by default.
    ///   - deathSignal: what it gets when the test process dies. SIGTERM for programs with children of their own.
    public init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String?] = [:],
        directory: String? = nil, input: [UInt8] = [], deathSignal: Int32 = SIGKILL
    ) throws {
        let captures = Captures(directory: try TempDirectory())
        try captures.directory.file("stdin", input)
        let spawn = SpawnPlan(
            executable: executable, arguments: arguments, environment: environment, directory: directory,
            input: captures.directory.sub("stdin"), output: captures.output, errors: captures.errors,
            deathSignal: deathSignal)
        let launch = Launch()
        let ended = Latch()
        let result = ResultBox()
        // Detached in effect: it holds only what it captured and ends with the child.
        _ = WorkerThread(name: "test-child") {
            let (status, pid) = spawn.run()
            launch.status.withLock { $0 = status }
            launch.pid.withLock { $0 = pid }
            launch.done.open()
            guard status == 0 else { return }
            let value = Self.reap(pid)
            result.value.withLock { $0 = value }
            ended.open()
        }
        launch.done.wait(atMost: nil)
        let status = launch.status.withLock { $0 }
        guard status == 0 else { throw KitError("spawn \(executable): \(String(cString: strerror(status)))") }
        self.pid = launch.pid.withLock { $0 }
        self.commandLine = ([executable] + arguments).joined(separator: " ")
        self.ended = ended
        self.result = result
        self.captures = captures
    }

    deinit { if end == nil { kill(.kill) } }

    private static func reap(_ pid: pid_t) -> (ProgramEnd, ProgramUsage) {
        var status: Int32 = 0
        var usage = rusage()
        while wait4(pid, &status, 0, &usage) < 0 && errno == EINTR {}
        let end: ProgramEnd =
            status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .signalled(status & 0x7f)
        let seconds = { (time: timeval) in Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        return (end, ProgramUsage(cpuSeconds: cpu))
    }

    /// nil while it runs.
    public var end: ProgramEnd? { result.value.withLock { $0?.0 } }
    /// nil while it runs.
    public var usage: ProgramUsage? { result.value.withLock { $0?.1 } }
    public var output: String { (try? FileTree.text(captures.output)) ?? "" }  // not there: nothing printed
    public var errors: String { (try? FileTree.text(captures.errors)) ?? "" }  // not there: nothing printed

    public enum Signal: Sendable { case kill, terminate, interrupt, hangUp, user1, stop, proceed, abort }

    /// Sends to the program alone, not to its children. After the end it does nothing.
    public func kill(_ signal: Signal) {
        let number: Int32 =
            switch signal {
            case .kill: SIGKILL
            case .terminate: SIGTERM
            case .interrupt: SIGINT
            case .hangUp: SIGHUP
            case .user1: SIGUSR1
            case .stop: SIGSTOP
            case .proceed: SIGCONT
            case .abort: SIGABRT
            }
        if end == nil { _ = Glibc.kill(pid, number) }
    }

    /// Waits for the end. When the time is over the program is killed and its output told.
    @discardableResult
    public func wait(atMost limit: Duration = .seconds(30)) throws -> ProgramEnd {
        if ended.wait(atMost: limit * Patience.factor), let end { return end }
        kill(.kill)
        ended.wait(atMost: .seconds(5))
        throw KitError("still running after \(limit): \(commandLine)\n\(transcript)")
    }

    /// Both outputs, for failure messages.
    public var transcript: String { "--- standard output\n\(output)\n--- standard error\n\(errors)" }

    public var isRunning: Bool { end == nil }
}
