// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

extension ByHand {
    /// What `sumd digest` tells at its end.
    public struct DigestReport: Sendable, Hashable {
        public var files = 0
        public var failures = 0
        public var bytes: Int64 = 0
        /// ns.
        public var wall: Int64 = 0
        /// CPU time of the workers, ns.
        public var cpu: Int64 = 0
        public var processes = 0
    }

    /// Names that `sumd digest --algorithm` takes.
    public static var algorithms: [String] { DigestAlgorithm.allCases.map(\.rawValue) }

    /// Digests files over `processes` workers and hands each to `show` in the order given.
    /// At most sixteen files a worker are open at a time.
    public static func digest(
        _ paths: [String], algorithm name: String, processes: Int, show: (String, ByHandJob) -> Void
    ) throws(ByHandError) -> DigestReport {
        guard let algorithm = algorithm(name) else {
            throw .usage(
                "\"\(Masking.text(name))\" is no algorithm; there are \(algorithms.joined(separator: ", "))")
        }
        var pool = try pool(processes)
        var report = DigestReport()
        report.files = paths.count
        report.processes = pool.workers.count
        let started = Monotonic.nanoseconds()
        var done: [Int: ByHandJob] = [:]
        var opened = 0
        var shown = 0
        while shown < paths.count {
            while opened < paths.count, opened - shown < report.processes * WorkerHand.depth {
                if let failed = open(paths[opened], algorithm, opened, &pool, &report) {
                    done[opened] = failed
                }
                opened += 1
            }
            if !pool.isIdle {
                for ending in try turn(&pool) { done[Int(ending.ticket)] = job(ending) }
            }
            while let job = done.removeValue(forKey: shown) {
                if job.answer == nil { report.failures += 1 }
                report.cpu &+= job.cpu
                show(paths[shown], job)
                shown += 1
            }
        }
        report.wall = Monotonic.nanoseconds() - started
        return report
    }

    /// `sha256`, `SHA-256` and the like.
    private static func algorithm(_ name: String) -> DigestAlgorithm? {
        let plain = name.lowercased().filter { $0 != "-" }
        return DigestAlgorithm.allCases.first { $0.rawValue.filter { $0 != "-" } == plain }
    }

    /// Opens a file and hands it in. Without O_NONBLOCK a FIFO without a writer would hang here.
    private static func open(
        _ path: String, _ algorithm: DigestAlgorithm, _ ticket: Int, _ pool: inout ForkedPool,
        _ report: inout DigestReport
    ) -> ByHandJob? {
        do throws(SystemError) {
            let file = try Descriptor.open(FilePath(path), .readOnly, options: [.nonBlocking])
            report.bytes += max(0, try file.status(path).size)
            pool.submit(
                digest: algorithm, of: file, ticket: UInt64(ticket), submitted: Monotonic.nanoseconds())
            return nil
        } catch {
            return ByHandJob(answer: nil, failure: "\(error.code)", queued: 0, run: 0, cpu: 0, worker: 0)
        }
    }
}
