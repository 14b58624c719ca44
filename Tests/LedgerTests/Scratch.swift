// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import JobModel
import Ledger
import Testing

/// A directory of its own for one test, with a ledger in it.
final class Scratch {
    let directory: String
    var ledger: String { directory + "/ledger.db" }

    init() throws {
        directory =
            FileManager.default.temporaryDirectory.path + "/dld-ledger-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: directory) }  // best effort

    func open() throws -> LedgerStore {
        try LedgerStore.open(path: ledger, durability: .none, programVersion: "test")
    }

    /// What the sqlite3 program prints, one line a row.
    func shell(_ sql: String) throws -> [String] {
        try shell(sql, file: ledger)
    }
    func shell(_ sql: String, file: String) throws -> [String] {
        let output = directory + "/shell.out"
        let status = system("sqlite3 -batch '\(file)' \"\(sql)\" > '\(output)' 2>&1")
        let text = try String(contentsOf: URL(filePath: output), encoding: .utf8)
        #expect(status == 0, "\(text)")
        return text.split(separator: "\n").map { String($0) }
    }
}

let t0 = WallTime(milliseconds: 1_800_000_000_000)
func at(_ milliseconds: Int64) -> WallTime { WallTime(milliseconds: t0.rawValue + milliseconds) }

func url(_ text: String, host: String = "example.org") -> DownloadURL {
    DownloadURL(text: text, scheme: "https", host: HostKey(host))
}

func download(
    _ seq: Int64, _ name: String, host: String = "example.org", priority: Int = 0, paused: Bool = false,
    gid: JobID? = nil, path: String? = nil
) -> AdmittedEntry {
    AdmittedEntry(
        seq: JobSeq(seq), line: Int(seq),
        kind: .download(
            urls: [url("https://\(host)/\(name)", host: host)], path: OutputPath(trusted: path ?? name)),
        options: .none, gid: gid, priority: priority, startsPaused: paused)
}

extension LedgerStore {
    /// A list in `admitting`.
    func list(named name: String = "a.txt") throws -> ListRow {
        try group { () throws(LedgerError) in
            try begin(
                ListFile(
                    name: name, acceptedName: name, format: .text, isGzip: false, device: 1, inode: 2,
                    size: 3,
                    modified: t0), now: t0)
        }
    }

    /// One batch that goes on where the list stands.
    @discardableResult
    func admit(_ list: ListID, _ entries: [AdmittedEntry], defaults: JobOptions? = nil) throws -> AdmitResult
    {
        let from = try self.list(list)?.position ?? ListPosition()
        let to = ListPosition(
            offset: from.offset + Int64(entries.count) * 10, line: from.line + entries.count,
            entries: from.entries + entries.count)
        let batch = AdmissionBatch(list: list, from: from, to: to, defaults: defaults, entries: entries)
        return try group { () throws(LedgerError) in try admit(batch, now: t0) }
    }

    /// A running list with these entries.
    func running(_ entries: [AdmittedEntry], named name: String = "a.txt") throws -> ListID {
        let id = try list(named: name).id
        try admit(id, entries)
        _ = try group { () throws(LedgerError) in
            try finishAdmission(id, position: ListPosition(entries: entries.count))
        }
        return id
    }

    @discardableResult
    func apply(_ changes: JobChange..., now: WallTime = t0) throws -> [JobSeq] {
        try group { () throws(LedgerError) in try apply(changes, now: now) }
    }

    func claim(_ seq: Int64, _ path: String, _ url: String) throws -> PathClaim {
        try group { () throws(LedgerError) in
            try claim(JobSeq(seq), path: OutputPath(trusted: path), url: url)
        }
    }

    func queuedJobs(_ list: ListID) throws -> [QueuedJob] {
        try lanes(of: list, after: nil, limit: 100, now: t0).flatMap {
            try queued(in: $0.key, after: .start, limit: 1000)
        }
    }
}

func done(_ path: String = "a", bytes: Int64 = 100, at time: WallTime = t0) -> Outcome {
    var outcome = Outcome(state: .done, endedAt: time)
    outcome.path = OutputPath(trusted: path)
    outcome.bytes = bytes
    outcome.fetchedBytes = bytes
    outcome.attempts = 1
    return outcome
}

func failed(_ code: ErrorCode = .http(404), at time: WallTime = t0) -> Outcome {
    var outcome = Outcome(state: .failed, endedAt: time)
    outcome.error = JobError(code, "it did not work")
    outcome.attempts = 1
    return outcome
}

extension PathClaim {
    var isGranted: Bool { if case .granted = self { true } else { false } }
}
