// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// Parts that nobody goes on with: of jobs that have ended, or that the ledger never knew. A crash between a job's end
/// and the removal of its part leaves them. Main thread, at a start, before anything is fetched.
enum PartSweep {
    /// Looks at each name in the parts directory, of which there are no more than unfinished jobs.
    static func run(in directory: String, ledger path: String, cipher: JobIDCipher) throws {
        guard let folder = unsafe opendir(directory) else { return }
        defer { unsafe _ = closedir(folder) }
        var reader: LedgerReader?
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            guard name.hasSuffix(".part"), let id = JobID(name.dropLast(5)) else { continue }
            let open = try reader ?? LedgerReader.open(path: path, cipher: cipher)
            reader = open
            if let row = try open.job(id), !row.record.state.isTerminal { continue }
            _ = try unlink(FilePath("\(directory)/\(name)"))
        }
        try reader?.close()
    }
}
