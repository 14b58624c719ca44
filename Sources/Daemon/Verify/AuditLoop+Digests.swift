// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SumPool
import SystemPackage

/// Files on their way to the sum pool and back: small ones in bundles, others one by one.
extension AuditLoop {
    func mayBundle(_ index: Int, _ size: Int64) -> Bool {
        BundleLimit.suits(size, rate: pace.rate) && !page.goesAlone(index)
    }

    mutating func handOut(_ file: FileInHand, _ path: String, _ algorithm: DigestAlgorithm) {
        pace.began(file.size, bundled: file.isBundled)
        guard file.isBundled else {
            let seq = take(in: [file])
            return ports.sums.send(
                .digest(seq, directory: setup.place.root, name: path, algorithm, rate: pace.rate))
        }
        if !bundle.hasRoom(for: file.size, algorithm) { sendBundle() }
        if bundle.files.isEmpty { bundle = DigestBundle(algorithm) }
        bundle.add(file, size: file.size)
    }

    mutating func sendBundle() {
        guard !bundle.files.isEmpty else { return }
        let seq = take(in: bundle.files)
        ports.sums.send(
            .bundle(seq, bundle.files.map(\.file), bundle.algorithm, bytes: bundle.bytes))
        bundle = DigestBundle(bundle.algorithm)
    }

    private mutating func take(in files: [FileInHand]) -> JobSeq {
        lastTicket += 1
        inHand[lastTicket] = files
        return AuditTicket.seq(lastTicket)
    }

    /// Forgets what is in hand.
    mutating func dropHand() {
        for ticket in inHand.keys { ports.sums.send(.cancel(AuditTicket.seq(ticket))) }
        for file in inHand.values.joined() { pace.ended(file.size, bundled: file.isBundled) }
        for file in bundle.files { pace.ended(file.size, bundled: true) }
        inHand = [:]
        bundle = DigestBundle(bundle.algorithm)
    }

    mutating func sumReported(_ event: SumEvent) {
        switch event {
        case .digested(let seq, let found, _):
            for file in giveBack(seq) { digested(file, .digest(found)) }
        case .bundled(let seq, let digests):
            for (file, digest) in zip(giveBack(seq), digests) { digested(file, digest) }
        case .failed(let seq, let error): undigested(giveBack(seq), error)
        case .found, .summed, .pieced, .state: break
        }
    }

    private mutating func digested(_ file: FileInHand, _ digest: BundledDigest) {
        switch digest {
        case .digest(let found): page.digested(file.index, found, after: file.look())
        case .unreadable(let code):
            page.undigested(file.index, "read: \(Errno(rawValue: code))", isUnreadable: true)
        }
        file.done()
    }

    private mutating func undigested(_ files: [FileInHand], _ error: JobError) {
        if error.code == .workerDied, !pool.isUp, !files.isEmpty {
            for file in files { page.putBack(file.index) }
            return hold(error.message)
        }
        for file in files {
            // One of them is what processes die over, or none: each is tried by itself.
            if files.count > 1, error.code != .badOption {
                page.putBack(file.index, alone: true)
            } else {
                page.undigested(file.index, error.message, isUnreadable: error.code == .disk)
            }
        }
    }

    /// None: it was dropped meanwhile.
    private mutating func giveBack(_ seq: JobSeq) -> [FileInHand] {
        guard let ticket = AuditTicket.ticket(seq), let files = inHand.removeValue(forKey: ticket) else {
            return []
        }
        for file in files {
            pace.ended(file.size, bundled: file.isBundled)
            seenBytes &+= max(0, file.size)
        }
        return files
    }
}
