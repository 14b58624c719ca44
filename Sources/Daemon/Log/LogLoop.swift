// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import Locking
import Logging
import SystemPackage

/// Runs on: `dld-log`.
/// Owns: standard error and jobs.log.
/// Receives: finished lines from any thread, records of jobs to make lines of.
/// Sends: nothing.
///
/// A log that blocks (a full pipe, a slow journal, a full disk) must not hold up anybody's work, so nobody but this
/// thread writes one. Bounded: beyond `LogPort.maxQueued` lines new ones are dropped and counted; results files are
/// the truth, jobs.log is best effort.
struct LogLoop: ~Copyable {
    private let port: LogPort
    private let bell: Doorbell
    private let jobsPath: String?
    private var jobsFile: Descriptor?

    init(port: LogPort, bell: Doorbell, jobsPath: String?) {
        self.port = port
        self.bell = bell
        self.jobsPath = jobsPath
        jobsFile = nil
    }

    mutating func run() {
        openJobs()
        while true {
            let taken = port.take()
            if !taken.lines.isEmpty { write(taken.lines, to: 2) }
            if !taken.jobs.isEmpty { writeJobs(taken.jobs.flatMap { $0.logLine() }) }
            if taken.reopens { openJobs() }
            if taken.stops { return }
            if port.isEmpty { _ = bell.wait(atMost: nil) }
        }
    }

    private mutating func openJobs() {
        jobsFile = nil
        guard let jobsPath else { return }
        do {
            jobsFile = try Descriptor.open(
                FilePath(jobsPath), .writeOnly, options: [.create, .append, .noFollow],
                permissions: [.ownerReadWrite, .groupRead])
        } catch {
            write(Array("jobs.log: \(error)\n".utf8), to: 2)
        }
    }

    private mutating func writeJobs(_ bytes: [UInt8]) {
        guard jobsFile != nil else { return }
        // A jobs.log that cannot be written is no reason to stop: the results files hold the same lines.
        do { try jobsFile?.writeAll(bytes, jobsPath ?? "") } catch {
            jobsFile = nil
            write(Array("jobs.log: \(error); not written until it is reopened\n".utf8), to: 2)
        }
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) {
        var start = 0
        while start < bytes.count {
            let written = unsafe bytes.span.bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress! + start, buffer.count - start)
            }
            if written < 0, errno == EINTR { continue }
            // Nobody reads standard error any more: there is nowhere left to say so.
            guard written > 0 else { return }
            start += written
        }
    }
}

/// The way to the log thread; any thread, never blocks.
final class LogPort: Sendable {
    struct Taken {
        var lines: [UInt8] = []
        var jobs: [ResultRecord] = []
        var reopens = false
        var stops = false
        var isEmpty: Bool { lines.isEmpty && jobs.isEmpty && !reopens && !stops }
    }
    private struct Box {
        var taken = Taken()
        var dropped = 0
    }
    /// Bytes of lines that may wait.
    static let maxQueued = 8 << 20
    /// Jobs that may wait to be written, some 8 MiB of them.
    static let maxJobs = 8 << 10
    private let box = Guarded(Box())
    private let level = Guarded(Logger.Level.info)
    private let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    /// What is logged at all; a reload changes it for every logger at once.
    var currentLevel: Logger.Level { level.withLock { $0 } }
    func setLevel(_ fresh: Logger.Level) { level.withLock { $0 = fresh } }

    func line(_ text: String) {
        add { Self.append(Array(text.utf8), to: &$0.taken.lines, dropped: &$0.dropped) }
    }
    func job(_ record: ResultRecord) {
        add { box in
            if box.taken.jobs.count < Self.maxJobs { box.taken.jobs.append(record) } else { box.dropped += 1 }
        }
    }
    func reopen() { add { $0.taken.reopens = true } }
    func stop() { add { $0.taken.stops = true } }
    var isEmpty: Bool {
        box.withLock { $0.taken.isEmpty }
    }

    func take() -> Taken {
        box.withLock { box in
            var taken = Taken()
            swap(&taken, &box.taken)
            if box.dropped > 0 {
                taken.lines += Array(
                    "log: \(box.dropped) lines dropped, the log is not read fast enough\n".utf8)
                box.dropped = 0
            }
            return taken
        }
    }

    /// Rings only for the first of what is taken together.
    private func add(_ body: (inout Box) -> Void) {
        let wasEmpty = box.withLock { box in
            let wasEmpty = box.taken.isEmpty
            body(&box)
            return wasEmpty
        }
        if wasEmpty { wake() }
    }

    private static func append(_ bytes: [UInt8], to queue: inout [UInt8], dropped: inout Int) {
        guard queue.count + bytes.count <= maxQueued else {
            dropped += 1
            return
        }
        queue += bytes
        if bytes.last != UInt8(ascii: "\n") { queue.append(UInt8(ascii: "\n")) }
    }
}
