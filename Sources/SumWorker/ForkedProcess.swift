// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit
import SystemPackage

/// One forked child with a socket to it.
///
/// The only home of `fork` in the house. Swift code goes on running in the child, which is sound only while the
/// parent has a single thread: a second one could hold malloc's or the runtime's lock at that moment, for ever.
/// Hence the check before each fork instead of a rule in a document.
struct ForkedProcess: ~Copyable {
    let process: ChildProcess
    /// Our end: packets, non-blocking.
    let socket: Descriptor

    /// Forks. `body` runs in the child with its end of the socket; what it returns is the child's exit status.
    ///
    /// The child dies with its parent (PR_SET_PDEATHSIG; and end of file on the socket, should that signal be lost),
    /// has default signal actions and no descriptor but 0, 1, 2 and its socket.
    /// - Throws: EAGAIN or ENOMEM where the machine has no room for another process.
    static func start(
        name: String, _ body: (consuming Descriptor) -> Int32
    ) throws(SystemError) -> ForkedProcess {
        precondition(
            ThreadCount.isOne, "a process with \(ThreadCount.current()) threads must not fork")
        let parent = getpid()
        let pair = try SocketPair(.sequencedPacket, isNonBlocking: true)
        let theirs = pair.second.rawValue
        // Unwritten output would be written twice.
        _ = fflush(nil)
        let pid = fork()
        if pid < 0 { throw .last("fork", name) }
        if pid == 0 { _exit(inChild(name: name, parent: parent, socket: theirs, body)) }
        return ForkedProcess(process: ChildProcess(pid: pid), socket: pair.first)
    }

    private static func inChild(
        name: String, parent: pid_t, socket: Int32, _ body: (consuming Descriptor) -> Int32
    ) -> Int32 {
        resetSignals()
        do throws(SystemError) {
            guard try ParentDeathSignal.request(SIGKILL, parent: parent) else { return 0 }
        } catch {
            return 70
        }
        closeAll(but: socket)
        write(name, to: "/proc/self/comm")
        // Where memory runs out the kernel takes a worker before the pool, and the pool before the daemon: the worker's
        // job is dealt again, the others would cost more. Raising it is always allowed.
        write(String(oomScore), to: "/proc/self/oom_score_adj")
        return body(Descriptor(owning: socket))
    }

    /// The parent reads its signals from a descriptor and has them blocked; the child wants the defaults.
    /// An interrupt is the parent's to act upon: a child of a program run by hand shares its terminal.
    private static func resetSignals() {
        var none = sigset_t()
        unsafe _ = sigemptyset(&none)
        unsafe _ = sigprocmask(SIG_SETMASK, &none, nil)
        _ = signal(SIGINT, SIG_IGN)
    }

    /// Sockets of sister workers, the parent's own, files under way: none of them is the child's business, and an
    /// open copy of a socket would hide a sister's end of file.
    private static func closeAll(but kept: Int32) {
        for number in Self.openDescriptors() where number > 2 && number != kept { _ = close(number) }
    }

    private static func openDescriptors() -> [Int32] {
        ProcDirectory.names("/proc/self/fd").compactMap { Int32($0) }
    }

    private static let oomScore = 500

    /// The name is as `ps` and `top` show it, at most 15 bytes.
    private static func write(_ text: String, to path: FilePath) {
        do throws(SystemError) {
            let file = try Descriptor.open(path, .writeOnly)
            try file.writeAll(Array(text.utf8))
        } catch {
            // A name is for people only, and a score may have been higher before.
        }
    }
}

/// How many threads this process has.
enum ThreadCount {
    static func current() -> Int { ProcDirectory.names("/proc/self/task").count }

    /// The thread sanitizer keeps a thread of its own, which it stops round a fork.
    static var isOne: Bool {
        let count = current()
        return count == 1 || (count == 2 && Confinement.sanitizer == "thread")
    }
}

/// Names in a directory of procfs.
enum ProcDirectory {
    static func names(_ path: String) -> [String] {
        guard let directory = unsafe opendir(path) else { return [] }
        defer { unsafe _ = closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
