// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import SumPool
import TestKit
import Testing

/// What befalls a pool from outside: memory that runs out, poison, other sizes.
@Suite(.serialized) struct SumPoolBlowTests {
    func total(_ event: SumEvent) -> String? {
        if case .summed(_, let value, _) = event { value } else { nil }
    }
    func digest(_ event: SumEvent) -> String {
        if case .digested(_, let checksum, _) = event { checksum.hex } else { "\(event)" }
    }

    @Test func `a worker has given up all but computing before it works`() throws {
        let pool = try RunningPool()
        let state = try pool.stateWhen("the workers told") {
            $0.confinement != .unknown && $0.workers.count == 2
        }
        if case .open(let why) = state.confinement {
            // Sanitizer builds, and kernels without it: it works, and says so.
            #expect(!why.isEmpty)
            return
        }
        for worker in state.workers {
            try eventually("worker \(worker) is confined") {
                let status = try FileTree.text("/proc/\(worker)/status")
                return status.contains("Seccomp:\t2\n") && status.contains("NoNewPrivs:\t1\n")
            }
        }
        #expect(try FileTree.text("/proc/\(try #require(state.pid))/status").contains("Seccomp:\t0\n"))
    }

    /// A pool whose `sumd` is in a memory cgroup of its own; nil: none can be made here.
    private func poolInGroup(_ folder: TempDirectory, _ name: String) throws -> (RunningPool, MemoryGroup)? {
        if skip(name, unless: MemoryGroup.isPossible, "no memory cgroup can be made here") { return nil }
        let group = try MemoryGroup()
        let command = try (group.prefix + [BuildProducts.path("sumd")]).map { "'\($0)'" }.joined(separator: " ")
        let script = try folder.file("sumd", "#!/bin/sh\nexec \(command) \"$@\"\n")
        chmod(script, 0o755)
        return (try RunningPool(processes: 1, executable: script), group)
    }

    /// A hole costs no disk, and takes half an hour of hashing in a debug build: it is under way whenever it is looked at.
    private func longFile(_ folder: TempDirectory) throws {
        try folder.file("long", "x")
        #expect(truncate(folder.sub("long"), 1 << 40) == 0)
    }

    @Test func `workers out of memory are told as oom and their neighbours end well`() throws {
        let folder = try TempDirectory()
        guard let (pool, group) = try poolInGroup(folder, "workers out of memory") else { return }
        try longFile(folder)
        try folder.file("abc", "abc")
        pool.send(.digest(JobSeq(1), directory: folder.path, name: "long", .sha256))
        let first = try pool.stateWhen("it runs") { $0.running == 1 && $0.workers.count == 1 }
        // Neighbours that wait for the same worker.
        for seq in Int64(2)...9 { pool.send(.sum(JobSeq(seq), SumRange(from: 0, to: UInt64(seq)))) }
        pool.send(.digest(JobSeq(10), directory: folder.path, name: "abc", .md5))
        // Whom it takes the kernel says, by the scores that the pool has given.
        try group.starve(nil)
        let second = try pool.stateWhen("the worker was replaced") {
            $0.workerRestarts == 1 && $0.workers.count == 1 && $0.running >= 1
        }
        #expect(second.pid == first.pid && second.workers != first.workers)
        try group.starve(nil)
        guard case .failed(_, let error) = try pool.answer(1) else {
            Issue.record("the digest did not fail: \(pool.events)")
            return
        }
        #expect(error.code == .oom)
        #expect(error.message.contains("for want of memory"), "\(error.message)")
        for seq in Int64(2)...9 { #expect(try total(pool.answer(seq)) == String(seq * (seq + 1) / 2)) }
        #expect(try digest(pool.answer(10)) == "900150983cd24fb0d6963f7d28e17f72")
        let last = try pool.stateWhen("both were replaced") {
            $0.workerRestarts == 2 && $0.workers.count == 1
        }
        #expect(last.pid == first.pid && last.restarts == 0, "the kernel took a worker, not the pool")
    }

    @Test func `a pool that is itself killed for memory twice over one job is oom, and works on`() throws {
        let folder = try TempDirectory()
        guard let (pool, group) = try poolInGroup(folder, "a pool killed for memory") else { return }
        try longFile(folder)
        pool.send(.digest(JobSeq(1), directory: folder.path, name: "long", .sha256))
        for restarts in 0..<2 {
            let state = try pool.stateWhen("it runs") {
                $0.restarts == restarts && $0.running == 1 && $0.workers.count == 1
            }
            try group.starve(state.pid)
        }
        guard case .failed(_, let error) = try pool.answer(1) else {
            Issue.record("the digest did not fail: \(pool.events)")
            return
        }
        #expect(error.code == .oom)
        #expect(error.message.contains("for want of memory"), "\(error.message)")
        pool.send(.sum(JobSeq(2), SumRange(from: 0, to: 100)))
        #expect(try total(pool.answer(2)) == "5050")
        // Killed by somebody, after that: not for memory.
        pool.send(.digest(JobSeq(3), directory: folder.path, name: "long", .sha256))
        for restarts in 2..<4 {
            let state = try pool.stateWhen("it runs") {
                $0.restarts == restarts && $0.running == 1 && $0.workers.count == 1
            }
            kill(try #require(state.pid), SIGKILL)
        }
        guard case .failed(_, let other) = try pool.answer(3) else {
            Issue.record("the digest did not fail: \(pool.events)")
            return
        }
        #expect(other.code == .workerDied)
    }

    @Test func `short jobs flow while every worker is at a long file`() throws {
        let folder = try TempDirectory()
        // Holes cost no disk. Half an hour of hashing in a debug build: only what overtakes it comes back.
        for name in ["long", "longer"] {
            try folder.file(name, "x")
            #expect(truncate(folder.sub(name), 1 << 40) == 0)
        }
        try folder.file("abc", "abc")
        let pool = try RunningPool()
        _ = try pool.stateWhen("the workers are up") { $0.workers.count == 2 }
        pool.send(.digest(JobSeq(1), directory: folder.path, name: "long", .sha256))
        pool.send(.digest(JobSeq(2), directory: folder.path, name: "longer", .sha256))
        _ = try pool.stateWhen("both run") { $0.running == 2 }
        for seq in Int64(10)..<60 {
            pool.send(.digest(JobSeq(seq), directory: folder.path, name: "abc", .md5))
            pool.send(.sum(JobSeq(seq + 100), SumRange(from: 0, to: UInt64(seq))))
        }
        for seq in Int64(10)..<60 {
            #expect(try digest(pool.answer(seq)) == "900150983cd24fb0d6963f7d28e17f72")
            #expect(try total(pool.answer(seq + 100)) == String(seq * (seq + 1) / 2))
        }
        pool.send(.cancel(JobSeq(1)))
        pool.send(.cancel(JobSeq(2)))
        let state = try pool.stateWhen("nothing runs") { $0.running == 0 }
        #expect(state.workerRestarts == 0)
        // The workers have let go of them: both are there for others.
        pool.send(.sum(JobSeq(300), SumRange(from: 0, to: 1 << 28)))
        #expect(try total(pool.answer(300)) == String(closedForm(SumRange(from: 0, to: 1 << 28))))
    }

    @Test func `poison among long and short jobs fails alone`() throws {
        let folder = try TempDirectory()
        try folder.file("long", "x")
        #expect(truncate(folder.sub("long"), 1 << 40) == 0)
        let pool = try RunningPool(processes: 1)
        pool.send(.digest(JobSeq(1), directory: folder.path, name: "long", .sha256))
        _ = try pool.stateWhen("it runs") { $0.running == 1 }
        for seq in Int64(2)...9 { pool.send(.sum(JobSeq(seq), SumRange(from: 0, to: UInt64(seq)))) }
        try pool.killWorker(times: 2)
        guard case .failed(_, let error) = try pool.answer(1) else {
            Issue.record("the long one did not fail")
            return
        }
        #expect(error.code == .workerDied)
        for seq in Int64(2)...9 { #expect(try total(pool.answer(seq)) == String(seq * (seq + 1) / 2)) }
    }

    @Test func `the pool grows and shrinks under work and loses nothing`() throws {
        let pool = try RunningPool(processes: 1)
        let first = try pool.stateWhen("one worker is up") { $0.workers.count == 1 }
        let range = SumRange(from: 1, to: 30_000_000)
        for seq in Int64(1)...60 { pool.send(.sum(JobSeq(seq), range)) }
        _ = try pool.stateWhen("they run") { $0.running > 0 }
        pool.send(.resize(4))
        let grown = try pool.stateWhen("four work") { $0.workers.count == 4 }
        #expect(grown.workers.contains(first.workers[0]))
        pool.send(.resize(2))
        let shrunk = try pool.stateWhen("two are left") { $0.workers.count == 2 }
        pool.send(.resize(3))
        _ = try pool.stateWhen("three work") { $0.workers.count == 3 }
        for seq in Int64(1)...60 { #expect(try total(pool.answer(seq)) == String(closedForm(range))) }
        #expect(pool.state.pid == first.pid)
        #expect(pool.state.restarts == 0 && pool.state.workerRestarts == 0)
        for gone in Set(grown.workers).subtracting(shrunk.workers) { #expect(!Processes.exists(gone)) }
        // A sumd that is started again starts with the last size.
        kill(try #require(first.pid), SIGKILL)
        _ = try pool.stateWhen("three again") { $0.restarts == 1 && $0.workers.count == 3 }
    }

    @Test func `a span of a file has its own digest, and one beyond the end fails`() throws {
        let folder = try TempDirectory()
        let bytes = (0..<(9 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 12) }
        try folder.file("f", bytes)
        let pool = try RunningPool()
        let spans: [(Int, Int?)] = [
            (0, nil), (0, 0), (1, 1), (5000, 300_000), (12_345, 8 << 20), (1 << 20, nil), (9 << 20, nil),
        ]
        for (seq, (offset, length)) in spans.enumerated() {
            let span = try #require(DigestSpan(offset: Int64(offset), length: length.map { Int64($0) }))
            pool.send(.digest(JobSeq(Int64(seq)), directory: folder.path, name: "f", .sha256, span: span))
        }
        for (seq, (offset, length)) in spans.enumerated() {
            let part = try folder.file(
                "part", Array(bytes[offset..<(length.map { offset + $0 } ?? bytes.count)]))
            let wanted = try ProgramRun.run("/usr/bin/sha256sum", [part]).output.prefix(64)
            #expect(try digest(pool.answer(Int64(seq))) == wanted)
        }
        let beyond = try #require(DigestSpan(offset: 8 << 20, length: 2 << 20))
        pool.send(.digest(JobSeq(50), directory: folder.path, name: "f", .sha256, span: beyond))
        guard case .failed(_, let error) = try pool.answer(50) else {
            Issue.record("it did not fail")
            return
        }
        #expect(error.code == .disk)
        #expect(error.message.contains("ends at byte 9437184"))
    }

    @Test func `a file with a rate is read no faster, and others are served meanwhile`() throws {
        let folder = try TempDirectory()
        try folder.file("large", [UInt8](repeating: 42, count: 96 << 20))
        try folder.file("small", "x")
        let pool = try RunningPool(processes: 1)
        let started = ContinuousClock.now
        pool.send(.digest(JobSeq(1), directory: folder.path, name: "large", .sha256, rate: 32 << 20))
        pool.send(.digest(JobSeq(2), directory: folder.path, name: "small", .sha256))
        // The one process that there is has the large file for three seconds, and the small one comes through.
        #expect(try digest(pool.answer(2)).count == 64)
        let ended = pool.events.contains { if case .digested(JobSeq(1), _, _) = $0 { true } else { false } }
        #expect(!ended, "the small one waited for the large one")
        #expect(try digest(pool.answer(1)).count == 64)
        #expect(ContinuousClock.now - started >= .milliseconds(2900))
    }

    @Test func `each piece of a span has its digest, the last one may be shorter`() throws {
        let folder = try TempDirectory()
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 12) }
        let path = try folder.file("f", bytes)
        let split = try ProgramRun.run("/usr/bin/split", ["-b", "65536", "--filter=sha1sum", path])
        let wanted = split.output.split(separator: "\n").map { String($0.prefix(40)) }
        #expect(wanted.count == 16)
        let pool = try RunningPool()
        for (seq, first) in [(1, 0), (2, 3), (3, 15)] {
            let offset = first * 65536
            let span = try #require(
                DigestSpan(
                    offset: Int64(offset), length: Int64(bytes.count - offset), pieceLength: 65536))
            pool.send(.digest(JobSeq(Int64(seq)), directory: folder.path, name: "f", .sha1, span: span))
            guard case .pieced(_, let digests, _) = try pool.answer(Int64(seq)) else {
                Issue.record("no digests")
                return
            }
            let found = stride(from: 0, to: digests.count, by: 20).map {
                Checksum(algorithm: .sha1, bytes: Array(digests[$0..<($0 + 20)])).hex
            }
            #expect(found == Array(wanted[first...]))
        }
        #expect(DigestSpan(offset: 0, length: 129, pieceLength: 1) == nil)
        #expect(DigestSpan(offset: 0, length: nil, pieceLength: 1) == nil)
        let short = try #require(DigestSpan(offset: 983_040, length: 65536, pieceLength: 65536))
        pool.send(.digest(JobSeq(9), directory: folder.path, name: "f", .sha1, span: short))
        guard case .failed = try pool.answer(9) else {
            Issue.record("it did not fail")
            return
        }
    }

    @Test func `a file in the page cache is digested without a read from the disk`() throws {
        let folder = try TempDirectory()
        // Just written: every page is there.
        try folder.file("f", [UInt8](repeating: 42, count: 24 << 20))
        let pool = try RunningPool(processes: 1)
        let worker = try pool.stateWhen("the worker is up") { $0.workers.count == 1 }.workers[0]
        pool.send(.digest(JobSeq(1), directory: folder.path, name: "f", .sha256))
        #expect(try digest(pool.answer(1)).count == 64)
        // Forked, so what its parent read from disk is not in it.
        let io = try FileTree.text("/proc/\(worker)/io")
        let read = io.split(separator: "\n").first { $0.hasPrefix("read_bytes:") }?.split(separator: " ").last
        #expect(Int(try #require(read)) ?? -1 < 1 << 20, "\(io)")
    }
}
