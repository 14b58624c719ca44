// SPDX-License-Identifier: Apache-2.0
// Runs on: the one thread of a forked worker process
// Owns: its end of the socket, one read buffer
// Receives: SumFrame.sum, .digest and .bundle (with descriptors), .cancel
// Sends: SumFrame.ready, .summed, .digested, .pieces, .bundled, .failed, .progress

import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// Computes piece after piece, in the order they came; what comes during a long file is done in between (see
/// `WorkerHand`). Nothing else: no log, no file of its own, no signal; `Confinement` holds it to that.
///
/// *Diagnostics*: a file that cannot be read fails its job. A socket that breaks or a frame that makes no sense means
/// that the parent is gone or broken: the process ends.
struct WorkerLoop: ~Copyable {
    struct Order {
        var frame: SumFrame
        var files: [HeldFile]
    }
    private enum Gone: Error { case parent }

    private var link: PacketSocket
    private(set) var inbox: [Order] = []
    /// Tickets of digests that are under way; two while one is done in between.
    var current: [UInt64] = []
    /// Those of them whose answer is no longer wanted.
    var cancelled: Set<UInt64> = []
    /// CPU time of what was done in between: not that of the long file round it.
    private var lentTime: Duration = .zero
    private var answers: [UInt8] = []
    private var answersSince: Int64 = 0
    var lastSign: Int64 = 0
    /// What is read goes through here.
    var block: [UInt8] = []
    private let pid = getpid()

    /// Works until the parent closes its end. Returns the process's exit status.
    static func run(_ socket: consuming Descriptor) -> Int32 {
        do {
            var loop = WorkerLoop(link: try PacketSocket(socket, packetLimit: SumFrame.packetLimit))
            loop.put(.ready(Confinement.enter(socket: loop.link.descriptor)))
            while true { try loop.turn() }
        } catch {
            return 0
        }
    }

    private init(link: consuming PacketSocket) { self.link = link }

    private mutating func turn() throws {
        if inbox.isEmpty {
            try sendAnswers()
            _ = Poll.ready([(link.descriptor, link.interest)], atMost: nil)
        }
        try look()
        guard !inbox.isEmpty else { return }
        try performNext()
        // Answers of short pieces share a packet, but none waits long for the next.
        if answers.count > SumFrame.frameLimit / 16 || Monotonic.nanoseconds() - answersSince > 500_000 {
            try sendAnswers()
        }
    }

    /// Takes in what has come, without sleeping.
    mutating func look() throws {
        try link.flush()
        while let packet = try link.receive() {
            if packet.bytes.isEmpty { throw Gone.parent }
            var passed = packet.files
            for frame in try SumFrame.frames(in: packet.bytes) {
                if case .cancel(let ticket) = frame {
                    inbox.removeAll { $0.frame.ticket == ticket }
                    if current.contains(ticket) { cancelled.insert(ticket) }
                } else if frame.descriptors > 0 {
                    guard frame.descriptors == passed.count else { throw SumFrameError.badField }
                    inbox.append(Order(frame: frame, files: passed))
                    passed = []
                } else {
                    inbox.append(Order(frame: frame, files: []))
                }
            }
        }
    }

    /// Sleeps until something comes, or the time is over.
    func wait(atMost limit: Duration) {
        _ = Poll.ready([(link.descriptor, link.interest)], atMost: limit)
    }

    mutating func performNext() throws { try perform(inbox.removeFirst()) }

    private mutating func perform(_ order: Order) throws {
        let started = Monotonic.nanoseconds()
        let cpuBefore = ProcessFacts.processorTime()
        let lentBefore = lentTime
        lastSign = started
        var answer: SumFrame?
        switch order.frame {
        case .sum(let ticket, let from, let to, let submitted):
            let total = Adder.total(SumRange(from: from, to: to))
            answer = .summed(
                ticket: ticket, total: total, timings: timings(submitted, started, cpuBefore))
        case .digest(let ticket, let algorithm, let span, let rate, let submitted):
            let result = try result(order.files[0], algorithm, span, rate, ticket)
            let timings = timings(submitted, started, cpuBefore + (lentTime - lentBefore))
            switch result {
            case .whole(let checksum):
                answer = .digested(ticket: ticket, checksum: checksum, timings: timings)
            case .pieces(let digests): answer = .pieces(ticket: ticket, digests: digests, timings: timings)
            case .failed(let failure):
                answer = .failed(ticket: ticket, fault: failure.fault, message: failure.message)
            case nil: break
            }
        case .bundle(let ticket, let algorithm, _, _, let submitted):
            switch try bundle(order.files, algorithm, ticket) {
            case .success(let digests):
                answer = .bundled(
                    ticket: ticket, digests: digests, timings: timings(submitted, started, cpuBefore))
            case .failure(let failure):
                answer = .failed(ticket: ticket, fault: failure.fault, message: failure.message)
            case nil: break
            }
        case .ping(let number):
            answer = .pong(number)
        case .cancel, .pong, .progress, .summed, .digested, .pieces, .bundled, .failed, .pool, .resize,
            .ready:
            throw SumFrameError.badField
        }
        if let answer { put(answer) }
        if !current.isEmpty { lentTime += ProcessFacts.processorTime() - cpuBefore }
    }

    private enum Digested {
        case whole(Checksum)
        case pieces([UInt8])
        case failed(Failure)
    }

    private mutating func result(
        _ file: HeldFile, _ algorithm: DigestAlgorithm, _ span: DigestSpan, _ rate: Int64?, _ ticket: UInt64
    ) throws -> Digested? {
        if span.pieceLength == nil {
            return switch try digest(file, algorithm, span, rate, ticket) {
            case .success(let checksum): .whole(checksum)
            case .failure(let failure): .failed(failure)
            case nil: nil
            }
        }
        return switch try digests(file, algorithm, span, ticket) {
        case .success(let digests): .pieces(digests)
        case .failure(let failure): .failed(failure)
        case nil: nil
        }
    }

    private func timings(_ submitted: Int64, _ started: Int64, _ cpuBefore: Duration) -> SumTimings {
        SumTimings(
            queued: max(0, started &- submitted), run: Monotonic.nanoseconds() - started,
            cpu: max(0, (ProcessFacts.processorTime() - cpuBefore).nanosecondsClamped), worker: pid)
    }

    mutating func put(_ frame: SumFrame) {
        if answers.isEmpty { answersSince = Monotonic.nanoseconds() }
        frame.append(to: &answers)
    }

    mutating func sendAnswers() throws {
        guard !answers.isEmpty else { return }
        try link.send(answers)
        answers.removeAll(keepingCapacity: true)
    }
}
