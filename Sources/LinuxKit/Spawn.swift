// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import SystemPackage

/// Starts another program with `posix_spawn`: no fork in a process that has threads.
///
/// The child gets an empty signal mask, default signal actions, by default a process group of its own, and
/// exactly the descriptors named here: 0, 1, 2, then `inherited` as 3, 4, ... in order. All others are closed
/// in it, whoever opened them. Variables that speak to this process alone (`Spawn.privateVariables`) are
/// taken out of its environment. A child that asks for a parent-death signal gets it when the *thread* that
/// spawned it ends: spawn from one that lives as long as the daemon.
public struct Spawn: Sendable {
    /// What the child has as 0, 1 or 2.
    public enum Stream: Sendable, Hashable {
        case inherit
        /// `/dev/null`.
        case null
        /// A copy of a descriptor of ours.
        case descriptor(Int32)
    }
    /// The service manager's words to this process, which a child must not act upon (sd_notify(3),
    /// sd_listen_fds(3)).
    public static let privateVariables: Set<String> = [
        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    ]

    /// Absolute: nothing is searched along PATH.
    public var executable: FilePath
    /// Without the program's own name, which comes first.
    public var arguments: [String]
    /// nil: ours. Private variables are left out of either.
    public var environment: [String: String]?
    public var standardInput = Stream.null
    public var standardOutput = Stream.inherit
    public var standardError = Stream.inherit
    /// Descriptors of ours that the child gets as 3, 4, ...
    public var inherited: [Int32] = []
    /// A group of its own: ^C on our terminal does not reach it.
    public var hasOwnProcessGroup = true

    /// Starts nothing yet.
    public init(executable: FilePath, arguments: [String] = [], environment: [String: String]? = nil) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
    }

    /// Starts it. An executable that is missing or may not be run is reported here, not by the child.
    public func start() throws(SystemError) -> ChildProcess {
        let object = executable.string
        var actions = unsafe posix_spawn_file_actions_t()
        try statusCall("spawn", object) { () in unsafe posix_spawn_file_actions_init(&actions) }
        defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
        // Sources may lie on numbers that another one is to get: first copies out of the way, then dup2 down.
        let held = try unsafe place(&actions)
        defer { for number in held { _ = close(number) } }

        var attributes = posix_spawnattr_t()
        try statusCall("spawn", object) { () in unsafe posix_spawnattr_init(&attributes) }
        defer { unsafe _ = posix_spawnattr_destroy(&attributes) }
        try prepare(&attributes)

        var pid: pid_t = 0
        let status = unsafe Self.withCStrings([object] + arguments) { argv in
            unsafe Self.withCStrings(childEnvironment()) { envp in
                unsafe posix_spawn(&pid, object, &actions, &attributes, argv, envp)
            }
        }
        if status != 0 { throw SystemError(Errno(rawValue: status), "spawn", object) }
        return ChildProcess(pid: pid)
    }

    /// Fills in the file actions; answers the copies that live until the spawn is done.
    private func place(_ actions: inout posix_spawn_file_actions_t) throws(SystemError) -> [Int32] {
        let lowest = Int32(3 + inherited.count)
        var held: [Int32] = []
        do throws(SystemError) {
            let streams = [standardInput, standardOutput, standardError]
            for (target, source) in zip(Int32(0)..., streams) {
                switch source {
                case .inherit: break
                case .null:
                    let mode = target == 0 ? O_RDONLY : O_WRONLY
                    try statusCall("spawn", "/dev/null") { () in
                        unsafe posix_spawn_file_actions_addopen(&actions, target, "/dev/null", mode, 0)
                    }
                case .descriptor(let number):
                    try unsafe Self.hold(number, above: lowest, as: target, in: &actions, &held)
                }
            }
            for (target, number) in zip(Int32(3)..., inherited) {
                try unsafe Self.hold(number, above: lowest, as: target, in: &actions, &held)
            }
            try statusCall("spawn", executable.string) { () in
                unsafe dld_spawn_close_from(&actions, lowest)
            }
        } catch {
            for number in held { _ = close(number) }
            throw error
        }
        return held
    }

    private static func hold(
        _ number: Int32, above lowest: Int32, as target: Int32, in actions: inout posix_spawn_file_actions_t,
        _ held: inout [Int32]
    ) throws(SystemError) {
        let copy = try systemCall("duplicate", "descriptor \(number)") { () in dld_duplicate(number, lowest) }
        held.append(copy)
        try statusCall("spawn", "descriptor \(number)") { () in
            unsafe posix_spawn_file_actions_adddup2(&actions, copy, target)
        }
    }

    private func prepare(_ attributes: inout posix_spawnattr_t) throws(SystemError) {
        let object = executable.string
        var flags = Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF)
        var none = sigset_t()
        var all = sigset_t()
        unsafe _ = sigemptyset(&none)
        unsafe _ = sigfillset(&all)
        try statusCall("spawn", object) { () in unsafe posix_spawnattr_setsigmask(&attributes, &none) }
        try statusCall("spawn", object) { () in unsafe posix_spawnattr_setsigdefault(&attributes, &all) }
        if hasOwnProcessGroup {
            flags |= Int16(POSIX_SPAWN_SETPGROUP)
            try statusCall("spawn", object) { () in unsafe posix_spawnattr_setpgroup(&attributes, 0) }
        }
        try statusCall("spawn", object) { () in unsafe posix_spawnattr_setflags(&attributes, flags) }
    }

    private func childEnvironment() -> [String] {
        let variables = environment ?? Environment.all()
        return variables.filter { !Self.privateVariables.contains($0.key) }.map { "\($0.key)=\($0.value)" }
            .sorted()
    }

    /// A null-terminated array of C strings for the time of `body`.
    private static func withCStrings<Answer>(
        _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Answer
    ) -> Answer {
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe texts.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        return unsafe pointers.withUnsafeMutableBufferPointer { unsafe body($0.baseAddress!) }
    }
}
