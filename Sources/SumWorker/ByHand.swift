// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// Why a verb by hand gave up. The text is one line for standard error.
public enum ByHandError: Error, Sendable, Hashable {
    /// The arguments make no sense: exit status 64.
    case usage(String)
    /// The system refuses: exit status 74.
    case refused(String)
    /// ^C or SIGTERM: exit status 130.
    case interrupted
}

/// What one job took, for the tables. Times in nanoseconds.
public struct ByHandJob: Sendable, Hashable {
    /// A total in decimal, or a digest in hex; nil if it failed.
    public var answer: String?
    /// Why not, when there is no answer.
    public var failure: String?
    public var queued: Int64
    public var run: Int64
    public var cpu: Int64
    /// Process id of who did it.
    public var worker: Int32
}

/// The verbs that people run: `sumd sum`, `sumd compare`, `sumd digest`, `sumd check`. They run on the very pool that serves dld.
///
/// Call from `main`, while the process has one thread; once a process, since the signals are taken for good.
public enum ByHand {
    /// One a processor that this process may use.
    public static var defaultProcesses: Int { ProcessFacts.usableProcessors() }
    /// A line on standard error.
    public static func complain(_ line: String) { StandardError.write(line + "\n") }
    /// The system's words for an errno.
    public static func reason(_ code: Int32) -> String { "\(Errno(rawValue: code))" }
    /// Text from outside with its control characters made visible.
    public static func escaped(_ text: String) -> String { Masking.text(text) }

    /// `LOW..HIGH` (both included) or `N` (0 up to N), by the grammar of list entries but without their limit.
    static func range(_ text: String) throws(ByHandError) -> SumRange {
        switch SumBound.range(text, maxTerms: .max) {
        case .success(let range): return range
        case .failure(let error): throw .usage(error.message)
        }
    }

    static func pool(_ processes: Int) throws(ByHandError) -> ForkedPool {
        let pool: ForkedPool
        do throws(SystemError) {
            pool = try ForkedPool.make(processes: processes, silence: .seconds(600))
        } catch {
            throw .refused("\(error)")
        }
        guard !pool.workers.isEmpty else { throw .refused(pool.remark) }
        return pool
    }

    /// One turn of the pool; ^C and SIGTERM end the verb, and the workers with it. `isReady`: one of `others` can be
    /// read.
    static func turn(
        _ pool: inout ForkedPool, watching others: [Int32] = []
    ) throws(ByHandError) -> (endings: [PieceDealer.Ending], isReady: Bool) {
        // Comings and goings of workers are not shown; left standing, the mark would keep the pool from sleeping.
        _ = pool.takeChange()
        let turn = pool.turn(watching: others.map { ($0, .read) })
        if let signal = turn.signal, signal != SIGHUP { throw .interrupted }
        return (turn.endings, turn.ready.contains(true))
    }

    static func job(_ ending: PieceDealer.Ending) -> ByHandJob {
        let timings = ending.timings
        var job = ByHandJob(
            answer: nil, failure: nil, queued: timings.queued, run: timings.run, cpu: timings.cpu,
            worker: timings.worker)
        switch ending.result {
        case .summed(let total): job.answer = String(total)
        case .digested(let checksum): job.answer = checksum.hex
        case .pieces, .bundled: break
        case .failed(_, let message): job.failure = message
        }
        return job
    }
}

extension ByHand {
    /// What `sumd sum` shows.
    public struct SumReport: Sendable, Hashable {
        public var range: String
        public var jobs: [ByHandJob]
        /// From the first job handed in to the last answer, ns.
        public var wall: Int64
        /// Terms of all jobs together.
        public var terms: Double
        public var processes: Int
        /// Every job has an answer, and all are the same.
        public var totalsAgree: Bool {
            guard let first = jobs.first?.answer else { return jobs.isEmpty }
            return jobs.allSatisfy { $0.answer == first }
        }
    }

    /// The same sum `repeats` times at once over `processes` workers.
    public static func sum(
        _ text: String, repeats: Int, processes: Int
    ) throws(ByHandError) -> SumReport {
        let range = try range(text)
        var pool = try pool(processes)
        let workers = pool.workers.count
        let (jobs, wall) = try onPool(&pool, range, repeats: repeats)
        return SumReport(
            range: text, jobs: jobs, wall: wall, terms: Double(range.terms) * Double(repeats),
            processes: workers)
    }

    static func onPool(
        _ pool: inout ForkedPool, _ range: SumRange, repeats: Int
    ) throws(ByHandError) -> ([ByHandJob], wall: Int64) {
        let started = Monotonic.nanoseconds()
        for ticket in 0..<repeats { pool.submit(sum: range, ticket: UInt64(ticket), submitted: started) }
        var jobs = [ByHandJob?](repeating: nil, count: repeats)
        while !pool.isIdle {
            for ending in try turn(&pool).endings { jobs[Int(ending.ticket)] = job(ending) }
        }
        return (jobs.compactMap { $0 }, Monotonic.nanoseconds() - started)
    }
}
