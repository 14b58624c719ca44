// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Polls until `condition` holds: the only waiter of the tests. Throws, with `context` printed, when the time is over.
///
/// For what can be awaited (a process, a latch, a mailbox) await that instead. Blocks the calling thread, a few
/// milliseconds at a time, 50 at most.
///
/// - Parameter what: what is waited for, as a sentence: "the list is in done/".
public func eventually(
    within limit: Duration = .seconds(10), _ what: String = "the condition holds",
    context: () -> String = { "" }, _ condition: () throws -> Bool
) throws {
    let start = ContinuousClock.now
    var pause: useconds_t = 1000
    while true {
        if try condition() { return }
        guard ContinuousClock.now - start < limit * Patience.factor else { break }
        usleep(pause)
        pause = min(pause * 2, 50_000)
    }
    let details = context()
    throw KitError("not within \(limit): \(what)" + (details.isEmpty ? "" : "\n\(details)"))
}

/// As `eventually`, and returns the first value that is not nil.
public func eventuallySome<Value>(
    within limit: Duration = .seconds(10), _ what: String = "there is a value",
    context: () -> String = { "" }, _ value: () throws -> Value?
) throws -> Value {
    var found: Value?
    try eventually(within: limit, what, context: context) {
        found = try value()
        return found != nil
    }
    return found!
}

/// How much longer than written everything may take: a sanitizer build, or a machine that is known to be slow.
public enum Patience {
    /// 1, or what `DLD_TEST_PATIENCE` says.
    public static var factor: Int {
        getenv("DLD_TEST_PATIENCE").flatMap { Int(String(cString: $0)) }.map { max(1, min($0, 100)) } ?? 1
    }
}

/// What the build under test is instrumented with.
public enum Sanitizer {
    /// The address sanitizer keeps freed memory for a while, to see who touches it: bounds of memory mean nothing there.
    public static var keepsFreedMemory: Bool {
        getenv("DLD_TEST_SANITIZER").map { String(cString: $0) } == "address"
    }
}

/// For tests that need root, mounts or cgroups: prints the line that the test run counts, and returns true, where the
/// caller must leave.
public func skip(_ name: String, unless condition: Bool, _ reason: String) -> Bool {
    if !condition {
        let line = Array("SKIP \(name): \(reason)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }
    return !condition
}
