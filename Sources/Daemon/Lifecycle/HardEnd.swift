// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The backstop of a stop: a thread that sits in a call to a dead disk cannot be joined, and systemd should not have
/// to wait for its own limit. SIGALRM ends the process as a kill would, which costs nothing that was committed.
enum HardEnd {
    /// The corresponding C function is `alarm`.
    static func after(seconds: UInt32) { _ = alarm(seconds) }
}
