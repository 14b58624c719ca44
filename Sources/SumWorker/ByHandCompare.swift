// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit

extension ByHand {
    /// One way of doing the same jobs.
    public struct Way: Sendable, Hashable {
        public var name: String
        /// ns.
        public var wall: Int64
        public var jobs: [ByHandJob]
        /// CPU time of all jobs, ns.
        public var cpu: Int64 { jobs.reduce(0) { $0 &+ $1.cpu } }
    }

    /// What `sumd compare` shows.
    public struct CompareReport: Sendable, Hashable {
        public var range: String
        public var ways: [Way]
        /// All jobs of all ways have an answer, and the same.
        public var totalsAgree: Bool {
            let jobs = ways.flatMap(\.jobs)
            guard let first = jobs.first?.answer else { return false }
            return jobs.allSatisfy { $0.answer == first }
        }
    }

    /// The same jobs in turn in this process, then in one forked process a job, then on the pool.
    public static func compare(
        _ text: String, repeats: Int, processes: Int
    ) throws(ByHandError) -> CompareReport {
        let range = try range(text)
        let inTurn = inTurn(range, repeats: repeats)
        let forked = try processEach(range, repeats: repeats)
        var pool = try pool(processes)
        let name = "pool of \(pool.workers.count)"
        let (jobs, wall) = try onPool(&pool, range, repeats: repeats)
        return CompareReport(range: text, ways: [inTurn, forked, Way(name: name, wall: wall, jobs: jobs)])
    }

    private static func inTurn(_ range: SumRange, repeats: Int) -> Way {
        let started = Monotonic.nanoseconds()
        var jobs: [ByHandJob] = []
        for _ in 0..<repeats {
            let begun = Monotonic.nanoseconds()
            let cpuBefore = ProcessFacts.processorTime()
            let total = Adder.total(range)
            jobs.append(
                ByHandJob(
                    answer: String(total), failure: nil, queued: begun - started,
                    run: Monotonic.nanoseconds() - begun,
                    cpu: (ProcessFacts.processorTime() - cpuBefore).nanosecondsClamped, worker: getpid()))
        }
        return Way(name: "in turn", wall: Monotonic.nanoseconds() - started, jobs: jobs)
    }

    /// Starting each process and reaping it counts: that is what a pool spares.
    private static func processEach(_ range: SumRange, repeats: Int) throws(ByHandError) -> Way {
        let started = Monotonic.nanoseconds()
        var runs: [OneJobProcess] = []
        defer { for run in runs { run.end() } }
        for _ in 0..<repeats { runs.append(try OneJobProcess(range)) }
        var jobs: [ByHandJob] = []
        for run in runs { jobs.append(try run.answer()) }
        for run in runs { run.end() }
        return Way(name: "a process each", wall: Monotonic.nanoseconds() - started, jobs: jobs)
    }
}

/// A process forked for one job, which sends its answer and ends.
private final class OneJobProcess {
    private let process: ChildProcess
    private var link: PacketSocket
    private var isReaped = false

    init(_ range: SumRange) throws(ByHandError) {
        let submitted = Monotonic.nanoseconds()
        do throws(SystemError) {
            let forked = try ForkedProcess.start(name: "sumd-job") { socket in
                Self.work(socket, range, submitted)
            }
            process = forked.process
            link = try PacketSocket(forked.socket, packetLimit: SumFrame.packetLimit)
        } catch {
            throw .refused("\(error)")
        }
    }

    private static func work(_ socket: consuming Descriptor, _ range: SumRange, _ submitted: Int64) -> Int32 {
        do {
            var link = try PacketSocket(socket, packetLimit: SumFrame.packetLimit)
            let started = Monotonic.nanoseconds()
            let total = Adder.total(range)
            let timings = SumTimings(
                queued: started - submitted, run: Monotonic.nanoseconds() - started,
                cpu: ProcessFacts.processorTime().nanosecondsClamped, worker: getpid())
            try link.send(SumFrame.summed(ticket: 0, total: total, timings: timings).packet)
            return 0
        } catch {
            return 74
        }
    }

    func answer() throws(ByHandError) -> ByHandJob {
        do {
            while true {
                guard let packet = try link.receive() else {
                    _ = Poll.readable([link.descriptor], atMost: nil)
                    continue
                }
                if case .summed(_, let total, let timings)? = try SumFrame.frames(in: packet.bytes).first {
                    return ByHandJob(
                        answer: String(total), failure: nil, queued: timings.queued, run: timings.run,
                        cpu: timings.cpu, worker: timings.worker)
                }
                return ByHandJob(
                    answer: nil, failure: "the process died", queued: 0, run: 0, cpu: 0, worker: process.pid)
            }
        } catch {
            throw .refused("\(error)")
        }
    }

    /// Reaps it; kills it first where its answer was not waited for.
    func end() {
        guard !isReaped else { return }
        isReaped = true
        do throws(SystemError) {
            if try process.poll() == nil {
                // It has answered or is not wanted any more: nothing is lost.
                try process.signal(SIGKILL)
                _ = try process.wait()
            }
        } catch {
            // Somebody else reaped it.
        }
    }
}
