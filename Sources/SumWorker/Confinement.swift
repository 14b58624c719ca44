// SPDX-License-Identifier: Apache-2.0

import CSeccomp
import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// What a worker process may ask of the kernel from now on: to compute, to read files it is handed, to talk over its
/// one socket. Everything else answers EPERM: nothing opens by path, no socket, no program, no process, no tracing.
///
/// A list of what is allowed, not of what is not: a system call that a later kernel invents is refused unseen. Refused
/// and not killed for: a C library that asks for something harmless and new must not cost the user his digests.
enum Confinement {
    /// A call that is allowed, and what its arguments must be for it.
    private struct Allowed {
        var name: String
        var conditions: [scmp_arg_cmp] = []
        init(_ name: String, _ conditions: [scmp_arg_cmp] = []) {
            self.name = name
            self.conditions = conditions
        }
    }

    /// Confines the calling process, for good.
    /// - Parameter socket: the only descriptor it may send to and receive from.
    static func enter(socket: Int32) -> SumConfinement {
        if let sanitizer { return .open("built with the \(sanitizer) sanitizer, which needs more") }
        guard let filter = unsafe seccomp_init(dld_seccomp_refuse()) else {
            return .open("libseccomp: no filter")
        }
        defer { unsafe seccomp_release(filter) }
        for allowed in list(socket: socket) {
            let number = unsafe seccomp_syscall_resolve_name(allowed.name)
            // A call that this machine's architecture does not have.
            if number < 0 { continue }
            let count = UInt32(allowed.conditions.count)
            let status = unsafe allowed.conditions.withUnsafeBufferPointer { conditions in
                unsafe seccomp_rule_add_array(
                    filter, SCMP_ACT_ALLOW, number, count, count == 0 ? nil : conditions.baseAddress)
            }
            if status < 0 { return .open("seccomp rule for \(allowed.name): \(reason(status))") }
        }
        // The kernel's own errno instead of one that says no more than "cancelled".
        unsafe _ = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1)
        // A binary tree instead of a chain.
        unsafe _ = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2)
        // Sets PR_SET_NO_NEW_PRIVS first, which the kernel asks for.
        let status = unsafe seccomp_load(filter)
        return status < 0 ? .open("load the seccomp filter: \(reason(status))") : .confined
    }

    private static func list(socket: Int32) -> [Allowed] {
        let own = condition(0, SCMP_CMP_EQ, UInt64(UInt32(bitPattern: socket)))
        let notExecutable = condition(2, SCMP_CMP_MASKED_EQ, UInt64(UInt32(bitPattern: PROT_EXEC)), 0)
        let itself = condition(0, SCMP_CMP_EQ, UInt64(getpid()))
        // The last words of a process that traps.
        let standardError = condition(0, SCMP_CMP_EQ, 2)
        let anywhere = [
            "pread64", "lseek", "_llseek", "close", "fadvise64", "fadvise64_64", "arm_fadvise64_64", "poll",
            "ppoll",
            "restart_syscall",
            "munmap", "mremap", "madvise", "brk", "futex", "membarrier", "sched_yield", "getrandom",
            "clock_gettime", "clock_getres", "clock_nanosleep", "gettimeofday", "getpid", "gettid",
            "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "exit", "exit_group",
        ]
        return anywhere.map { Allowed($0) } + [
            Allowed("recvmsg", [own]), Allowed("sendmsg", [own]),
            Allowed("mmap", [notExecutable]), Allowed("mmap2", [notExecutable]),
            Allowed("mprotect", [notExecutable]),
            Allowed("tgkill", [itself]), Allowed("write", [standardError]),
            Allowed("writev", [standardError]),
        ]
    }

    private static func condition(
        _ argument: UInt32, _ comparison: scmp_compare, _ first: UInt64, _ second: UInt64 = 0
    ) -> scmp_arg_cmp {
        scmp_arg_cmp(arg: argument, op: comparison, datum_a: first, datum_b: second)
    }

    private static func reason(_ status: Int32) -> String { "\(Errno(rawValue: -status))" }

    /// The sanitizer this program was built with: they map, spawn and read on their own account.
    static var sanitizer: String? {
        if unsafe dlsym(nil, "__tsan_init") != nil { return "thread" }
        return unsafe dlsym(nil, "__asan_init") != nil ? "address" : nil
    }
}

extension Confinement {
    /// What is attempted, and the errno that answered; 0 where it was let through.
    struct Attempt {
        var call: String
        var answer: Int32
        var isRefused: Bool { answer == EPERM }
    }

    /// Attempts what no worker may do, in ways that harm nothing where they are let through. Call it in a process of
    /// its own, after `enter`.
    static func attemptAll() -> [Attempt] {
        let nowhere = "/nonexistent/dld"
        let here = "/proc/self/exe"
        return unsafe nowhere.withCString { nowhere in
            unsafe here.withCString { here in
                attempts(nowhere: Int(bitPattern: nowhere), here: Int(bitPattern: here))
            }
        }
    }

    private static func attempts(nowhere: Int, here: Int) -> [Attempt] {
        let directory = Int(AT_FDCWD)
        let calls: [(String, [Int])] = [
            ("open", [here, Int(O_RDONLY)]), ("openat", [directory, here, Int(O_RDONLY)]),
            ("openat2", [directory, here]), ("creat", [nowhere]), ("open_by_handle_at", [directory]),
            ("memfd_create", [here]), ("mkdir", [nowhere]), ("unlink", [nowhere]),
            ("rename", [nowhere, nowhere]),
            ("stat", [here]), ("readlink", [here]), ("chdir", [nowhere]), ("mount", [nowhere, nowhere]),
            ("socket", [Int(AF_INET), 1]), ("socket", [Int(AF_UNIX), 1]), ("socketpair", [Int(AF_UNIX), 1]),
            ("connect", [2]), ("bind", [2]), ("listen", [2]), ("sendto", [2]), ("sendmsg", [2]),
            ("recvmsg", [2]),
            ("dup", [2]), ("pipe2", []), ("eventfd2", []), ("read", [0]), ("pwrite64", [2]), ("write", [1]),
            ("ioctl", [2]), ("fcntl", [2]), ("execve", [nowhere]), ("execveat", [directory, nowhere]),
            ("fork", []), ("clone", [Int(SIGCHLD)]), ("clone3", []), ("unshare", [0]),
            ("setns", [-1]),
            ("ptrace", [16, Int(getppid())]), ("process_vm_readv", [Int(getppid())]),
            ("kill", [Int(getppid()), 0]),
            ("tgkill", [Int(getppid()), Int(getppid()), 0]), ("pidfd_open", [Int(getppid())]),
            ("pidfd_getfd", [-1]),
            ("prctl", [4, 1]), ("seccomp", [0, 1]), ("bpf", [-1]), ("userfaultfd", [-1]),
            ("io_uring_setup", []),
            ("perf_event_open", []), ("keyctl", [-1]), ("setuid", [Int(getuid())]), ("chroot", [nowhere]),
            ("mmap", [0, 4096, Int(PROT_READ | PROT_EXEC), Int(MAP_PRIVATE | MAP_ANONYMOUS)]),
            ("mprotect", [0, 0, Int(PROT_EXEC)]),
        ]
        return calls.compactMap { call, arguments in
            let number = unsafe seccomp_syscall_resolve_name(call)
            guard number >= 0 else { return nil }
            let words = arguments + [0, 0, 0, 0]
            let parent = getpid()
            let answer = dld_system_call(number, words[0], words[1], words[2], words[3])
            // A fork that was let through: the copy has no business here.
            if getpid() != parent { _exit(0) }
            return Attempt(call: call, answer: answer)
        }
    }
}
