// SPDX-License-Identifier: Apache-2.0
// Runs on: the one thread of a forked worker process
// Owns: its end of the socket, one read buffer
// Receives: SumFrame.sum, .digest (with a descriptor), .cancel
// Sends: SumFrame.summed, .digested, .failed, .progress

import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// Computes piece after piece, in the order they came. Nothing else: no log, no file of its own, no signal.
///
/// *Diagnostics*: a file that cannot be read fails its job. A socket that breaks or a frame that makes no sense means
/// that the parent is gone or broken: the process ends.
struct WorkerLoop: ~Copyable {
    private struct Order {
        var frame: SumFrame
        var file: HeldFile?
    }
    private enum Gone: Error { case parent }
    private static let blockBytes = 1 << 20
    /// Between two looks at the socket during a long digest.
    private static let blocksBetweenLooks = 16

    private var link: PacketSocket
    private var inbox: [Order] = []
    private var current: UInt64?
    private var isCurrentCancelled = false
    private var answers: [UInt8] = []
    private var answersSince: Int64 = 0
    private var lastSign: Int64 = 0
    private var block: [UInt8] = []
    private let pid = getpid()

    /// Works until the parent closes its end. Returns the process's exit status.
    static func run(_ socket: consuming Descriptor) -> Int32 {
        do {
            var loop = WorkerLoop(link: try PacketSocket(socket, packetLimit: SumFrame.packetLimit))
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
        try perform(inbox.removeFirst())
        // Answers of short pieces share a packet, but none waits long for the next.
        if answers.count > SumFrame.frameLimit / 16 || Monotonic.nanoseconds() - answersSince > 500_000 {
            try sendAnswers()
        }
    }

    /// Takes in what has come, without sleeping.
    private mutating func look() throws {
        try link.flush()
        while var packet = try link.receive() {
            if packet.bytes.isEmpty { throw Gone.parent }
            var passed = packet.descriptor.take()
            for frame in try SumFrame.frames(in: packet.bytes) {
                if case .cancel(let ticket) = frame {
                    inbox.removeAll { $0.frame.ticket == ticket }
                    if current == ticket { isCurrentCancelled = true }
                } else if frame.carriesDescriptor {
                    guard let file = passed.take() else { throw SumFrameError.badField }
                    inbox.append(Order(frame: frame, file: HeldFile(file)))
                } else {
                    inbox.append(Order(frame: frame, file: nil))
                }
            }
        }
    }

    private mutating func perform(_ order: Order) throws {
        let started = Monotonic.nanoseconds()
        let cpuBefore = ProcessFacts.processorTime()
        lastSign = started
        var answer: SumFrame?
        switch order.frame {
        case .sum(let ticket, let from, let to, let submitted):
            let total = Adder.total(SumRange(from: from, to: to))
            answer = .summed(
                ticket: ticket, total: total, timings: timings(submitted, started, cpuBefore))
        case .digest(let ticket, let algorithm, let submitted):
            guard let file = order.file else { throw SumFrameError.badField }
            current = ticket
            isCurrentCancelled = false
            switch try digest(file, algorithm, ticket) {
            case .success(let checksum):
                answer = .digested(
                    ticket: ticket, checksum: checksum, timings: timings(submitted, started, cpuBefore))
            case .failure(let failure):
                answer = .failed(ticket: ticket, fault: failure.fault, message: failure.message)
            case nil:
                break
            }
            current = nil
        case .ping(let number):
            answer = .pong(number)
        case .cancel, .pong, .progress, .summed, .digested, .failed, .pool:
            throw SumFrameError.badField
        }
        if let answer { put(answer) }
    }

    private func timings(_ submitted: Int64, _ started: Int64, _ cpuBefore: Duration) -> SumTimings {
        SumTimings(
            queued: max(0, started &- submitted), run: Monotonic.nanoseconds() - started,
            cpu: max(0, (ProcessFacts.processorTime() - cpuBefore).nanosecondsClamped), worker: pid)
    }

    private mutating func put(_ frame: SumFrame) {
        if answers.isEmpty { answersSince = Monotonic.nanoseconds() }
        frame.append(to: &answers)
    }

    private mutating func sendAnswers() throws {
        guard !answers.isEmpty else { return }
        try link.send(answers)
        answers.removeAll(keepingCapacity: true)
    }
}

extension WorkerLoop {
    private struct Failure: Error {
        let fault: SumFault
        let message: String
    }

    /// nil: cancelled meanwhile. Reads from byte 0 whatever the descriptor's position is: that is shared with the
    /// sender's copy, and with a worker that died over the same job.
    private mutating func digest(
        _ file: HeldFile, _ algorithm: DigestAlgorithm, _ ticket: UInt64
    ) throws -> Result<Checksum, Failure>? {
        guard var running = RunningDigest.make(algorithm) else { return .failure(Self.refused(algorithm)) }
        let number = file.descriptor.rawValue
        // Advice only: a file system without read-ahead may refuse it.
        _ = posix_fadvise(number, 0, 0, POSIX_FADV_SEQUENTIAL)
        if block.isEmpty { block = [UInt8](repeating: 0, count: Self.blockBytes) }
        var offset = 0
        var blocks = 0
        while true {
            let count = unsafe block.withUnsafeMutableBytes {
                unsafe pread(number, $0.baseAddress, $0.count, offset)
            }
            if count < 0 {
                if errno == EINTR { continue }
                let code = Errno(rawValue: errno)
                return .failure(
                    Failure(fault: .unreadable, message: "read for its \(algorithm.rawValue) digest: \(code)")
                )
            }
            if count == 0 { break }
            offset += count
            let isTaken = unsafe block.withUnsafeBytes { bytes in
                unsafe running.update(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            }
            guard isTaken else { return .failure(Self.refused(algorithm)) }
            blocks += 1
            if blocks % Self.blocksBetweenLooks == 0 {
                try look()
                if isCurrentCancelled { return nil }
                try giveSign(ticket)
            }
        }
        guard let checksum = running.finish() else { return .failure(Self.refused(algorithm)) }
        return .success(checksum)
    }

    private static func refused(_ algorithm: DigestAlgorithm) -> Failure {
        Failure(fault: .unavailable, message: "the system's libcrypto does not offer \(algorithm.rawValue)")
    }

    private mutating func giveSign(_ ticket: UInt64) throws {
        let now = Monotonic.nanoseconds()
        guard now - lastSign > 1_000_000_000 else { return }
        lastSign = now
        put(.progress(ticket: ticket))
        try sendAnswers()
    }
}

/// A file under way, shared by the job and what waits in a queue; closed with the last of them.
final class HeldFile {
    let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}
