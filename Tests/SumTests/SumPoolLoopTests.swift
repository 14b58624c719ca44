// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import SumPool
import TestKit
import Testing

/// In turn: each starts processes of its own, and two cores are soon busy.
@Suite(.serialized) struct SumPoolLoopTests {
    /// Two pieces, each a second of work in a debug build: time enough to kill the process that does it.
    static let long = SumRange(from: 0, to: 1 << 29)

    func total(_ event: SumEvent) -> String? {
        if case .summed(_, let value, _) = event { value } else { nil }
    }

    @Test func `sums come back exact, with their timings and the worker's pid`() throws {
        let pool = try RunningPool()
        let workers = try pool.stateWhen("the workers are up") { $0.workers.count == 2 }.workers
        let ranges = [
            SumRange(from: 0, to: 0), SumRange(from: 0, to: 20_000_000),
            SumRange(from: .max - 1_000_000, to: .max), SumRange(from: 1 << 40, to: (1 << 40) + 3_000_000),
        ]
        for (seq, range) in ranges.enumerated() { pool.send(.sum(JobSeq(Int64(seq)), range)) }
        for (seq, range) in ranges.enumerated() {
            guard case .summed(_, let value, let timings) = try pool.answer(Int64(seq)) else {
                Issue.record("job \(seq) failed")
                continue
            }
            #expect(value == String(closedForm(range)))
            #expect(workers.contains(timings.worker))
            #expect(timings.run > 0 && timings.cpu > 0 && timings.queued >= 0)
        }
    }

    @Test func `digests of files come back, and unreadable ones fail in words`() throws {
        let folder = try TempDirectory()
        try folder.file("abc", "abc")
        try folder.file("empty", "")
        let big = [UInt8](repeating: 0x61, count: 5_000_000)
        try folder.file("big", big)
        symlink("abc", folder.sub("link"))
        mkfifo(folder.sub("fifo"), 0o600)
        let pool = try RunningPool()
        pool.send(.digest(JobSeq(1), directory: folder.path, name: "abc", .sha256))
        pool.send(.digest(JobSeq(2), directory: folder.path, name: "empty", .crc32c))
        pool.send(.digest(JobSeq(3), directory: folder.path, name: "big", .sha1))
        for (seq, name) in ["missing", "link", "fifo", ""].enumerated() {
            pool.send(.digest(JobSeq(Int64(10 + seq)), directory: folder.path, name: name, .md5))
        }
        let answers = try [1, 2, 3].map { try pool.answer($0) }
        let digests = answers.map { event -> String in
            if case .digested(_, let checksum, _) = event { checksum.description } else { "\(event)" }
        }
        #expect(digests[0] == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(digests[1] == "crc32c:00000000")
        let reference = try ProgramRun.run("/usr/bin/sha1sum", [folder.sub("big")])
        #expect("sha1:" + reference.output.prefix(40) == digests[2])
        for seq in Int64(10)...13 {
            guard case .failed(_, let error) = try pool.answer(seq) else {
                Issue.record("job \(seq) did not fail")
                continue
            }
            #expect(error.code == .disk)
            #expect(error.message.contains("digest of part"))
        }
    }

    @Test func `many jobs at once all come back`() throws {
        let folder = try TempDirectory()
        try folder.file("abc", "abc")
        let pool = try RunningPool(processes: 3)
        for seq in Int64(1)...3000 {
            if seq % 2 == 0 {
                pool.send(.digest(JobSeq(seq), directory: folder.path, name: "abc", .md5))
            } else {
                pool.send(.sum(JobSeq(seq), SumRange(from: 0, to: UInt64(seq))))
            }
        }
        try eventually(within: .seconds(30), "all are answered") {
            pool.events.count { if case .state = $0 { false } else { true } } == 3000
        }
        for seq in [Int64(1), 999, 2999] {
            #expect(try total(pool.answer(seq)) == String(closedForm(SumRange(from: 0, to: UInt64(seq)))))
        }
    }

    @Test func `a killed worker is replaced and its job done`() throws {
        let pool = try RunningPool()
        let first = try pool.stateWhen("the workers are up") { $0.workers.count == 2 }
        pool.send(.sum(JobSeq(1), Self.long))
        pool.send(.sum(JobSeq(2), SumRange(from: 0, to: 1000)))
        _ = try pool.stateWhen("it runs") { $0.running > 0 }
        kill(first.workers[0], SIGKILL)
        #expect(try total(pool.answer(1)) == String(closedForm(Self.long)))
        #expect(try total(pool.answer(2)) == "500500")
        let state = try pool.stateWhen("it was replaced") { $0.workerRestarts == 1 && $0.workers.count == 2 }
        #expect(state.pid == first.pid)
        #expect(!state.workers.contains(first.workers[0]))
        #expect(state.remark.contains("worker process \(first.workers[0])"))
    }

    @Test func `a job whose workers die twice fails, and its neighbours do not`() throws {
        let pool = try RunningPool(processes: 1)
        // The first in the hand is to blame; the second never ran.
        pool.send(.sum(JobSeq(1), Self.long))
        _ = try pool.stateWhen("it runs") { $0.running == 1 }
        pool.send(.sum(JobSeq(2), SumRange(from: 0, to: 10)))
        try pool.killWorker(times: 2)
        guard case .failed(_, let error) = try pool.answer(1) else {
            Issue.record("job 1 did not fail")
            return
        }
        #expect(error.code == .workerDied)
        #expect(error.message.contains("signal 9"))
        #expect(try total(pool.answer(2)) == "55")
    }

    @Test func `a killed sumd is started again and its jobs done, with no orphan left`() throws {
        let pool = try RunningPool()
        let first = try pool.stateWhen("the workers are up") { $0.workers.count == 2 }
        let pid = try #require(first.pid)
        for seq in Int64(1)...5 { pool.send(.sum(JobSeq(seq), SumRange(from: 0, to: 100_000_000))) }
        _ = try pool.stateWhen("they run") { $0.running == 5 }
        kill(pid, SIGKILL)
        for seq in Int64(1)...5 { #expect(try total(pool.answer(seq)) == "5000000050000000") }
        let second = try pool.stateWhen("sumd is up again") { $0.restarts == 1 && $0.isUp }
        #expect(second.pid != pid)
        try eventually("its workers are gone", context: { "\(first.workers)" }) {
            first.workers.allSatisfy { !Processes.exists($0) }
        }
    }

    @Test func `a silent worker is killed and replaced`() throws {
        let pool = try RunningPool(processes: 1, pieceLimit: .seconds(1))
        let first = try pool.stateWhen("the worker is up") { $0.workers.count == 1 }
        kill(first.workers[0], SIGSTOP)
        pool.send(.sum(JobSeq(1), SumRange(from: 0, to: 10)))
        #expect(try total(pool.answer(1)) == "55")
        let state = try pool.stateWhen("it was replaced") { $0.workerRestarts == 1 }
        #expect(state.remark.contains("no sign of life"))
    }

    @Test func `a sumd that hangs is killed and started again`() throws {
        let pool = try RunningPool(processes: 1, answerLimit: .milliseconds(400))
        let first = try pool.stateWhen("sumd is up") { $0.isUp }
        kill(try #require(first.pid), SIGSTOP)
        pool.send(.sum(JobSeq(1), SumRange(from: 0, to: 10)))
        #expect(try total(pool.answer(1)) == "55")
        _ = try pool.stateWhen("it was started again") { $0.restarts >= 1 }
    }

    @Test func `cancelled jobs give their workers free`() throws {
        let pool = try RunningPool(processes: 1)
        pool.send(.sum(JobSeq(1), SumRange(from: 0, to: .max)))
        _ = try pool.stateWhen("it runs") { $0.running == 1 }
        pool.send(.cancel(JobSeq(1)))
        pool.send(.sum(JobSeq(2), SumRange(from: 0, to: 10)))
        #expect(try total(pool.answer(2)) == "55")
        let state = try pool.stateWhen("nothing runs") { $0.running == 0 }
        #expect(state.workerRestarts == 0)
    }

    @Test func `a missing sumd fails waiting jobs after a few tries instead of never`() throws {
        let pool = try RunningPool(executable: "/nonexistent/sumd", failedStartLimit: 2)
        pool.send(.sum(JobSeq(1), SumRange(from: 0, to: 10)))
        guard case .failed(_, let error) = try pool.answer(1) else {
            Issue.record("job 1 did not fail")
            return
        }
        #expect(error.code == .workerDied)
        #expect(error.message.contains("/nonexistent/sumd"))
        #expect(!pool.state.isUp)
    }

    @Test func `workers hold their socket and nothing else, and sumd has one thread`() throws {
        let pool = try RunningPool(processes: 3)
        let state = try pool.stateWhen("the workers are up") { $0.workers.count == 3 }
        let sumd = try #require(state.pid)
        for worker in state.workers {
            #expect(Processes.parent(of: worker) == sumd)
            // Between fork and the closing of what it inherited there is a moment.
            try eventually(
                "worker \(worker) has closed the rest", context: { "\(Processes.descriptors(of: worker))" }
            ) {
                let open = Processes.descriptors(of: worker)
                let others = open.filter { $0.key > 2 }
                return others.count == 1 && others.values.allSatisfy { $0.hasPrefix("socket:") }
            }
        }
        // 0 to 2, the socket to us, the signals, one socket a worker.
        #expect(Processes.descriptors(of: sumd).filter { $0.key > 2 }.count == 2 + 3)
        if dlsym(nil, "__tsan_init") == nil { #expect(Processes.threads(of: sumd) == 1) }
    }

    @Test func `stop ends sumd and its workers`() throws {
        let pool = try RunningPool()
        let state = try pool.stateWhen("the workers are up") { $0.workers.count == 2 }
        pool.send(.sum(JobSeq(1), SumRange(from: 0, to: .max)))
        _ = try pool.stateWhen("it runs") { $0.running == 1 }
        pool.stop()
        #expect(!Processes.exists(try #require(state.pid)))
        for worker in state.workers { #expect(!Processes.exists(worker)) }
    }
}
