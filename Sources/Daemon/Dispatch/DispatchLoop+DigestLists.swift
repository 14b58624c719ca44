// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit

// Jobs of dld's own that bring a list of digests into the ledger: fetched like any file, or read where it lies.
extension DispatchLoop {
    static var maxReadings: Int { 32 }

    /// A local list: nothing is transferred.
    mutating func startLocalReading(_ task: JobTask) {
        task.attempts += 1
        let wall = WallTime(milliseconds: WallClock.milliseconds())
        task.startedAt = task.startedAt ?? wall
        outbox.changes.append(.active(task.seq, attempts: task.attempts, startedAt: task.startedAt ?? wall))
        activeReadings += 1
        let needsDigest = task.job.options.checksum != nil
        act(task.machine.handle(.received(needsDigest: needsDigest)), on: task)
    }

    mutating func endLocalReading() {
        activeReadings -= 1
        freed(.files)
    }

    /// The file whose bytes are all there: a part, or a local list of digests.
    func wholeFile(of task: JobTask) -> (directory: String, name: String) {
        guard let file = task.job.errand?.file else {
            return (task.home.parts(output: plan.outputRoot, main: plan.partsDirectory), task.partName)
        }
        // Admission let it be below one of the two.
        for root in [plan.outputRoot, plan.configuration.spoolDir]
        where file.utf8.starts(with: (root + "/").utf8) {
            return (root, String(Substring(file.utf8.dropFirst(root.utf8.count + 1))))
        }
        return (plan.outputRoot, "")
    }

    mutating func readDigests(_ task: JobTask) {
        guard let errand = task.job.errand else { return }
        let place = wholeFile(of: task)
        var source = errand.file ?? ""
        if errand.file == nil, case .download(let urls, _) = task.job.work { source = urls.first?.text ?? "" }
        ports.readDigests(
            DigestReading(
                id: errand.id, directory: place.directory, name: place.name, source: source,
                limit: plan.configuration.limits.maxChecksumsSize))
    }

    mutating func digestsRead(_ id: DigestListID, _ result: Result<Int, JobError>) {
        let errand = DigestErrand(id: id, file: nil)
        guard let task = tasks[errand.seq], case .reading = task.machine.state else { return }
        switch result {
        case .success:
            let outcome = outcome(.done, for: task)
            discardPart(task)
            conclude(task, outcome)
        case .failure(let error):
            discardPart(task)
            fail(task, error)
        }
    }
}
