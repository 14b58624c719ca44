// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// Parts that nobody goes on with: begun and never checkpointed, begun anew since, of jobs that have ended or that
/// the ledger never knew. Main thread, at a start, before anything is fetched.
enum PartSweep {
    /// Asks the ledger about each name in the parts directory: three look-ups by index.
    ///
    /// While the names are read nothing is removed: a directory that changes under `readdir` may repeat or skip.
    static func run(in directory: String, _ store: LedgerStore) throws {
        guard let folder = unsafe opendir(directory) else { return }
        var orphans: [String] = []
        do {
            defer { unsafe _ = closedir(folder) }
            while let entry = unsafe readdir(folder) {
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                    unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                        unsafe String(cString: $0)
                    }
                }
                guard PartName(name) != nil else { continue }
                if try !store.knows(part: name) { orphans.append(name) }
            }
        }
        for name in orphans { _ = try unlink(FilePath("\(directory)/\(name)")) }
    }
}
