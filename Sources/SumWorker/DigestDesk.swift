// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Files by name over a pool, each answered in the order given: the verbs `sumd digest` and `sumd check`.
///
/// Runs on the one thread of sumd. Regular files go to the workers, a bounded number open at a time; what is none (a
/// pipe, standard input, a device) is read here when its turn comes, since only its reader can have it.
struct DigestDesk: ~Copyable {
    /// A file to digest, or with no path a place in the order that needs no work.
    struct Order {
        var path: [UInt8]?
        var algorithm: DigestAlgorithm
    }
    enum Answer: Sendable, Hashable {
        case nothing
        case digest(Checksum)
        /// The code tells a file that is missing.
        case failed(Errno?, String)
    }

    private enum Place {
        case waiting
        case stream(HeldFile, DigestAlgorithm)
        case answered(Answer)
    }

    private var pool: ForkedPool
    private let openLimit: Int
    private var places: [UInt64: Place] = [:]
    private var lastTicket: UInt64 = 0
    private(set) var report = ByHand.DigestReport()

    init(processes: Int) throws(ByHandError) {
        pool = try ByHand.pool(processes)
        report.processes = pool.workers.count
        openLimit = Self.openLimit(report.processes * WorkerHand.depth)
    }

    /// Half of the descriptors there are, for the sockets and signals need some too.
    private static func openLimit(_ wanted: Int) -> Int {
        do throws(SystemError) {
            let limit = try ProcessFacts.raiseDescriptorLimit(to: UInt64(wanted) * 2 + 2048)
            return max(1, min(wanted, Int(clamping: limit / 2)))
        } catch {
            return min(wanted, 256)
        }
    }

    /// Takes orders from `next` as there is room, and shows each with its answer, in order. `note` goes along.
    mutating func run<Note>(
        _ next: () -> (Order, Note)?, show: (Note, Answer) -> Void
    ) throws(ByHandError) {
        let started = Monotonic.nanoseconds()
        defer { report.wall += Monotonic.nanoseconds() - started }
        var notes: [UInt64: Note] = [:]
        var head = lastTicket + 1
        var isExhausted = false
        while true {
            while !isExhausted, lastTicket + 1 - head < UInt64(openLimit) {
                guard let (order, note) = next() else {
                    isExhausted = true
                    break
                }
                lastTicket += 1
                notes[lastTicket] = note
                places[lastTicket] = place(order, ticket: lastTicket)
            }
            switch places[head] {
            case nil: return
            case .waiting: try turn()
            case .stream(let file, let algorithm): places[head] = .answered(try streamed(file, algorithm))
            case .answered: break
            }
            while case .answered(let answer)? = places[head], let note = notes.removeValue(forKey: head) {
                places[head] = nil
                head += 1
                if case .failed = answer { report.failures += 1 }
                show(note, answer)
            }
        }
    }

    /// Answers what of `others` is ready.
    @discardableResult
    private mutating func turn(watching others: [Int32] = []) throws(ByHandError) -> Bool {
        let (endings, ready) = try ByHand.turn(&pool, watching: others)
        if case .open(let why) = pool.confinement { report.unconfined = why }
        for ending in endings {
            report.cpu &+= ending.timings.cpu
            switch ending.result {
            case .digested(let checksum): places[ending.ticket] = .answered(.digest(checksum))
            case .failed(_, let message): places[ending.ticket] = .answered(.failed(nil, message))
            case .summed, .pieces, .bundled: break
            }
        }
        return ready
    }

    /// Opens a file and hands it in.
    private mutating func place(_ order: Order, ticket: UInt64) -> Place {
        guard let path = order.path else { return .answered(.nothing) }
        report.files += 1
        do throws(SystemError) {
            let file = try NamedFile.open(path)
            // Standard input is read from where it stands, not from its beginning.
            if path == NamedFile.standardInput { return .stream(HeldFile(file), order.algorithm) }
            let status = try file.status()
            switch status.kind {
            case .regular:
                report.bytes += max(0, status.size)
                pool.submit(
                    digest: order.algorithm, of: HeldFile(file), ticket: ticket,
                    submitted: Monotonic.nanoseconds())
                return .waiting
            case .directory: return .answered(.failed(.isDirectory, "\(Errno.isDirectory)"))
            case .symbolicLink, .fifo, .socket, .device:
                try file.setNonBlocking(false)
                return .stream(HeldFile(file), order.algorithm)
            }
        } catch {
            return .answered(.failed(error.code, "\(error.code)"))
        }
    }

    /// To its end, while the pool goes on.
    private mutating func streamed(
        _ file: HeldFile, _ algorithm: DigestAlgorithm
    ) throws(ByHandError) -> Answer {
        guard var running = RunningDigest.make(algorithm) else {
            return .failed(nil, "the system's libcrypto does not offer \(algorithm.rawValue)")
        }
        var block = [UInt8](repeating: 0, count: SpanReader.blockBytes)
        while true {
            guard try turn(watching: [file.descriptor.rawValue]) else { continue }
            do throws(SystemError) {
                guard let count = try file.descriptor.read(into: &block) else { continue }
                if count == 0 { break }
                report.bytes += Int64(count)
                _ = unsafe block.withUnsafeBytes {
                    unsafe running.update(UnsafeRawBufferPointer(rebasing: $0[..<count]))
                }
            } catch {
                return .failed(error.code, "\(error.code)")
            }
        }
        return running.finish().map { .digest($0) } ?? .failed(nil, "the system's libcrypto fails")
    }
}
