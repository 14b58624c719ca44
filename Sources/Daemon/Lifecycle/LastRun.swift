// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// How the run before this one ended. Main thread, at a start.
struct LastRun {
    /// It died by itself: jobs that were under way are under suspicion.
    let isCrash: Bool

    /// - Parameter counts: false for `dld get`, whose user is there to see what happens.
    init(_ store: LedgerStore, state: String, counts: Bool) throws(LedgerError) {
        let note = try store.runNote()
        let byWatchdog = WatchdogNote.take(in: state)
        isCrash =
            counts
            && QuarantinePolicy.isCrash(note: note, boot: ProcessFacts.bootID, byWatchdog: byWatchdog)
    }
}

/// `STATE/watchdog`: the watchdog is about to kill this run, because a thread hangs.
enum WatchdogNote {
    private static func path(_ state: String) -> FilePath { FilePath(state + "/watchdog") }

    /// Best effort: the disk may be what hangs.
    static func leave(in state: String) {
        let file = try? Descriptor.open(  // best effort, see above
            path(state), .writeOnly, options: [.create, .noFollow], permissions: [.ownerReadWrite])
        _ = consume file
    }

    /// Removes it. - Returns: whether it was there.
    @discardableResult
    static func take(in state: String) -> Bool {
        (try? unlink(path(state))) ?? false  // not to be removed: counted for none
    }
}
