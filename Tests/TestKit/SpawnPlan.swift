// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One `posix_spawn`, as data; run by the thread that stays with the child.
struct SpawnPlan: Sendable {
    let executable: String
    let arguments: [String]
    let environment: [String: String?]
    let directory: String?
    let input: String
    let output: String
    let errors: String
    let deathSignal: Int32

    /// Returns an errno value and the pid.
    func run() -> (status: Int32, pid: pid_t) {
        // setpriv (util-linux) sets the parent-death signal and becomes the program: posix_spawn itself cannot.
        let death = deathSignal == SIGTERM ? "TERM" : "KILL"
        let setpriv = ["/usr/bin/setpriv", "--pdeathsig", death, "--"]
        let enter = directory.map { ["/usr/bin/env", "--chdir=\($0)"] } ?? []
        let command = setpriv + enter + [executable] + arguments
        guard access(executable, X_OK) == 0 else { return (errno, 0) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        // Whatever the test process has open without O_CLOEXEC; closing one that is gone meanwhile is no error.
        for name in FileTree.names("/proc/self/fd") {
            if let number = Int32(name), number > 2 { posix_spawn_file_actions_addclose(&actions, number) }
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // A group of its own: a ^C at the terminal reaches the test run alone, which then takes its children with it.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        return withCStrings(command) { argv in
            withCStrings(variables()) { envp in
                var pid: pid_t = 0
                let status = posix_spawn(&pid, command[0], &actions, &attributes, argv, envp)
                return (status, pid)
            }
        }
    }

    private func variables() -> [String] {
        var merged: [String: String] = [:]
        var at = environ
        while let entry = at.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                merged[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            at += 1
        }
        for (name, value) in environment { merged[name] = value }
        return merged.map { "\($0.key)=\($0.value)" }
    }

    private func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { copies.forEach { free($0) } }
        return body(copies + [nil])
    }
}
