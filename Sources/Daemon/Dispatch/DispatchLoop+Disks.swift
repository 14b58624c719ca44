// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import LinuxKit
import Publish
import SystemPackage
import Transfer

/// Room on the disks: the governor's wires. A job whose disk has no room for it is passed over: it stays `queued`, no
/// row is touched, nothing of it is kept in memory but that its list has such jobs; when there is room that list is
/// read again from its start.
extension DispatchLoop {
    /// Sizes that servers told of files that did not fit, so that they are not asked again each time.
    static var maxSizes: Int { 4096 }
    /// Steps of a publish that could not be tried are tried again after this, and as soon as a disk is well again.
    static var stallDelay: Duration { .seconds(5) }
    /// While jobs wait for room it is looked for this often, should no reading bring it.
    static var roomDelay: Duration { .seconds(2) }

    /// Whether the job may start, as far as its disk is concerned.
    mutating func hasRoom(for job: QueuedJob) -> Bool {
        guard case .download(_, let path) = job.work else { return true }
        let home = mounts.home(of: path)
        let needs = missingBytes(of: job)
        switch disks.verdict(home, needs: needs) {
        case .start: return true
        case .unknown:
            let root = home.root(output: plan.outputRoot)
            disks.missing(home, path: root, why: "\(root) is being looked at")
            ports.prepareHome(home)
            passOver(job, home, needs: nil, why: "\(root) is being looked at")
        case .paused(let why): passOver(job, home, needs: nil, why: why)
        case .tooLarge(let why): passOver(job, home, needs: needs, why: why)
        }
        return false
    }

    private mutating func passOver(_ job: QueuedJob, _ home: PartHome, needs: Int64?, why: String) {
        disks.deny(home, needs: needs, why: why)
        passedOver[home, default: []].insert(job.lane.list)
        if roomLook == nil { roomLook = now + Self.roomDelay }
        view.isDirty = true
    }

    private func missingBytes(of job: QueuedJob) -> Int64? {
        guard let total = job.options.size ?? job.resume?.total ?? sizes[job.seq] else { return nil }
        return max(0, total - (job.resume?.known ?? 0))
    }

    /// A transfer goes out: what is known of its size is promised.
    mutating func promiseRoom(_ task: JobTask) {
        guard let total = task.job.options.size ?? task.resume?.total ?? sizes[task.seq] else { return }
        disks.promise(task.token, task.home, bytes: total - (task.resume?.known ?? 0))
    }

    /// The answer has told its length: promised, or the job is put back before it fills the disk.
    mutating func sized(_ token: UInt64, total: Int64) {
        guard let seq = tokens[token], let task = tasks[seq] else { return }
        let needs = max(0, total - (task.resume?.known ?? 0))
        disks.release(token)
        switch disks.verdict(task.home, needs: needs) {
        case .start, .unknown:
            disks.promise(token, task.home, bytes: needs)
            if let worker = task.worker { outbox.workers[worker, default: []].append(.granted(token: token)) }
        case .paused: act(task.machine.handle(.requested(.requeue)), on: task)
        case .tooLarge(let why):
            if sizes.count >= Self.maxSizes, let other = sizes.keys.first { sizes[other] = nil }
            sizes[seq] = total
            passOver(task.job, task.home, needs: needs, why: why)
            remark(.notice, "put back: \(why)", [("job", task.job.id.description)])
            act(task.machine.handle(.requested(.requeue)), on: task)
        }
    }

    mutating func disksReported(_ report: DiskReport) {
        mounts = report.mounts
        // Before the reading that counts them: what has been written is no longer promised.
        for task in tasks.values where task.slot != nil {
            if let total = task.total { disks.left(task.token, bytes: total - task.bytes) }
        }
        for place in report.places where place.role == .output {
            if let why = place.missing {
                disks.missing(place.home, path: place.path, why: why)
            } else if let device = place.device, let reading = place.reading {
                disks.read(place.home, path: place.path, device: device, reading, now: now)
            }
        }
        otherDisks = report.places.filter { $0.role != .output }
        disksMoved()
    }

    /// Trouble told by a call, not by a reading. Descriptors are no disk's.
    mutating func diskBroke(_ home: PartHome, _ systemCode: Int32, _ message: String) {
        switch Errno(rawValue: systemCode) {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem:
            let active = workerLoads.reduce(0) { $0 + $1.active }
            budget.ranOut(active: active, now: now)
            remark(
                .warning, "no descriptors are left: fewer transfers at once", [("most", "\(budget.limit)")])
            return
        case .noSpace: disks.broke(home, .noSpace, message, now: now)
        case .diskQuotaExceeded: disks.broke(home, .quota, message, now: now)
        case .readOnlyFileSystem: disks.broke(home, .readOnly, message, now: now)
        case .ioError:
            remark(.error, "the disk failed: fetched again from zero", [("why", message)])
            disks.broke(home, .io, message, now: now)
        default: disks.broke(home, .other, message, now: now)
        }
        disksMoved()
    }

    /// Timers of the governor and the budget.
    mutating func lookAtDisks() {
        budget.look(now: now)
        let isDue = [disks.nextLook, roomLook].contains { $0.map { $0 <= now } ?? false }
        if isDue {
            disks.look(now: now)
            disksMoved()
            roomLook = disks.views.contains { $0.waiting > 0 } ? now + Self.roomDelay : nil
        }
        if let due = stalledLook, due <= now { retryStalled() }
    }

    func nextDiskLook() -> MonotonicTime? {
        [disks.nextLook, roomLook, budget.nextLook, stalledLook].compactMap { $0 }.min()
    }

    /// What follows from a change: loud words, running transfers stopped, those that waited let go.
    private mutating func disksMoved() {
        view.isDirty = true
        var isBetter = false
        for seen in disks.views {
            let before = shownPauses[seen.home]
            shownPauses[seen.home] = seen.pause
            if let why = seen.pause {
                if before == nil {
                    remark(.error, "paused: \(why)")
                    withdrawStaged()
                }
                if disks.stopsTransfers(seen.home) { stopTransfers(in: seen.home) }
            } else if before != nil {
                isBetter = true
                remark(.notice, "\(seen.path) can be written to again")
                for index in ports.publishers.indices {
                    outbox.publish[index, default: []].append(.watch(seen.home))
                }
            }
            if (before == nil) != (seen.pause == nil) { forgetFolders() }
        }
        guard isBetter || disks.views.contains(where: { $0.waiting > 0 }) || !cutOff.isEmpty else { return }
        let waiting = cutOff
        cutOff = []
        for publish in waiting {
            if disks.isMissing(mounts.home(of: publish.path)) {
                cutOff.append(publish)
            } else {
                goOn(with: publish)
            }
        }
        if isBetter { retryStalled() }
        for home in disks.takeFitting() {
            for list in passedOver.removeValue(forKey: home) ?? [] where !haltedLists.contains(list) {
                board.wake(list)
            }
        }
    }

    private mutating func forgetFolders() {
        for index in workerLoads.indices { outbox.workers[index, default: []].append(.forgetFolders) }
    }

    /// Parts are kept; no attempt is charged.
    private mutating func stopTransfers(in home: PartHome) {
        for task in tasks.values where task.home == home {
            switch task.machine.state {
            case .staged, .transferring, .hopping: act(task.machine.handle(.requested(.requeue)), on: task)
            default: break
            }
        }
    }

    /// A step of a publish is to be asked for once more.
    mutating func stall(_ task: JobTask, _ trouble: PublishTrouble) {
        diskBroke(task.home, trouble.systemCode, trouble.error.message)
        stalled.append(task.seq)
        if stalledLook == nil { stalledLook = now + Self.stallDelay }
        // The watch may know more by now than it did two seconds ago.
        ports.prepareHome(.output)
    }

    private mutating func retryStalled() {
        stalledLook = nil
        let seqs = stalled
        stalled = []
        for seq in seqs {
            guard let task = tasks[seq] else { continue }
            guard disks.pauseReason(task.home) == nil else {
                stalled.append(seq)
                continue
            }
            switch task.machine.state {
            case .renaming: act(.rename, on: task)
            case .syncing: act(.syncPart, on: task)
            default: break
            }
        }
        if !stalled.isEmpty { stalledLook = now + Self.stallDelay }
    }

    func diskStatuses() -> [DiskStatus] {
        let outputs = disks.views.map { seen in
            var disk = DiskStatus()
            disk.role = "output"
            disk.path = seen.path
            fill(&disk, seen.reading)
            disk.reserve = disks.reserve
            disk.promised = seen.promised
            disk.paused = seen.pause
            return disk
        }
        return outputs
            + otherDisks.map { place in
                var disk = DiskStatus()
                disk.role = place.role.rawValue
                disk.path = place.path
                fill(&disk, place.reading)
                disk.paused = place.missing ?? (place.role == .state ? ledgerTrouble : nil)
                return disk
            }
    }

    private func fill(_ disk: inout DiskStatus, _ reading: DiskReading?) {
        disk.free = reading?.freeBytes ?? 0
        disk.total = reading?.totalBytes ?? 0
        disk.freeFiles = reading?.freeFiles
    }

    /// Jobs that wait for room while others go on.
    func diskWaits() -> [WaitingStatus] {
        disks.views.filter { $0.waiting > 0 }.map { seen in
            var waiting = WaitingStatus()
            waiting.reason = disks.isMissing(seen.home) ? .outputMissing : .disk
            waiting.count = seen.waiting
            waiting.detail = seen.waitsFor
            return waiting
        }
    }
}
