// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Finds files in the spool: told by inotify, and by scans at the start, after a queue overflow and every so often.
///
/// Bounded: names from the watch wait in a queue of limited length, beyond which a scan finds them; a scan walks the
/// directory and holds no list of it.
final class SpoolWatch {
    static let queueLimit = 4096
    /// Entries looked at in one step of a scan.
    static let entriesPerStep = 256

    private let context: SpoolContext
    private var inotify: Inotify?
    /// Names from the kernel, in its order; `isMade`: not closed by a writer yet.
    private struct Report {
        var name: [UInt8]
        var isMade: Bool
    }
    private var reported: [Report] = []
    private var scan: FolderScan?
    private var isScanDue = true
    private var nextScan: MonotonicTime
    /// Files that a scan saw and left for later because they have not stood still long enough.
    private(set) var restless = 0
    /// Of those, the ones whose clock cannot be trusted: what they looked like, and since when.
    private var observed: [String: Observation] = [:]
    /// A full scan has ended since the last start.
    private(set) var hasScanned = false

    private struct Observation {
        var size: Int64
        var modified: Int64
        var since: MonotonicTime
    }

    init(context: SpoolContext, now: MonotonicTime) {
        self.context = context
        nextScan = now
        watch()
    }

    /// For `poll`; nil where there is no inotify: then scans alone find the files.
    var descriptor: Int32? { inotify?.descriptor }
    /// Whether a step could be made now.
    var isReady: Bool { !reported.isEmpty || scan != nil || isScanDue }
    /// Nothing known is left to take.
    var isDone: Bool { hasScanned && !isReady && restless == 0 }
    func requestScan() { isScanDue = true }

    /// How long to sleep at most.
    func wait(now: MonotonicTime) -> Duration { isScanDue ? .zero : max(.zero, nextScan - now) }

    private func watch() {
        do throws(SystemError) {
            let made = try Inotify()
            _ = try made.add(
                FilePath(context.directories.path),
                [.closedAfterWrite, .movedIn, .created, .selfRemoved, .selfMoved, .onlyDirectory])
            inotify = consume made
        } catch {
            inotify = nil
            context.remark(.warning, "the spool is only scanned, not watched: \(error)", file: "")
        }
    }

    /// Takes in what the kernel has reported.
    func readEvents() {
        do throws(SystemError) {
            // Bounded, so that a storm of events does not keep the loop here: the next turn goes on.
            for _ in 0..<16 {
                guard let events = try inotify?.read(), !events.isEmpty else { return }
                for event in events {
                    if !event.mask.isDisjoint(with: [
                        .overflowed, .selfRemoved, .selfMoved, .ignored, .unmounted,
                    ]) {
                        isScanDue = true
                    } else if reported.count < Self.queueLimit {
                        let isMade = event.mask.contains(.created)
                        reported.append(Report(name: event.name, isMade: isMade))
                    } else {
                        isScanDue = true
                    }
                }
            }
        } catch {
            isScanDue = true
            context.remark(.warning, "\(error)", file: "")
        }
    }

    /// Looks at some files, as long as the desk has room.
    func step(_ desk: AdmissionDesk, now: MonotonicTime) {
        if now >= nextScan { isScanDue = true }
        var taken = 0
        while desk.hasRoom, taken < reported.count {
            let report = reported[taken]
            consider(report.name, desk, mustBeQuiet: false, isMade: report.isMade, now: now)
            taken += 1
        }
        reported.removeFirst(taken)
        guard desk.hasRoom, reported.isEmpty else { return }
        if scan == nil, isScanDue { beginScan(now) }
        guard let scan else { return }
        for _ in 0..<Self.entriesPerStep where desk.hasRoom {
            guard let entry = scan.next() else { return endScan(now) }
            consider(entry.name, desk, mustBeQuiet: true, now: now)
        }
    }

    private func beginScan(_ now: MonotonicTime) {
        isScanDue = false
        restless = 0
        nextScan = now + context.settings.rescanInterval
        do throws(SystemError) {
            if !context.directories.areCurrent() || inotify == nil {
                context.directories = try SpoolDirectories(at: context.directories.path, makesSpool: false)
                watch()
            }
            scan = try FolderScan(context.directories[.spool])
        } catch {
            context.remark(.error, "\(error)", file: "")
        }
    }

    private func endScan(_ now: MonotonicTime) {
        scan = nil
        hasScanned = true
        if restless == 0 { observed = [:] }
    }

    private func consider(
        _ bytes: [UInt8], _ desk: AdmissionDesk, mustBeQuiet: Bool, isMade: Bool = false, now: MonotonicTime
    ) {
        let file = FilePath(component: bytes)
        let name = String(decoding: bytes, as: UTF8.self)
        guard !bytes.isEmpty, ListName(name).verdict != .ignored else { return }
        do throws(SystemError) {
            guard let status = try FileStatus.of(file, in: context.directories[.spool].descriptor.rawValue)
            else { return }
            if status.kind == .directory, SpoolPlace.folders.contains(where: { $0.rawValue == name }) {
                return
            }
            // A file that was only made is still being written; a link or a FIFO is all it will ever be.
            if isMade, status.kind == .regular { return }
            guard !desk.holds(status), !desk.isStuck(file.string, status) else { return }
            if mustBeQuiet, !isQuiet(status, name, now) { return }
            guard Array(name.utf8) == bytes else {
                return desk.reject(file, name: name, "its name is not UTF-8; rename it")
            }
            desk.take(file, name: name)
        } catch {
            context.remark(.error, "\(error)", file: name)
        }
    }

    /// Whether size and time stood still for long enough. By the file's own time where that can be believed; a time
    /// that lies ahead (the clock was set back, or somebody played with it) is watched from scan to scan instead.
    private func isQuiet(_ status: FileStatus, _ name: String, _ now: MonotonicTime) -> Bool {
        let quiet = context.settings.quiet
        let age = WallClock.milliseconds().subtractingReportingOverflow(status.modifiedMilliseconds)
        let remaining: Duration
        if !age.overflow, age.partialValue >= 0 {
            remaining = quiet - .milliseconds(age.partialValue)
        } else if let seen = observed[name], seen.size == status.size,
            seen.modified == status.modifiedMilliseconds
        {
            remaining = quiet - (now - seen.since)
        } else {
            if observed.count < Self.queueLimit {
                observed[name] = Observation(
                    size: status.size, modified: status.modifiedMilliseconds, since: now)
            }
            remaining = quiet
        }
        guard remaining > .zero else { return true }
        restless += 1
        // A little later than the moment itself, so that one more scan is enough.
        nextScan = min(nextScan, now + remaining + .milliseconds(2))
        return false
    }
}
