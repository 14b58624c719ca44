// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import SystemPackage

/// A child of this process, until it has been waited for. Reaped once, by one thread; nothing reaps by
/// itself.
public struct ChildProcess: Sendable, Hashable {
    public enum Ending: Sendable, Hashable, CustomStringConvertible {
        /// Returned or called exit, with this status.
        case exited(Int32)
        /// Ended by this signal.
        case killed(signal: Int32, hasDumpedCore: Bool)

        /// As logs show it: `exit status 1`, `signal 9, core dumped`.
        public var description: String {
            switch self {
            case .exited(let status): "exit status \(status)"
            case .killed(let number, let hasDumpedCore):
                "signal \(number)" + (hasDumpedCore ? ", core dumped" : "")
            }
        }
        init(word: Int32) {
            if dld_has_exited(word) != 0 {
                self = .exited(dld_exit_status(word))
            } else {
                self = .killed(signal: dld_term_signal(word), hasDumpedCore: dld_has_dumped_core(word) != 0)
            }
        }
    }
    /// Its process id; free for another process once it has been waited for.
    public let pid: Int32
    public init(pid: Int32) { self.pid = pid }

    /// Sleeps until it has ended.
    public func wait() throws(SystemError) -> Ending {
        var word: Int32 = 0
        let number = pid
        _ = try systemCall("wait for", "process \(number)") { () in unsafe waitpid(number, &word, 0) }
        return Ending(word: word)
    }

    /// How it ended; nil while it runs.
    public func poll() throws(SystemError) -> Ending? {
        var word: Int32 = 0
        let number = pid
        let answer = try systemCall("wait for", "process \(number)") { () in
            unsafe waitpid(number, &word, WNOHANG)
        }
        return answer == 0 ? nil : Ending(word: word)
    }

    /// Sends a signal; one that has ended but was not waited for takes it without effect.
    public func signal(_ number: Int32) throws(SystemError) {
        let target = pid
        _ = try systemCall("signal \(number) to", "process \(target)") { () in kill(target, number) }
    }

    /// Sends a signal to its whole process group (it must have its own).
    public func signalGroup(_ number: Int32) throws(SystemError) {
        let target = -pid
        _ = try systemCall("signal \(number) to", "process group \(pid)") { () in kill(target, number) }
    }

    /// A descriptor that is readable in `poll` once the process has ended (pidfd_open(2)).
    public func openEndDescriptor() throws(SystemError) -> Descriptor {
        let number = pid
        return Descriptor(
            owning: try systemCall("pidfd_open", "process \(number)") { () in dld_pidfd_open(number) })
    }
}

/// Ties a child's life to its parent's (PR_SET_PDEATHSIG, prctl(2)); called in the child.
public enum ParentDeathSignal {
    /// From now on the end of the thread that started this process sends `number` to it.
    /// - Returns: false if the parent is not `parent` any more: it ended before the request, so exit at once.
    public static func request(_ number: Int32, parent: Int32) throws(SystemError) -> Bool {
        _ = try systemCall("prctl", "parent death signal") { () in dld_set_parent_death_signal(number) }
        return getppid() == parent
    }
}

/// This process's environment.
public enum Environment {
    /// The value of one variable. Not while another thread calls `remove`.
    public static func value(_ name: String) -> String? {
        guard let found = unsafe getenv(name) else { return nil }
        return unsafe String(cString: found)
    }

    /// Takes a variable out, for this process and those it starts by other means than `Spawn`. Only before
    /// the first thread: the C environment has no lock.
    public static func remove(_ name: String) { unsafe _ = unsetenv(name) }

    /// All variables; those without `=` are left out.
    public static func all() -> [String: String] {
        var variables: [String: String] = [:]
        var cursor = unsafe environ
        while let entry = unsafe cursor.pointee {
            let text = unsafe String(cString: entry)
            if let sign = text.utf8.firstIndex(of: UInt8(ascii: "=")) {
                variables[String(text[..<sign])] = String(text[text.utf8.index(after: sign)...])
            }
            unsafe cursor = cursor.advanced(by: 1)
        }
        return variables
    }
}
