// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import SumPool
import SystemPackage
import TestKit
import Testing

/// Small files that a worker digests at one go.
struct BundleTests {
    private func open(_ paths: [String]) throws -> [HeldFile] {
        try paths.map { HeldFile(try Descriptor.open(.init($0), .readOnly)) }
    }
    private func digests(_ event: SumEvent) throws -> [BundledDigest] {
        guard case .bundled(_, let digests) = event else {
            Issue.record("\(event)")
            return []
        }
        return digests
    }

    @Test(arguments: [DigestAlgorithm.sha256, .crc32c])
    func `each file of a bundle has its digest, in order, and one that cannot be read has its reason`(
        algorithm: DigestAlgorithm
    ) throws {
        let folder = try TempDirectory()
        var paths: [String] = []
        for number in 0..<BundleLimit.files {
            let bytes = [UInt8](repeating: UInt8(number), count: number * 701)
            paths.append(try folder.file("\(number)", bytes))
        }
        // A directory can be opened and not be read.
        paths[7] = folder.path
        let pool = try RunningPool()
        pool.send(.bundle(JobSeq(1), try open(paths), algorithm, bytes: 400_000))
        for (seq, path) in zip(Int64(2)..., paths) {
            pool.send(.bundle(JobSeq(seq), try open([path]), algorithm, bytes: 1))
        }
        let together = try digests(pool.answer(1))
        #expect(together.count == paths.count)
        #expect(together[7] == .unreadable(errno: EISDIR))
        for (index, digest) in together.enumerated() {
            #expect(try digests(pool.answer(Int64(index + 2))) == [digest])
        }
        guard algorithm == .sha256, case .digest(let last)? = together.last else { return }
        #expect(try ProgramRun.run("/usr/bin/sha256sum", [paths[31]]).output.prefix(64) == last.hex)
    }

    @Test func `a bundle that processes die over fails alone, and what sumd had when it died is done again`()
        throws
    {
        let folder = try TempDirectory()
        let small = try folder.file("small", "abc")
        let endless = try folder.file("endless", "x")
        #expect(truncate(endless, 1 << 40) == 0)
        let pool = try RunningPool(processes: 1)
        // Said to be small, and longer than anybody waits.
        pool.send(.bundle(JobSeq(1), try open([small, endless]), .sha256, bytes: 4))
        for seq in Int64(2)...9 { pool.send(.bundle(JobSeq(seq), try open([small]), .sha256, bytes: 3)) }
        try pool.killWorker(times: 2)
        guard case .failed(_, let error) = try pool.answer(1) else {
            Issue.record("it did not fail")
            return
        }
        #expect(error.code == .workerDied)
        let wanted = try digests(pool.answer(2))
        for seq in Int64(3)...9 { #expect(try digests(pool.answer(seq)) == wanted) }
        pool.send(.bundle(JobSeq(20), try open([endless]), .sha256, bytes: 1))
        kill(try #require(try pool.stateWhen("it has it") { $0.running == 1 }.pid), SIGKILL)
        _ = try pool.stateWhen("another has it") { $0.restarts == 1 && $0.running == 1 && $0.isUp }
        pool.send(.cancel(JobSeq(20)))
        _ = try pool.stateWhen("nobody has it") { $0.running == 0 }
    }
}
